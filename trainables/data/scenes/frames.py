"""Frames of pictures: crops, and resizing to a square or in proportion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes.facts import Crop

_ROWS, _SIDE = 240, 192  # of CLEVR's pictures, and of the square that is cut out of them
_TOP = {"centre": 24, "google": 29}  # its first row there; the columns are central in both
CROPS: tuple[str, ...] = get_args(Crop)
INTERPOLATIONS = ("nearest", "bilinear")


@dataclass(frozen=True)
class Frame:
    """A square of `image_size` pixels a side, made of a part of each picture; or all, so high.

    The crop `centre` of a picture of 240 × 320 pixels are its rows 24…215 and columns 64…255, that
    of `google` (Locatello et al. 2020) its rows 29…220; of other sizes in proportion to the height.
    `square` is the largest one in the middle, there all rows and columns 40…279. `none` squeezes
    the picture into the square; `whole` keeps its proportions, with the width rounded.
    Pixel i of `image_size` comes with `nearest` from pixel ⌊i · side / image_size⌋ of the crop, as
    in torch's `interpolate`; with `bilinear`, from the two around (i + ½) · side / image_size − ½,
    without a filter against aliasing, rounded. Labels are always taken by `nearest`.
    """

    image_size: int
    crop: str = "none"
    interpolation: str = "nearest"

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("crop", self.crop, CROPS),
            ("interpolation", self.interpolation, INTERPOLATIONS),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        if self.image_size < 1:
            raise ValueError(f"image_size must be at least 1, got {self.image_size}")

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """First row, first column, rows and columns of what is kept of a picture."""
        if self.crop in ("none", "whole"):
            return 0, 0, height, width
        if self.crop == "square":
            side = min(height, width)
            return (height - side) // 2, (width - side) // 2, side, side
        side = round(height * _SIDE / _ROWS)
        if side > width:
            raise ValueError(
                f"crop must be 'none' for pictures of {height} × {width} pixels, got {self.crop!r}"
            )
        return round(height * _TOP[self.crop] / _ROWS), (width - side) // 2, side, side

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of what is made of a picture: S, S, but for `whole`."""
        if self.crop != "whole":
            return self.image_size, self.image_size
        return self.image_size, max(1, round(width * self.image_size / height))

    def nearest(self, pictures: NDArray[Any], axis: int = 1) -> NDArray[Any]:
        """The kept pixels [N, …, *size, …] of pictures [N, …, H, W, …], H being that axis."""
        top, left, rows, columns = self.box(*pictures.shape[axis : axis + 2])
        before = (slice(None),) * axis
        cut = pictures[(*before, slice(top, top + rows), slice(left, left + columns))]
        size = self.size(*pictures.shape[axis : axis + 2])
        if (rows, columns) == size:
            return cut
        found = np.empty((*cut.shape[:axis], *size, *cut.shape[axis + 2 :]), cut.dtype)
        for to_rows, from_rows in _steps(rows, size[0]):
            for to_columns, from_columns in _steps(columns, size[1]):
                found[(*before, to_rows, to_columns)] = cut[(*before, from_rows, from_columns)]
        return found

    def pictures(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What is made of pictures [N, H, W, C], [N, *size, C]."""
        if self.interpolation == "nearest":
            return self.nearest(pictures)
        top, left, rows, columns = self.box(*pictures.shape[1:3])
        cut = pictures[:, top : top + rows, left : left + columns].astype(np.float32)
        for axis, side in enumerate(self.size(*pictures.shape[1:3]), 1):
            low, high, weight = _around(cut.shape[axis], side)
            weight = weight.reshape(-1, *(1,) * (3 - axis))
            cut = cut.take(low, axis) * (1 - weight) + cut.take(high, axis) * weight
        return np.rint(cut).astype(np.uint8)


def _steps(side: int, size: int) -> list[tuple[slice, slice]]:
    """Which of `size` pixels come from which of a side: slices, many times faster than indices.

    Every p-th pixel comes from every q-th one where p / q is size / side in lowest terms.
    """
    common = math.gcd(side, size)
    step, own = side // common, size // common
    return [(slice(k, None, own), slice(k * side // size, None, step)) for k in range(own)]


def _around(side: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray]:
    place = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    low = np.floor(place).astype(np.int64)
    return low, np.minimum(low + 1, side - 1), (place - low).astype(np.float32)
