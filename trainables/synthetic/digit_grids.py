"""Clips of real handwritten digits on a 3 × 3 grid: the same digits in each frame, elsewhere.

F frames, O objects, c pixels of a cell.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic import records
from trainables.synthetic.draws import draws
from trainables.synthetic.pngs import png
from trainables.synthetic.rays import Floats
from trainables.synthetic.records import Scene
from trainables.synthetic.splits import TEST, TRAIN, VALIDATION, split_of
from trainables.synthetic.textures import hues

SIZE = 48
"""Pixels of an image's side unless another is asked for."""
CELLS = 9
SPLITS = (TRAIN, VALIDATION, TEST)

_DIGIT, _WHITE = 8, 16  # pixels of a digit's side, and the value of full ink
_SIDE = 3  # cells


def clip(
    seed: int,
    index: int,
    *,
    image_size: int,
    frames: int = 2,
    least: int = 2,
    most: int = 6,
    tinted: bool = False,
) -> Scene:
    """Clip `index` of a seed, in the form of MOVi's records: F arrangements of the same O digits.

    O is drawn from `least` … `most`. The digits are different pictures of scikit-learn's, enlarged
    as often as a cell of c = `image_size` / 3 pixels holds them, in its middle; they are white on
    black, `tinted` ones of a colour each that they keep. No two frames have the same arrangement.
    Clips of a split take digits that no other split has: those of `trainables.data.digits`.

    `video` and `segmentations` are F images as PNG, the latter with one channel: object i of the
    clip has the number i + 1 in all of its frames, wherever there is ink. `instances/category` [O]
    is what digit it is, `instances/image_positions` [O, F, 2] column and row of the middle of its
    cell in 0…1, and `metadata/split` the split.

    Raises:
        ValueError: a number that a grid cannot have.
    """
    _check(image_size, frames, least, most)
    split = split_of(index)
    random = draws("digit_grids", seed, index)
    pixels, classes = _pictures()[split]
    count = int(random.integers(least, most + 1))
    chosen = random.choice(len(pixels), size=count, replace=False)
    cells = _arrangements(random, frames, count)
    white = np.ones((count, 3))
    colors = hues(random, count, saturation=(0.5, 1.0), value=(1.0, 1.0)) if tinted else white
    drawn = [_drawn(pixels[chosen], places, colors, image_size) for places in cells]
    centres = (np.stack([cells % _SIDE, cells // _SIDE], -1) + 0.5) / _SIDE
    return {
        "video": [png(image) for image, _ in drawn],
        "segmentations": [png(labels) for _, labels in drawn],
        "metadata/split": [split.encode()],
        "metadata/num_frames": np.array([frames]),
        "metadata/num_instances": np.array([count]),
        "instances/category": classes[chosen],
        "instances/image_positions": centres.swapaxes(0, 1).astype(np.float32),
    }


def write(folder: Path, clips: Iterable[Scene], count: int) -> None:
    """Writes `digit_grids-<split>.tfrecord-00000-of-00001`, not compressed."""
    with ExitStack() as files:
        add = {
            split: files.enter_context(
                records.opened(folder / f"digit_grids-{split}.tfrecord-00000-of-00001", gzip=False)
            )
            for split in SPLITS
        }
        for scene in clips:
            add[scene["metadata/split"][0].decode()](scene)


def _check(image_size: int, frames: int, least: int, most: int) -> None:
    if image_size % _SIDE or image_size < _SIDE * _DIGIT:
        raise ValueError(
            f"image_size must be a multiple of {_SIDE} and at least {_SIDE * _DIGIT} for "
            f"digit_grids, got {image_size}"
        )
    if not 1 <= least <= most <= CELLS:
        raise ValueError(f"least and most must be 1 ≤ least ≤ most ≤ {CELLS}, got {least}, {most}")
    if not 1 <= frames <= CELLS:
        raise ValueError(f"frames must be 1…{CELLS}, got {frames}")


@functools.cache
def _pictures() -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """By split the digits [N, 8, 8], 0…16, and what they are [N]."""
    from sklearn.datasets import load_digits

    from trainables.data.digits import divided

    found: Any = load_digits(return_X_y=True)
    pixels, classes = found[0].astype(np.int64).reshape(-1, _DIGIT, _DIGIT), found[1]
    return {
        split: (pixels[indices], classes[indices])
        for split, indices in zip(SPLITS, divided(classes, 0).values(), strict=True)
    }


def _arrangements(random: np.random.Generator, frames: int, count: int) -> NDArray[np.int64]:
    """The cell [F, O] of each object in each frame; all rows differ."""
    found = np.empty((0, count), np.int64)
    while len(found) < frames:
        tried = random.permutation(CELLS)[:count]
        if not (found == tried).all(1).any():
            found = np.concatenate([found, tried[None]])
    return found


def _drawn(
    pixels: NDArray[np.int64], places: NDArray[np.int64], colors: Floats, side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image [S, S, 3] and its labels [S, S] of digits [O, 8, 8] in some cells [O]."""
    cell = side // _SIDE
    times = cell // _DIGIT
    margin = (cell - times * _DIGIT) // 2
    image, labels = np.zeros((side, side, 3)), np.zeros((side, side), np.uint8)
    for number, (digit, place, color) in enumerate(zip(pixels, places, colors, strict=True), 1):
        ink = np.kron(digit, np.ones((times, times), np.int64))
        row, column = (cell * int(each) + margin for each in divmod(int(place), _SIDE))
        here = slice(row, row + len(ink)), slice(column, column + len(ink))
        image[here] = ink[..., None] / _WHITE * color
        labels[here] = number * (ink > 0)
    return np.rint(image * 255).astype(np.uint8), labels
