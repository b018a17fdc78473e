"""Last augmentations of a resized picture: crops of a fixed size, padding, erasing.

DETR's code has these transforms (github.com/facebookresearch/detr, `datasets/transforms.py`) and
its training uses none of them. Sizes are height and width in pixels.
"""

# n boxes of a picture of H × W pixels.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Size = tuple[int, int]
Floats = NDArray[np.float64]

FINISHING_DRAWS = 12
"""Uniform draws of a picture in [0, 1): cut, its row and column; cut from the middle; padded, rows
and columns; erased, its area, its ratio, its row and column."""


class Crop(NamedTuple):
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Finishing:
    """What is done to resized pictures, each with a probability, in this order.

    A part of `fixed_crop_sides` is taken at a uniform place; one of `centre_crop_sides` from the
    middle (of smaller pictures what there is); up to `most_padding` black rows below and as many
    columns to the right are added; a black rectangle covers a share of the picture in
    `erased_range`, its height over its width being in `erased_ratio` (Zhong et al. 2020).
    """

    fixed_crop_rate: float = 0.0
    fixed_crop_sides: Size = (384, 384)
    centre_crop_rate: float = 0.0
    centre_crop_sides: Size = (384, 384)
    pad_rate: float = 0.0
    most_padding: int = 32
    erase_rate: float = 0.0
    erased_range: tuple[float, float] = (0.02, 0.33)
    erased_ratio: tuple[float, float] = (0.3, 3.3)

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be, naming the field."""
        for name in ("fixed_crop_rate", "centre_crop_rate", "pad_rate", "erase_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0…1, got {getattr(self, name)}")
        for name in ("fixed_crop_sides", "centre_crop_sides"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"{name} must be of at least 1 pixel, got {getattr(self, name)}")
        if self.most_padding < 1:
            raise ValueError(f"most_padding must be at least 1, got {self.most_padding}")
        if not 0 < self.erased_range[0] <= self.erased_range[1] <= 1:
            raise ValueError(f"erased_range must rise within 0…1, got {self.erased_range}")
        if not 0 < self.erased_ratio[0] <= self.erased_ratio[1]:
            raise ValueError(f"erased_ratio must rise from above 0, got {self.erased_ratio}")

    @property
    def is_neutral(self) -> bool:
        """Whether nothing is ever done."""
        return not (
            self.fixed_crop_rate or self.centre_crop_rate or self.pad_rate or self.erase_rate
        )


class Finished(NamedTuple):
    """What is done to one picture: parts of parts, the size with its padding, what is erased."""

    crops: tuple[Crop, ...]
    size: Size
    erased: Crop | None


def finished(size: Size, draws: Sequence[float], how: Finishing) -> Finished:
    """What becomes of a picture of a size, by `FINISHING_DRAWS` uniform draws in [0, 1)."""
    crops: list[Crop] = []
    if draws[0] < how.fixed_crop_rate:
        height, width = _within(how.fixed_crop_sides, size)
        top, left = _below(size[0] - height, draws[1]), _below(size[1] - width, draws[2])
        crops.append(Crop(top, left, height, width))
        size = height, width
    if draws[3] < how.centre_crop_rate:
        height, width = _within(how.centre_crop_sides, size)
        crops.append(
            Crop(round((size[0] - height) / 2), round((size[1] - width) / 2), height, width)
        )
        size = height, width
    if draws[4] < how.pad_rate:
        rows, columns = (_below(how.most_padding, draw) for draw in draws[5:7])
        size = size[0] + rows, size[1] + columns
    erased = _erased(size, draws[8:], how) if draws[7] < how.erase_rate else None
    return Finished(tuple(crops), size, erased)


def finished_pixels(image: Tensor, what: Finished) -> Tensor:
    """The same of pixels, uint8 [3, H, W] → [3, h, w]; what is black is 0."""
    for top, left, height, width in what.crops:
        image = image[:, top : top + height, left : left + width]
    rows, columns = what.size[0] - image.shape[1], what.size[1] - image.shape[2]
    if rows or columns:
        image = functional.pad(image, (0, columns, 0, rows))
    if what.erased is not None:
        top, left, height, width = what.erased
        image = image.clone()
        image[:, top : top + height, left : left + width] = 0
    return image


def cropped(boxes: Floats, crop: Crop) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """What a part of a picture has of boxes [n, 4], the areas of that, and which they are.

    Boxes are left, top, right and bottom in pixels; those of which nothing is left are dropped.
    """
    top, left, height, width = crop
    moved = boxes - np.array([left, top, left, top])
    moved = moved.clip(0, np.array([width, height, width, height]))
    sides = moved[:, 2:] - moved[:, :2]
    kept = np.flatnonzero((sides > 0).all(1))
    return moved[kept], sides[kept].prod(1), kept


def _erased(size: Size, draws: Sequence[float], how: Finishing) -> Crop:
    """The area uniform, the ratio uniform by its logarithm; within the picture."""
    low, high = how.erased_range
    area = (low + (high - low) * draws[0]) * size[0] * size[1]
    least, most = (math.log(one) for one in how.erased_ratio)
    ratio = math.exp(least + (most - least) * draws[1])
    sides = max(1, round(math.sqrt(area * ratio))), max(1, round(math.sqrt(area / ratio)))
    height, width = _within(sides, size)
    return Crop(
        _below(size[0] - height, draws[2]), _below(size[1] - width, draws[3]), height, width
    )


def _within(sides: Size, size: Size) -> Size:
    return min(sides[0], size[0]), min(sides[1], size[1])


def _below(most: int, draw: float) -> int:
    """One of 0 … most, each as likely."""
    return int(draw * (most + 1))
