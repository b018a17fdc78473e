"""Networks of timm behind the interface of features: transformers, Swin, and convolutional ones."""

# N images, S their side, P patches, D width of features.

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from trainables.layers.backbones import (
    check_name,
    create,
    drawn,
    has_drop_path,
    loaded,
    normalisation,
)
from trainables.layers.checks import check_choice
from trainables.layers.features import Features
from trainables.layers.frozen import Frozen
from trainables.layers.positions import resized_positions
from trainables.layers.weights import Weights
from trainables.layers.windows import SWIN

_PLAIN = 0.5  # mean and deviation of pixels for networks that are not pretrained


class TimmFeatures(nn.Module):
    """What leaves the last block or stage of a network of timm, as `Features`.

    Patches are the tokens of a vision transformer without those that are no patch (class token,
    registers, distillation), or the places of the last map of a hierarchical network. D is their
    width, the last one.

    Images are pixels in 0…1. They are standardised by the constants of the pretrained network, or
    by ½ and ½ without weights. Of several sizes a network is built for the largest; a pretrained
    vision transformer keeps the position table of its own size, and all sizes have it resized.
    Sizes that do not fit the windows of Swin are refused (see `layers.geometry`).

    Frozen, the network is never trained and in no checkpoint (see `Frozen`); without weights they
    are drawn by its name, the same in all runs.

    Args:
        name: of timm.
        image_sizes: the sides of images that will come.
        weights: a file of weights; None: drawn.
        is_frozen: whether nothing of it learns.
        drop_path: its rate, unless frozen.
        output_norm: whether the last norm of the network follows, if it has one.
        pool: the vector of an image: `class_token`, or the mean of its patches; None: the class
            token of networks that have one.
        settings: further arguments of timm's network, such as `window_size`.

    Raises:
        LookupError: `pool` is not known.
        ValueError: timm has no such network, or it does not take such images, or has no class
            token, drop path, or not such weights.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        name: str,
        image_sizes: Sequence[int],
        weights: Weights | None = None,
        is_frozen: bool = False,
        drop_path: float = 0.0,
        output_norm: bool = True,
        pool: Literal["class_token", "mean"] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_name(name)
        self.name, self.weights, self.is_frozen = name, weights, is_frozen
        self.image_sizes, self.output_norm = tuple(image_sizes), output_norm
        given = dict(settings or {}) | _sizes(name, self.image_sizes, weights, settings or {})
        if drop_path and not is_frozen:
            given["drop_path_rate"] = drop_path
            if not has_drop_path(name, given):
                raise ValueError(
                    f"drop_path must be 0 with {name}, which has none, got {drop_path:g}"
                )
        with _explained(name, self.image_sizes), torch.device("meta"):
            sketch = create(name, given).eval()
        has_class_token = _has_class_token(sketch)
        check_choice("pool", pool or "mean", ("class_token", "mean"))
        self.pool = pool or ("class_token" if has_class_token else "mean")
        if self.pool == "class_token" and not has_class_token:
            raise ValueError(f"pool must be 'mean' with {name}, which has no class token")
        self.grids: dict[int, tuple[int, int]] = {}
        """Rows and columns of patches, by the side of images."""
        self.width = self._check(sketch)
        built = _built(name, given, weights, is_frozen=is_frozen)
        self.network = Frozen(built) if is_frozen else built
        found = normalisation(name, 3) if weights is not None else (torch.full((3,), _PLAIN),) * 2
        for label, tensor in zip(("mean", "deviation"), found, strict=True):
            here = tensor.to(torch.empty(0).device)
            self.register_buffer(label, here[:, None, None], persistent=False)

    @property
    def body(self) -> nn.Module:
        """The network of timm itself."""
        return self.network.network if isinstance(self.network, Frozen) else self.network

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of the table of positions; None if there is no such table."""
        if not isinstance(getattr(self.body, "pos_embed", None), Tensor):
            return None
        rows, columns = _part(self.body, "patch_embed").grid_size
        return rows, columns

    def forward(self, images: Tensor) -> Features:
        """Images [N, 3, S, S] → features.

        Raises:
            ValueError: images are of a side that was not stated.
        """
        if images.shape[2] != images.shape[3] or images.shape[2] not in self.image_sizes:
            sides = ", ".join(map(str, self.image_sizes))
            raise ValueError(
                f"images must be squares with a side of {sides}, got "
                f"{images.shape[2]} × {images.shape[3]}"
            )
        seen = (images - self.mean) / self.deviation
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.is_frozen):
            return _features(self.body, seen, normalizes=self.output_norm, pool=self.pool)

    def patch_positions(self, grid: tuple[int, int]) -> Tensor:
        """The positions of patches as they are now, for a grid, [1, P, D].

        Raises:
            ValueError: the network has no table of positions.
        """
        own = self.grid
        if own is None:
            raise ValueError(f"{self.name} must have a table of positions, and has none")
        table: Tensor = _part(self.body, "pos_embed")
        return resized_positions(table[:, -own[0] * own[1] :], own, grid)

    def facts(self) -> dict[str, object]:
        """What is recorded of a run with this network."""
        if self.weights is not None:
            return self.weights.facts()
        return {"weights.drawn": f"timm {timm.__version__}"} if self.is_frozen else {}

    def _check(self, sketch: nn.Module) -> int:
        """The width of the features; raises ValueError if the network takes not all sizes."""
        width = 0
        for side in self.image_sizes:
            if isinstance(sketch, SWIN):
                _check_windows(sketch, self.name, side)
            with _explained(self.name, (side,)), torch.device("meta"), torch.no_grad():
                images = torch.empty(2, 3, side, side)
                found = _features(sketch, images, normalizes=self.output_norm, pool=self.pool)
            width, self.grids[side] = found.pooled.shape[1], found.grid
        return width


def _features(network: Any, images: Tensor, *, normalizes: bool, pool: str) -> Features:
    """Of standardised images."""
    _fit_shifts(network, images.shape[2])
    has_norm = _is_norm(network, "norm")
    named: dict[str, Any] = {"norm": normalizes and has_norm}
    if has_class := _has_class_token(network):
        named["return_prefix_tokens"] = True
    run = network.forward_intermediates
    [found] = run(images, indices=1, output_fmt="NCHW", intermediates_only=True, **named)
    folded, prefix = found if has_class else (found, None)
    patches = folded.flatten(2).transpose(1, 2)
    if normalizes and not has_norm and _is_norm(network, "fc_norm"):
        patches = network.fc_norm(patches)
        prefix = None if prefix is None else network.fc_norm(prefix)
    pooled = prefix[:, 0] if pool == "class_token" and prefix is not None else patches.mean(1)
    return Features(pooled, patches, (folded.shape[2], folded.shape[3]))


def _sizes(
    name: str, image_sizes: Sequence[int], weights: Weights | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of timm that make a network take images of all sizes."""
    fixed, tried = {"img_size": max(image_sizes)}, []
    if len(image_sizes) > 1:
        tried.append({**fixed, "dynamic_img_size": True})
    for sizes in (*tried, fixed):
        try:
            with torch.device("meta"):
                network = create(name, {**settings, **sizes})
        except TypeError:  # an argument that it does not have
            continue
        except (AssertionError, RuntimeError, ValueError):  # is said when it is built
            return sizes
        keeps_table = weights is not None and not isinstance(network, SWIN)
        return {"dynamic_img_size": True} if keeps_table and sizes != fixed else sizes
    return {}


def _check_windows(network: Any, name: str, side: int) -> None:
    """Raises ValueError if windows as they are built do not fit images of a side."""
    patch = network.patch_embed.patch_size[0]
    grid, stages = side // patch, len(network.layers)
    fits = side % patch == 0
    for number, stage in enumerate(network.layers, 1):
        window = stage.blocks[0].window_size[0]
        fits = fits and grid % window == 0 and (number == stages or grid % 2 == 0)
        if not fits:
            raise ValueError(
                f"image_sizes must fit the windows of {name}, got {side}: {grid} × {grid} tokens "
                f"in stage {number} for windows of {window}"
            )
        grid //= 2


def _fit_shifts(network: nn.Module, side: int) -> None:
    """Swin without shifts in stages that are one window, as if it were built for this side."""
    if not isinstance(network, SWIN):
        return
    grid = side // _part(network, "patch_embed").patch_size[0]
    for stage in _part(network, "layers"):
        for block in stage.blocks:
            is_one = grid <= block.window_size[0] and not block.always_partition
            block.shift_size = (0, 0) if is_one else tuple(block.target_shift_size)
        grid //= 2


@contextmanager
def _explained(name: str, image_sizes: Sequence[int]) -> Generator[None]:
    """Whatever goes wrong inside is because a network is of another kind."""
    try:
        yield
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        sides = ", ".join(map(str, image_sizes))
        raise ValueError(
            f"name must be a network for images with a side of {sides}, got {name}, which fails "
            f"({reason})"
        ) from None


def _built(
    name: str, settings: dict[str, Any], weights: Weights | None, *, is_frozen: bool
) -> nn.Module:
    if weights is not None:
        return loaded(name, settings, weights)
    is_sketch = torch.empty(0).is_meta
    return drawn(name, settings) if is_frozen and not is_sketch else create(name, settings)


def _has_class_token(network: Any) -> bool:
    """Whether a network has one, and hands it out."""
    hands_out = inspect.signature(network.forward_intermediates).parameters
    is_there = isinstance(getattr(network, "cls_token", None), Tensor)
    return is_there and "return_prefix_tokens" in hands_out


def _is_norm(network: nn.Module, name: str) -> bool:
    norm = getattr(network, name, None)
    return isinstance(norm, nn.Module) and not isinstance(norm, nn.Identity)


def _part(network: nn.Module, name: str) -> Any:
    return getattr(network, name)
