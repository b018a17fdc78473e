"""Random crops of images: where they lie, and how far two of them overlap.

All randomness comes in as uniform draws in [0, 1), so that a crop is a function of seed, step,
example and view. Boxes are float [..., 4]: top, left, height, width, in shares of the image.
"""

# N crops, T tries, R candidates, H × W pixels of an image.

from __future__ import annotations

import math

import torch
from torch import Tensor

TRIES = 10
"""As many as Szegedy et al. 2015 and all libraries since take."""

_CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))
"""Top and left of a box, in shares of the room it has."""


def resized_boxes(
    draws: Tensor,
    *,
    size: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Tensor:
    """The boxes of random resized crops, [N, 4]; they never leave the image.

    Of `draws` [N, T, 4]: in each of T tries the share of the image's area is uniform in `scale`,
    the logarithm of width ÷ height in pixels uniform between those of `ratio`, and the place
    uniform. The first box that fits counts; where none does, the largest one in the middle whose
    ratio is within the bounds (Szegedy et al. 2015, as torchvision has it).

    Args:
        size: H and W in pixels, which ratios are of.
    """
    height, width = size
    area = _between(draws[..., 0], scale) * (height * width)
    shape = torch.exp(_between(draws[..., 1], (math.log(ratio[0]), math.log(ratio[1]))))
    sides = torch.stack([(area / shape).sqrt() / height, (area * shape).sqrt() / width], -1)
    boxes = torch.cat([draws[..., 2:] * (1 - sides), sides], -1)
    return _first_that_fits(boxes, _middle(size, ratio))


def relative_boxes(
    draws: Tensor, *, area: tuple[float, float], ratio: tuple[float, float]
) -> Tensor:
    """Boxes [N, 4] whose area and ratio of sides are uniform in shares of the image.

    Of `draws` [N, T, 4], T tries of which the first box that fits counts: with area a and ratio r
    its height is √(a / r) and its width √(a · r), both at most 1, and its place is uniform. Ratios
    are of shares: 1 is as wide as the image is. So a box is one of those that fit, as likely as
    each other, which is what drawing from a pool of them is; where none of T fits, the whole image
    is reduced to the first area.
    """
    share, shape = _between(draws[..., 0], area), _between(draws[..., 1], ratio)
    sides = torch.stack([(share / shape).sqrt(), (share * shape).sqrt()], -1)
    boxes = torch.cat([draws[..., 2:] * (1 - sides), sides], -1)
    side = share[:, :1].sqrt().clamp(max=1)
    last = torch.cat([(1 - side) / 2, (1 - side) / 2, side, side], -1)
    return _first_that_fits(boxes, last)


def strip_boxes(draws: Tensor, *, share: tuple[float, float], is_vertical: bool) -> Tensor:
    """Strips [N, 4] from top to bottom, or from left to right, of draws [N, 2].

    Their width is uniform in `share` of that of the image, their place uniform.
    """
    wide = _between(draws[:, 0], share)
    at = draws[:, 1] * (1 - wide)
    none, whole = torch.zeros_like(wide), torch.ones_like(wide)
    return torch.stack([none, at, whole, wide] if is_vertical else [at, none, wide, whole], -1)


def tiled_boxes(draws: Tensor, *, area: tuple[float, float]) -> Tensor:
    """The corners and the middle, [B, V, 4]: top left, top right, bottom left, bottom right,
    middle, and again from the first one on.

    Of draws [B, V] for the share of the image's area, uniform in `area`; a box has the shape of its
    image.
    """
    side = _between(draws, area).sqrt()
    which = torch.arange(draws.shape[1], device=draws.device) % len(_CORNERS)
    place = draws.new_tensor(_CORNERS)[which] * (1 - side)[..., None]
    return torch.cat([place, side[..., None].expand(*side.shape, 2)], -1)


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes [..., 4], in 0…1, [...]."""
    start = torch.maximum(first[..., :2], second[..., :2])
    end = torch.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    both = (end - start).clamp(min=0).prod(-1)
    return both / (first[..., 2:].prod(-1) + second[..., 2:].prod(-1) - both)


def overlapping(first: Tensor, others: Tensor, least: float) -> Tensor:
    """Of boxes that may be taken, the first that overlaps enough with another one.

    Of `first` [N, 4] and `others` [N, R, 4] in the order of their draws: the first whose `overlap`
    is at least `least`; where none has as much, the one with the most. Returns [N, 4].
    """
    found = overlap(first[:, None], others)
    enough = found >= least
    place = torch.where(enough.any(1), enough.float().argmax(1), found.argmax(1))
    return others.gather(1, place[:, None, None].expand(-1, 1, 4))[:, 0]


def _between(draws: Tensor, ends: tuple[float, float]) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * draws


def _middle(size: tuple[int, int], ratio: tuple[float, float]) -> Tensor:
    """The largest box [1, 4] in the middle whose ratio is within bounds."""
    height, width = size
    high, wide = min(1.0, width / ratio[0] / height), min(1.0, height * ratio[1] / width)
    return torch.tensor([[(1 - high) / 2, (1 - wide) / 2, high, wide]])


def _first_that_fits(boxes: Tensor, otherwise: Tensor) -> Tensor:
    """Of boxes [N, T, 4] the first whose sides are at most 1; of those without, `otherwise`."""
    fits = (boxes[..., 2:] <= 1).all(-1)
    place = fits.float().argmax(1)
    found = boxes.gather(1, place[:, None, None].expand(-1, 1, 4))[:, 0]
    return torch.where(fits.any(1)[:, None], found, otherwise.to(found.dtype))
