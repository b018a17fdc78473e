"""The pictures that examples were cut out of, and where in them they were."""

# C channels, H × W pixels.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.data.boxes.crops import Options, crops, place_of
from trainables.data.boxes.cutting import enlarged, opened_picture
from trainables.data.boxes.listing import Corners
from trainables.data.folder import rounded
from trainables.data.images import MappedSplit, Split
from trainables.data.root import ROOT
from trainables.data.thermal import CountsSplit

_WHITE = 255.0


class Boxed(NamedTuple):
    """A picture, a box in it, and what was cut out for the box.

    Both are left, top, right and bottom in shares of the picture. What was cut out is larger than
    the box by its context; with black beside it, it may reach out of the picture.
    """

    picture: Tensor
    """[C, H, W], float32, 0…1."""
    corners: Corners
    seen: Corners


def boxed(
    split: Split,
    name: str,
    positions: Tensor,
    path: Path,
    seed: int,
    *,
    options: Mapping[str, Any],
    pictures: str | None,
    cut: Mapping[str, Any],
    empty_alone: bool = False,
    root: Path = ROOT,
) -> list[Boxed]:
    """The pictures of examples at positions [n] of a split of this name, read in full.

    The other arguments are those with which the split was made (`trainables.data.images.load`);
    what is learned from pictures without boxes does not matter.

    Raises:
        LookupError: the list of boxes, or a picture, is not there any more.
        ValueError: the split is not made of boxes, or a file is damaged.
    """
    if not isinstance(split, MappedSplit | CountsSplit):
        raise ValueError(f"split must be of boxes, got {type(split).__name__}")
    every = [box for box in crops(path, seed, Options(**options), root).boxes if box.split == name]
    place = place_of(path, pictures)
    channels, bits = split.part.images.shape[1], 8 * split.part.images.dtype.itemsize
    found: list[Boxed] = []
    for number in split.indices[positions.numpy()].tolist():
        box = every[number]
        image = opened_picture(place / box.file, channels, bits)
        plain = rounded(image) if image.mode == "F" else np.asarray(image)
        values = torch.from_numpy(np.array(plain, np.float32))
        values = values[None] if values.ndim == 2 else values.movedim(-1, 0)
        reads = isinstance(split, CountsSplit)
        pixels = split.reading(values[None])[0] if reads else values / _WHITE
        found.append(Boxed(pixels, box.corners, _seen(box.corners, image.size, **cut)))
    return found


def _seen(corners: Corners, size: tuple[int, int], *, context: float, shape: str) -> Corners:
    """What is cut out for a box; padded, a square in pixels around the same middle."""
    left, top, right, bottom = enlarged(corners, context)
    if shape != "pad":
        return left, top, right, bottom
    side = max((right - left) * size[0], (bottom - top) * size[1])
    wide, high = side / size[0] / 2, side / size[1] / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    return x - wide, y - high, x + wide, y + high
