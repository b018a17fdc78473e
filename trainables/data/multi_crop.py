"""Large and small views of an image with colours of torchvision's, by uniform draws alone.

DINO's (Caron et al. 2021), which compares two large views with several small ones, and the two or
more of supervised contrastive learning on CIFAR (Khosla et al. 2020). All take images [B, C, H, W]
of one channel or three, 0…1, and draws in [0, 1) [B, V, DRAWS] for V views, and return views [B, V,
C, S, S], 0…1. Of images of one channel the colours are as if they were grey in three, for those of
`NOTES` they stay as they are.
"""

# B images, V views, H × W pixels of an image, S × S of a view.

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from trainables.data.colour import blur, grey, solarize
from trainables.data.crops import TRIES, resized_boxes, strip_boxes, tiled_boxes
from trainables.data.jitter import ORDERS, jitter
from trainables.data.resampling import Kernel, resized

Range = tuple[float, float]
Local = Literal["random", "strip_vertical", "strip_horizontal", "five", "ten"]

DRAWS = 4 * TRIES + 10
"""Of a view: boxes, mirrored, jittered, order, four colours, grey, blurred, solarised."""

_JITTERED, _GREY = 0.8, 0.2


@dataclass(frozen=True)
class Values:
    """What distorts a view: how far colours go, how often and how far it is blurred, solarised.

    `jitter` is how far brightness, contrast and saturation may go from a factor of 1, and hue in
    turns of the colour wheel, times the `strength`. `blurred`: the shares of first large, other
    large and small views, each by a Gaussian of a deviation within `deviations`, in pixels, cut off
    at `kernel` × `kernel` pixels. `solarised`: the share of large views but the first.
    """

    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    strength: float = 1.0
    blurred: tuple[float, float, float] = (1.0, 0.1, 0.5)
    deviations: Range = (0.1, 2.0)
    kernel: int = 13
    solarised: float = 0.2
    colours_one_channel: bool = True
    flips: bool = True
    resampling: Kernel = "bicubic"


OFFICIAL = Values()
"""Those of github.com/facebookresearch/dino. Pillow, which it blurs by, takes three boxes for a
Gaussian; here it is one up to three deviations."""

NOTES = Values(deviations=(0.1, 3.0), kernel=3, solarised=0.0, colours_one_channel=False)
"""Those for infrared and other grey images of small sides: a faint blur, nothing solarised."""

CIFAR = Values(
    jitter=(0.4, 0.4, 0.4, 0.1), blurred=(0.0, 0.0, 0.0), solarised=0.0, resampling="bilinear"
)
"""Those of github.com/HobbitLong/SupContrast for pictures of 32 × 32 pixels: nothing blurred."""

VALUES = {"official": OFFICIAL, "notes": NOTES, "cifar": CIFAR}


def named(name: str, *, strength: float = 1.0, blurs: bool = True, flips: bool = True) -> Values:
    """Values of `VALUES` with colours so strong, without blur or without mirroring.

    Raises:
        LookupError: there is no such name.
    """
    if name not in VALUES:
        raise LookupError(f"values must be one of {', '.join(VALUES)}, got {name!r}")
    found = replace(VALUES[name], strength=strength, flips=flips)
    return found if blurs else replace(found, blurred=(0.0, 0.0, 0.0))


def multi_crop_large(
    images: Tensor, draws: Tensor, size: int, *, scale: Range, values: Values = OFFICIAL
) -> Tensor:
    """A random resized crop of a share of the area in `scale`, mirrored, distorted in colour,
    blurred; all but the first view of an image may be solarised.
    """
    first, other, _ = values.blurred
    rest = draws.shape[1] - 1
    return _made(
        images,
        draws,
        _random_boxes(draws, images, scale),
        size,
        values=values,
        blurred=[first] + rest * [other],
        solarised=[0.0] + rest * [values.solarised],
    )


def multi_crop_small(
    images: Tensor,
    draws: Tensor,
    size: int,
    *,
    scale: Range,
    local: Local = "random",
    values: Values = OFFICIAL,
) -> Tensor:
    """Views of a small share of the image, in `scale`, otherwise as the large ones.

    `random` are random resized crops; strips run from top to bottom (`strip_vertical`) or from left
    to right (`strip_horizontal`); `five` are the four corners and the middle, each of the image's
    own shape, `ten` those and the same mirrored.

    Raises:
        ValueError: `five` or `ten` of another number of views.
    """
    return _made(
        images,
        draws,
        _local_boxes(draws, images, scale, local),
        size,
        values=values,
        blurred=draws.shape[1] * [values.blurred[2]],
        solarised=draws.shape[1] * [0.0],
        mirrored=torch.arange(10) >= 5 if local == "ten" else None,
    )


def jittered(
    images: Tensor, draws: Tensor, size: int, *, scale: Range, values: Values = CIFAR
) -> Tensor:
    """Views that are all made alike: as the second large one, of any number."""
    count = draws.shape[1]
    return _made(
        images,
        draws,
        _random_boxes(draws, images, scale),
        size,
        values=values,
        blurred=count * [values.blurred[1]],
        solarised=count * [values.solarised],
    )


def _made(
    images: Tensor,
    draws: Tensor,
    boxes: Tensor,
    size: int,
    *,
    values: Values,
    blurred: list[float],
    solarised: list[float],
    mirrored: Tensor | None = None,
) -> Tensor:
    """Views of boxes [B·V, 4]; `blurred`, `solarised` and `mirrored` by the number of the view."""
    count = len(images)
    rest = draws[..., 4 * TRIES :].flatten(0, 1)
    flips = (rest[:, 0] < 0.5) & values.flips
    flips = flips if mirrored is None else mirrored.to(draws.device).repeat(count)
    views = resized(images, boxes, size, mirrored=flips, kernel=values.resampling).clamp(0, 1)
    if images.shape[1] > 1 or values.colours_one_channel:
        views = _coloured(views, rest[:, 1:8], values)
    views = _blurred(views, rest[:, 8], draws.new_tensor(blurred).repeat(count), values)
    views = solarize(views, rest[:, 9] < draws.new_tensor(solarised).repeat(count))
    return views.unflatten(0, draws.shape[:2])


def _coloured(views: Tensor, draws: Tensor, values: Values) -> Tensor:
    """Four in five views jittered, by draws [N, 7], then one in five grey."""
    chosen = ((draws[:, 0] < _JITTERED) & (values.strength > 0)).nonzero()[:, 0]
    if len(chosen):
        views = views.contiguous()
        reach = values.strength * views.new_tensor(values.jitter)
        own = draws[chosen]
        factors = (2 * own[:, 2:6] - 1) * reach
        factors[:, :3] = (1 + factors[:, :3]).clamp(min=0)
        orders = (own[:, 1] * len(ORDERS)).long().clamp(max=len(ORDERS) - 1)
        views = views.index_copy(0, chosen, jitter(views[chosen], factors, orders))
    return views if views.shape[1] == 1 else grey(views, draws[:, 6] < _GREY)


def _blurred(views: Tensor, draws: Tensor, shares: Tensor, values: Values) -> Tensor:
    """Those whose draw is below their share blurred; the deviation is where below it lies."""
    chosen = (draws < shares).nonzero()[:, 0]
    if not len(chosen):
        return views
    least, most = values.deviations
    deviations = least + (most - least) * draws[chosen] / shares[chosen]
    kernel = min(values.kernel, 2 * views.shape[-1] - 1)  # a mirrored border is no wider
    views = views.contiguous()
    return views.index_copy(0, chosen, blur(views[chosen], deviations, kernel))


def _local_boxes(draws: Tensor, images: Tensor, scale: Range, local: Local) -> Tensor:
    if local == "random":
        return _random_boxes(draws, images, scale)
    flat = draws.flatten(0, 1)
    if local == "strip_vertical" or local == "strip_horizontal":
        return strip_boxes(flat[:, :2], share=scale, is_vertical=local == "strip_vertical")
    count = {"five": 5, "ten": 10}[local]
    if draws.shape[1] != count:
        raise ValueError(f"local {local!r} needs {count} views, got {draws.shape[1]}")
    return tiled_boxes(draws[..., 0], area=scale).flatten(0, 1)


def _random_boxes(draws: Tensor, images: Tensor, scale: Range) -> Tensor:
    tries = draws[..., : 4 * TRIES].reshape(-1, TRIES, 4)
    height, width = images.shape[2:]
    return resized_boxes(tries, size=(height, width), scale=scale)
