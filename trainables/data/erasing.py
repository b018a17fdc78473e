"""Parts of images covered: random erasing, and cutout."""

# B images, C channels, H × W pixels.

from __future__ import annotations

import math

import torch
from torch import Tensor

TRIES = 10
ERASE = 1 + 4 * TRIES
"""Draws of `erase`: whether, and for each try area, ratio and place."""


def erase(
    images: Tensor,
    draws: Tensor,
    *,
    rate: float,
    area: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
    value: float = 0.0,
) -> Tensor:
    """A rectangle of a share `rate` of the images becomes `value` (Zhong et al. 2020, algorithm 1).

    Its share of the image is uniform in `area`, the logarithm of height ÷ width uniform in that of
    `ratio`, its place uniform. The first of ten tries that is smaller than the image counts; where
    none is, nothing is erased. As torchvision's `RandomErasing`.

    Args:
        images: [B, C, H, W], in any units.
        draws: in [0, 1), [B, `ERASE`].
        rate: 0…1.
        area: within 0…1.
        ratio: above 0.
        value: in the units of the images: of standardised ones 0 is the mean.

    Returns:
        [B, C, H, W].
    """
    height, width = images.shape[2:]
    tries = draws[:, 1:].unflatten(1, (TRIES, 4))
    areas = height * width * (area[0] + (area[1] - area[0]) * tries[..., 0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    ratios = (low + (high - low) * tries[..., 1]).exp()
    sides = torch.stack([(areas * ratios).sqrt(), (areas / ratios).sqrt()], -1).round()
    room = sides.new_tensor([height, width]) - sides
    fits = (room > 0).all(-1)
    first = fits.to(torch.uint8).argmax(1)
    rows = torch.arange(len(images), device=images.device)
    sides, room = sides[rows, first], room[rows, first]
    start = torch.minimum((tries[rows, first, 2:] * (room + 1)).floor(), room)
    inside = _inside(start, start + sides, (height, width))
    covered = inside & ((draws[:, 0] < rate) & fits.any(1))[:, None, None, None]
    return images.masked_fill(covered, value)


def cutout(images: Tensor, draws: Tensor, *, side: int, value: float = 0.0) -> Tensor:
    """A square of `side` pixels of each image becomes `value` (DeVries and Taylor 2017).

    Its middle is any pixel of the image, as likely as any other: what of the square lies outside is
    not there. Images [B, C, H, W], in any units, draws in [0, 1) [B, 2]; of a side of 0 nothing is
    covered. Squares of an odd side are as large as they say, where the original's lose a pixel.
    """
    size = (images.shape[2], images.shape[3])
    sides = draws.new_tensor(size)
    start = torch.minimum((draws * sides).floor(), sides - 1) - side // 2
    return images.masked_fill(_inside(start, start + side, size), value)


def _inside(start: Tensor, end: Tensor, size: tuple[int, int]) -> Tensor:
    """Which pixels lie in rectangles from `start` up to `end` [B, 2]: bool [B, 1, H, W]."""
    within: list[Tensor] = []
    for axis in range(2):
        places = torch.arange(size[axis], device=start.device)
        within.append((places >= start[:, axis, None]) & (places < end[:, axis, None]))
    return (within[0][:, :, None] & within[1][:, None, :])[:, None]
