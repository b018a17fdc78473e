"""Geometry before pixels: what becomes of a picture and its boxes, known before it is decoded.

A plan follows from height, width, boxes and draws alone, so that the sizes and boxes of a whole
batch are known to each of those that make a part of it. Sizes are height and width in pixels.
"""

# n boxes of a picture, H × W pixels before and h × w pixels after.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainables.data.detection.finishing import (
    FINISHING_DRAWS,
    Crop,
    Finished,
    Finishing,
    Floats,
    Size,
    cropped,
    finished,
    finished_pixels,
)

DRAWS = 8
"""Uniform draws of a picture in [0, 1): mirrored, cropped, size at the end, size before the crop,
width and height of the crop, its row and its column."""


def _check_sizes(name: str, sizes: Sequence[int]) -> None:
    if not len(sizes) or min(sizes) < 1:
        raise ValueError(f"{name} must be of at least 1 pixel each, got {list(sizes)}")


@dataclass(frozen=True)
class Resizing:
    """The short side is `size` pixels, or as many as leave the long side at most `longest`."""

    size: int
    longest: int

    def __post_init__(self) -> None:
        _check_sizes("size", (self.size,))
        _check_sizes("longest", (self.longest,))


@dataclass(frozen=True)
class Augmentation:
    """How pictures for training are changed.

    With probability `mirror_rate` one is mirrored. With probability `crop_rate` its short side is
    then resized to one of `first_sizes`, and a part of it taken whose sides are uniform between
    those of `crop_range` (of the picture, where that is smaller) and whose place is uniform. Then
    its short side is resized to one of `sizes`, the long side being at most `longest`. What is done
    after that, if anything, says `finishing`.
    """

    sizes: Sequence[int]
    longest: int
    mirror_rate: float
    crop_rate: float
    first_sizes: Sequence[int]
    crop_range: tuple[int, int]
    finishing: Finishing | None = None

    def __post_init__(self) -> None:
        _check_sizes("sizes", self.sizes)
        _check_sizes("longest", (self.longest,))
        _check_sizes("crop_range", self.crop_range)
        if self.crop_rate:
            _check_sizes("first_sizes", self.first_sizes)
        if self.crop_range[0] > self.crop_range[1]:
            raise ValueError(f"crop_range must be ascending, got {self.crop_range}")
        for name in ("mirror_rate", "crop_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0…1, got {getattr(self, name)}")

    @property
    def draws(self) -> int:
        """How many draws a picture needs: `DRAWS`, and behind them `FINISHING_DRAWS`, if any."""
        return DRAWS if self.finishing is None else DRAWS + FINISHING_DRAWS


PUBLISHED = Augmentation(
    sizes=range(480, 801, 32),
    longest=1333,
    mirror_rate=0.5,
    crop_rate=0.5,
    first_sizes=(400, 500, 600),
    crop_range=(384, 600),
)
"""That of DETR (Carion et al. 2020, appendix A.4)."""
PUBLISHED_RESIZING = Resizing(800, 1333)
"""The same for evaluation."""


class Plan(NamedTuple):
    """What is done to a picture of size `source`, in this order, and what its boxes become.

    `first` and `crop` are None where there is none, and so is `after`, what is done to the picture
    once it is `resized`. `size` is that at the end. `boxes` [n, 4], float32, are centre (column,
    row), width and height in 0…1 of the picture of `size`, not empty; `kept` [n] says which of the
    boxes before they are; `areas` [n] in square pixels of the new picture.
    """

    source: Size
    mirrored: bool
    first: Size | None
    crop: Crop | None
    size: Size
    boxes: NDArray[np.float32]
    kept: NDArray[np.int64]
    areas: NDArray[np.float64]
    after: Finished | None = None
    resized: Size | None = None


def evaluation_plan(source: Size, boxes: Floats, areas: Floats, resizing: Resizing) -> Plan:
    """The plan for evaluation: a picture is resized, and nothing else.

    `boxes` [n, 4] left, top, right and bottom in pixels of the picture, `areas` [n].
    """
    size = resized(source, resizing.size, resizing.longest)
    return _planned(source, False, None, None, size, boxes, areas)


def training_plan(
    source: Size, boxes: Floats, areas: Floats, draws: Sequence[float], how: Augmentation
) -> Plan:
    """The plan for training, a function of `how.draws` uniform draws in [0, 1).

    `boxes` and `areas` as of `evaluation_plan`. A part has the area of what is left of a box, and
    boxes of which nothing is left are dropped. Crops never fail: their bounds are moved into the
    picture.
    """
    mirrored, first, crop = draws[0] < how.mirror_rate, None, None
    before = source
    if draws[1] < how.crop_rate:
        first = resized(source, _chosen(how.first_sizes, draws[3]))
        before = first
        width, height = (
            _between(min(how.crop_range[0], side), min(how.crop_range[1], side), draw)
            for side, draw in zip(reversed(first), draws[4:6], strict=True)
        )
        top, left = (
            _between(0, side - part, draw)
            for side, part, draw in zip(first, (height, width), draws[6:8], strict=True)
        )
        crop = Crop(top, left, height, width)
        before = height, width
    size = resized(before, _chosen(how.sizes, draws[2]), how.longest)
    after = None if how.finishing is None else finished(size, draws[DRAWS:], how.finishing)
    return _planned(source, mirrored, first, crop, size, boxes, areas, after)


def resized(size: Size, short: int, longest: int | None = None) -> Size:
    """The size whose short side is `short` pixels, in the proportions of another.

    With a `longest` side the short one is less where the long one would be longer than that:
    round(longest · short ÷ long); the long one is rounded down. Both are at least 1.
    """
    least, most = min(size), max(size)
    if longest is not None and most / least * short > longest:
        short = max(1, round(longest * least / most))
    long = int(short * most / least)
    return (short, long) if size[0] <= size[1] else (long, short)


def pixels(plan: Plan, image: Tensor) -> Tensor:
    """What a plan makes of a picture, uint8 [3, H, W] → uint8 [3, h, w].

    Sizes change as by Pillow's bilinear filter with its support, to within one of 255.
    """
    if plan.mirrored:
        image = image.flip(-1)
    if plan.first is not None:
        image = _resized_pixels(image, plan.first)
    if plan.crop is not None:
        top, left, height, width = plan.crop
        image = image[:, top : top + height, left : left + width]
    image = _resized_pixels(image, plan.resized or plan.size)
    return image if plan.after is None else finished_pixels(image, plan.after)


def _planned(
    source: Size,
    mirrored: bool,
    first: Size | None,
    crop: Crop | None,
    size: Size,
    boxes: Floats,
    areas: Floats,
    after: Finished | None = None,
) -> Plan:
    kept = np.arange(len(boxes))
    if mirrored:
        width = source[1]
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    before = source
    if first is not None and crop is not None:
        boxes = boxes * _scales(source, first)
        boxes, areas, kept = cropped(boxes, crop)
        before = crop.height, crop.width
    scales = _scales(before, size)
    areas = areas * (scales[0] * scales[1])
    if after is None:
        return Plan(source, mirrored, first, crop, size, _shares(boxes, before), kept, areas)
    boxes = boxes * scales
    for part in after.crops:
        boxes, areas, left = cropped(boxes, part)
        kept = kept[left]
    shares = _shares(boxes, after.size)
    return Plan(source, mirrored, first, crop, after.size, shares, kept, areas, after, size)


def _shares(boxes: Floats, size: Size) -> NDArray[np.float32]:
    """Boxes by edges in pixels as centres and sides in 0…1 of a picture of a size."""
    centred = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)
    return (centred / np.array([size[1], size[0], size[1], size[0]])).astype(np.float32)


def _scales(before: Size, after: Size) -> Floats:
    """By what columns and rows of boxes [n, 4] are multiplied."""
    across, down = after[1] / before[1], after[0] / before[0]
    return np.array([across, down, across, down])


def _resized_pixels(image: Tensor, size: Size) -> Tensor:
    if image.shape[1:] == size:
        return image
    return functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def _chosen(values: Sequence[int], draw: float) -> int:
    return values[int(draw * len(values))]


def _between(least: int, most: int, draw: float) -> int:
    """One of least … most, each as likely."""
    return least + int(draw * (most - least + 1))


def as_draws(draws: Tensor, count: int = DRAWS) -> list[list[float]]:
    """Draws [G, `count`] as numbers.

    Raises:
        ValueError: there are more or fewer of a picture, or one is not in [0, 1).
    """
    if draws.ndim != 2 or draws.shape[1] != count:
        raise ValueError(f"draws must be [G, {count}], got {list(draws.shape)}")
    if not bool(((draws >= 0) & (draws < 1)).all()):
        raise ValueError("draws must be in [0, 1)")
    return draws.to(torch.float64).tolist()
