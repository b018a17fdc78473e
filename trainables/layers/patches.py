"""Features of the patches of images, from a frozen vision transformer of timm."""

# B images, S side of the images, T side that the network sees, P patches, F width of features.

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.backbones import check_name, create, drawn, loaded, normalisation
from trainables.layers.weights import Weights

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's pixels in 0…1."""
RESIZE = "bicubic"
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_OWN_SIZE = 224  # of a network that states none


class Shape(NamedTuple):
    """Of the features of a network: rows and columns of patches, F, number of its blocks."""

    rows: int
    columns: int
    width: int
    depth: int


class PatchFeatures:
    """Images → features of their patches, [B, 3, S, S] → [B, P, F]; nothing of it is ever trained.

    No module: the network is not among the parameters, nor in the checkpoint, of what holds it, and
    is always in evaluation mode. It is built when first needed, where the images are. Tokens that
    are no patch (class token, registers) are dropped.

    Images come in −1…1. They are standardised, then scaled to T × T if they are not (bicubic). The
    position embedding of pretrained weights is interpolated to that side. Without weights, those of
    the network are drawn from a generator whose seed is a function of its name alone: they are the
    same in all runs with one version of timm and torch (see `facts`).

    Args:
        name: of timm.
        weights: a file of weights; None: drawn.
        image_size: T; None: the network's own.
        layer: which block's output, from the end; 1 is the last.
        final_norm: whether the network's last LN follows, which all blocks share.
        standardization: by the mean and deviation the network was trained with (`own`), or by
            those of ImageNet (`imagenet`).
        antialias: whether scaling down averages over all pixels.
        precision: of the network.

    Raises:
        LookupError: `standardization` or `precision` is not known.
        ValueError: timm has no such network, or it is no vision transformer, or does not take such
            images, or has fewer blocks.
    """

    def __init__(
        self,
        *,
        name: str,
        weights: Weights | None,
        image_size: int | None = None,
        layer: int = 1,
        final_norm: bool = True,
        standardization: Literal["own", "imagenet"] = "own",
        antialias: bool = False,
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        if standardization not in ("own", "imagenet"):
            raise LookupError(f"standardization must be own or imagenet, got {standardization!r}")
        if precision not in PRECISIONS:
            raise LookupError(f"precision must be {' or '.join(PRECISIONS)}, got {precision!r}")
        self.shape = shape_of(name, image_size)
        check_layer(name, layer, self.shape)
        self.name, self.weights, self.image_size = name, weights, image_size or own_size(name)
        self.layer, self.final_norm, self.antialias = layer, final_norm, antialias
        self.standardization, self.precision = standardization, precision
        self.mean, self.deviation = _standard(name, standardization)
        self._network: nn.Module | None = None

    def on(self, device: torch.device) -> nn.Module:
        """The network on a device, built if it is not there yet.

        Raises:
            ValueError: the file holds other weights.
        """
        if self._network is None:
            network = _built(self.name, self.image_size, self.weights)
            network.requires_grad_(False).eval().to(PRECISIONS[self.precision])
            self._network = network
        self.mean, self.deviation = self.mean.to(device), self.deviation.to(device)
        return self._network.to(device)

    def forget(self) -> None:
        """Lets go of the network, and of its memory."""
        self._network = None

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Features [B, P, F], single precision, row after row of patches."""
        network = self.on(images.device)
        with torch.autocast(images.device.type, enabled=False):
            seen = self._seen(images.float()).to(PRECISIONS[self.precision])
            tokens = _tokens(network, seen, self.shape.depth - self.layer)
            return (_last_norm(network)(tokens) if self.final_norm else tokens).float()

    def _seen(self, images: Tensor) -> Tensor:
        """Images as the network sees them, [B, 3, T, T]."""
        seen = ((images + 1) / 2 - self.mean) / self.deviation
        size = (self.image_size, self.image_size)
        if seen.shape[2:] == size:
            return seen
        return functional.interpolate(
            seen, size, mode=RESIZE, align_corners=False, antialias=self.antialias
        )

    def facts(self) -> dict[str, object]:
        """All that the features of an image depend on, as plain JSON."""
        drawn = f"drawn by timm {timm.__version__} and torch {torch.__version__.partition('+')[0]}"
        return {
            "backbone": self.name,
            "weights": self.weights.sha256 if self.weights else drawn,
            "layer": self.layer,
            "final_norm": self.final_norm,
            "image_size": self.image_size,
            "resize": RESIZE,
            "antialias": self.antialias,
            "standardization": self.standardization,
            "precision": self.precision,
        }


def own_size(name: str) -> int:
    """The side of the images that a network was trained with."""
    facts = get_pretrained_cfg(name)
    return facts.input_size[1] if facts is not None else _OWN_SIZE


def shape_of(name: str, image_size: int | None) -> Shape:
    """The shape of a network's features for images of a side (None: its own).

    Nothing is computed: the network is built on the meta device.

    Raises:
        ValueError: timm has no such network, it is no vision transformer, or does not take such
            images, or its patches do not divide them.
    """
    check_name(name)
    return _shape_of(name, image_size or own_size(name))


def check_layer(name: str, layer: int, shape: Shape) -> None:
    """Raises ValueError if a network has fewer blocks than are counted from its end."""
    if layer > shape.depth:
        raise ValueError(f"layer must be at most the {shape.depth} blocks of {name}, got {layer}")


@lru_cache
def _shape_of(name: str, side: int) -> Shape:
    with _explained(name, side), torch.device("meta"):
        network = create(name, {"img_size": side}).eval()
        embedding, depth = _part(network, "patch_embed"), len(_part(network, "blocks"))
        (rows, columns), patch = embedding.grid_size, embedding.patch_size[0]
    if rows * patch != side:
        raise ValueError(
            f"image_size must be a multiple of the side of the patches of {name} ({patch}), "
            f"got {side}"
        )
    with _explained(name, side), torch.device("meta"), torch.no_grad():
        tokens = _tokens(network, torch.empty(1, 3, side, side), depth - 1)
        if tokens.shape[1] != rows * columns:
            raise ValueError(f"it has {tokens.shape[1]} tokens for {rows} × {columns} patches")
    return Shape(rows, columns, tokens.shape[2], depth)


@contextmanager
def _explained(name: str, side: int) -> Generator[None]:
    """Whatever goes wrong inside is because a network is of another kind."""
    try:
        yield
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"name must be a vision transformer for images of {side} × {side}, got {name}, which "
            f"fails ({reason})"
        ) from None


def _tokens(network: nn.Module, images: Tensor, block: int) -> Tensor:
    """What leaves a block, [B, P, F], without the tokens that are no patch."""
    run: Any = network.forward_intermediates
    found = run(
        images,
        indices=[block],
        norm=False,
        stop_early=True,
        output_fmt="NLC",
        intermediates_only=True,
    )
    return found[0]


def _last_norm(network: nn.Module) -> nn.Module:
    """The norm behind the last block; in networks that pool first it is kept behind the pooling."""
    for name in ("norm", "fc_norm"):
        norm = getattr(network, name, None)
        if norm is not None and not isinstance(norm, nn.Identity):
            return norm
    return nn.Identity()


def _part(network: nn.Module, name: str) -> Any:
    return getattr(network, name)


def _built(name: str, side: int, weights: Weights | None) -> nn.Module:
    """The network, with weights from a file, or drawn by its name."""
    settings = {"img_size": side}
    if weights is not None:
        return loaded(name, settings, weights)
    return drawn(name, settings)


def _standard(name: str, by: str) -> tuple[Tensor, Tensor]:
    """Mean and deviation of pixels in 0…1, [3, 1, 1] each."""
    found = normalisation(name, 3) if by == "own" else tuple(map(torch.tensor, IMAGENET))
    return found[0][:, None, None], found[1][:, None, None]
