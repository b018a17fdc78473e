"""Feature maps of images of any proportions, from a frozen network of timm."""

# B images, H × W their size, T × U what the network sees, h × w the map, D width of features.

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.backbones import check_name, create, drawn, loaded, normalisation
from trainables.layers.checks import check_choice
from trainables.layers.patches import own_size
from trainables.layers.weights import Weights

RESIZE = "bicubic"
Kind = Literal["outputs", "keys"]


class MapShape(NamedTuple):
    """Of a map: rows, columns, D; and how many maps a network has that may be taken."""

    rows: int
    columns: int
    width: int
    depth: int


class FrozenMaps:
    """Images [B, 3, H, W] in 0…1 → maps [B, D, h, w]; nothing of it is ever trained.

    Of a vision transformer what leaves a block, without tokens that are no patch; of a
    convolutional one what leaves a stage. No module: the network is not among the parameters, nor
    in the checkpoint, of what holds it; it is built when first needed, where the images are.

    Images are scaled to T × U (bicubic) and standardised as the network was trained. Without
    weights those of the network are drawn by its name, the same in all runs with one version of
    timm and torch (see `facts`).

    Args:
        name: of timm.
        weights: a file of weights; None: drawn.
        image_size: T and U.
        layer: which block or stage, from the end; 1 is the last.
        final_norm: whether the last norm of a transformer follows, which all blocks share.
        kind: what leaves the block, or the `keys` of its attention, all heads side by side.

    Raises:
        LookupError: `kind` is not known.
        ValueError: timm has no such network, or it gives no maps of such images, or has fewer; or
            its blocks have no keys.
    """

    def __init__(
        self,
        *,
        name: str,
        weights: Weights | None,
        image_size: tuple[int, int],
        layer: int = 1,
        final_norm: bool = True,
        kind: Kind = "outputs",
    ) -> None:
        check_choice("kind", kind, ("outputs", "keys"))
        self.kind: Kind = kind
        self.shape = map_shape(name, image_size, layer, kind)
        self.name, self.weights, self.image_size = name, weights, image_size
        self.layer, self.final_norm = layer, final_norm
        self._network: nn.Module | None = None

    def forget(self) -> None:
        """Lets go of the network, and of its memory."""
        self._network = None

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Maps [B, D, h, w], single precision."""
        network = self._on(images.device)
        mean, deviation = (
            one.to(images.device)[:, None, None] for one in normalisation(self.name, 3)
        )
        with torch.autocast(images.device.type, enabled=False):
            seen = images.float()
            if seen.shape[2:] != self.image_size:
                seen = functional.interpolate(
                    seen, self.image_size, mode=RESIZE, align_corners=False, antialias=True
                )
            seen = (seen - mean) / deviation
            number = self.shape.depth - self.layer
            if self.kind == "keys":
                return _keys(network, seen, number, self.shape[:2]).float()
            return _maps(network, seen, number, self.final_norm).float()

    def _on(self, device: torch.device) -> nn.Module:
        """The network on a device, built if it is not there. Raises ValueError: other weights."""
        if self._network is None:
            settings = _settings(self.name, self.image_size)
            if self.weights is None:
                network = drawn(self.name, settings)
            else:
                network = loaded(self.name, settings, self.weights)
            self._network = network.requires_grad_(False).eval()
        return self._network.to(device)

    def facts(self) -> dict[str, object]:
        """All that the maps of an image depend on, as plain JSON."""
        versions = f"timm {timm.__version__} and torch {torch.__version__.partition('+')[0]}"
        return {
            "backbone": self.name,
            "weights": self.weights.sha256 if self.weights else f"drawn by {versions}",
            "layer": self.layer,
            "final_norm": self.final_norm and self.kind == "outputs",
            "kind": self.kind,
            "image_size": list(self.image_size),
            "resize": f"{RESIZE}, antialias",
        }


def map_shape(
    name: str, image_size: tuple[int, int], layer: int, kind: Kind = "outputs"
) -> MapShape:
    """The shape of a network's maps for images of T × U; nothing is computed.

    Raises:
        ValueError: as `FrozenMaps`.
    """
    check_name(name)
    return _map_shape(name, image_size, layer, kind)


def seen_size(name: str, images: tuple[int, int], height: int | None) -> tuple[int, int]:
    """What a network sees of images of H × W: `height` (None: its own) by as much as keeps their
    proportions, rounded to whole patches of a transformer.
    """
    check_name(name)
    rows = height or own_size(name)
    patch = _patch(name)
    return rows, max(1, round(rows * images[1] / images[0] / patch)) * patch


@lru_cache
def _map_shape(name: str, image_size: tuple[int, int], layer: int, kind: Kind) -> MapShape:
    with _explained(name, image_size), torch.device("meta"), torch.no_grad():
        network = create(name, _settings(name, image_size)).eval()
        depth = _depth(network)
    if layer > depth:
        raise ValueError(f"layer must be at most the {depth} maps of {name}, got {layer}")
    with _explained(name, image_size), torch.device("meta"), torch.no_grad():
        images = torch.empty(1, 3, *image_size)
        found = _maps(network, images, depth - layer, False)
    if kind == "keys":
        if not hasattr(network, "num_prefix_tokens") or not _has_keys(network, depth - layer):
            raise ValueError(f"kind must be 'outputs' with {name}, whose blocks have no keys")
        with torch.device("meta"), torch.no_grad():
            found = _keys(network, images, depth - layer, (found.shape[2], found.shape[3]))
    return MapShape(found.shape[2], found.shape[3], found.shape[1], depth)


@lru_cache
def _patch(name: str) -> int:
    """The side of the patches of a network that is built for one size; 1 for others."""
    with torch.device("meta"):
        embedding: Any = getattr(create(name, {}), "patch_embed", None)
    size = getattr(embedding, "patch_size", None)
    return 1 if size is None else size[0]


def _settings(name: str, image_size: tuple[int, int]) -> dict[str, Any]:
    """What networks with patches are told of the size."""
    return {"img_size": image_size} if _patch(name) > 1 else {}


def _depth(network: Any) -> int:
    blocks = getattr(network, "blocks", None)
    if hasattr(network, "patch_embed") and blocks is not None:
        return len(blocks)
    return len(network.feature_info)


def _maps(network: Any, images: Tensor, number: int, final_norm: bool) -> Tensor:
    """What leaves a block or stage, [B, D, h, w]; only transformers have a norm for it."""
    return network.forward_intermediates(
        images,
        indices=[number],
        norm=final_norm,
        stop_early=True,
        output_fmt="NCHW",
        intermediates_only=True,
    )[0]


def _has_keys(network: Any, number: int) -> bool:
    attention = getattr(network.blocks[number], "attn", None)
    return isinstance(getattr(attention, "qkv", None), nn.Linear)


def _keys(network: Any, images: Tensor, number: int, grid: tuple[int, ...]) -> Tensor:
    """The keys of the patches in a block's attention, [B, D, h, w]."""
    seen: list[Tensor] = []
    layer = network.blocks[number].attn.qkv
    handle = layer.register_forward_hook(lambda *given: seen.append(given[2]))
    try:
        _maps(network, images, number, False)
    finally:
        handle.remove()
    keys = seen[0][:, network.num_prefix_tokens :].chunk(3, -1)[1]
    return keys.mT.unflatten(2, grid)


@contextmanager
def _explained(name: str, size: tuple[int, int]) -> Generator[None]:
    """Whatever goes wrong inside is because a network is of another kind."""
    try:
        yield
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"name must be a network with maps of images of {size[0]} × {size[1]}, got {name}, "
            f"which fails ({reason})"
        ) from None
