"""Tetrominoes: three pieces of four cells each, in pure colours on black."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic.draws import draws
from trainables.synthetic.records import Scene

SIZE = 35
"""Pixels of an image's side in the published set."""
NUM_PIECES = 3
CELLS_PER_SIDE = 7
COLORS = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=np.float32
)
"""The six pure hues: red, green, blue, yellow, magenta, cyan."""

_PIECES = {
    "I": ["####"],
    "O": ["##", "##"],
    "T": ["###", ".#."],
    "S": [".##", "##."],
    "Z": ["##.", ".##"],
    "J": ["#..", "###"],
    "L": ["..#", "###"],
}


def _rotations(rows: list[str]) -> list[NDArray[np.bool_]]:
    piece = np.array([[cell == "#" for cell in row] for row in rows])
    turned = [np.rot90(piece, quarter) for quarter in range(4)]
    different = {(each.shape, each.tobytes()): each for each in reversed(turned)}
    return list(reversed(different.values()))


SHAPES = [shape for rows in _PIECES.values() for shape in _rotations(rows)]
"""All 19 pieces that differ by rotation or reflection: bool [rows, columns], both 1…4."""


def scene(seed: int, index: int, *, image_size: int, equal_colors: bool = False) -> Scene:
    """Scene `index` of a seed: image [S, S, 3], masks [4, S, S, 1] 0/255, entity 0 the background.

    A cell is `S // 7` pixels wide: 5 at 35, 4 at 28. Shape, place (to the pixel) and colour are
    uniform; pieces lie inside of the image and never overlap, and two of one colour do not touch,
    neither at an edge nor at a corner, since they would be one piece to anybody. `equal_colors`
    draws colours independently; otherwise those of a scene differ.

    `x`, `y` [4] are the centre of the piece's box in pixels, `shape` [4] counts from 1 in the order
    of `SHAPES`, `color` [4, 3] is 0…1, and all of them are 0 for the background. `visibility` is 1.

    Compatible with the published set (Multi-Object Datasets, Kabra et al. 2019), not identical: of
    the 19 pieces that one does not say which 17 it has, and what its `x` and `y` measure.

    Raises:
        ValueError: the image is below 14 pixels, too small for three pieces.
    """
    if image_size < 14:
        raise ValueError(f"image_size must be at least 14 for tetrominoes, got {image_size}")
    random = draws("tetrominoes", seed, index)
    shapes = random.integers(len(SHAPES), size=NUM_PIECES)
    colors = random.choice(len(COLORS), size=NUM_PIECES, replace=equal_colors)
    masks, centres = _placed(random, shapes, colors, image_size)
    pieces = COLORS[colors]
    image = (masks[..., None] * pieces[:, None, None]).sum(0) * 255
    background = ~masks.any(0, keepdims=True)
    return {
        "image": image.astype(np.uint8),
        "mask": np.concatenate([background, masks])[..., None].astype(np.uint8) * np.uint8(255),
        "x": _with_background(centres[:, 1]),
        "y": _with_background(centres[:, 0]),
        "shape": _with_background(shapes + 1),
        "color": _with_background(pieces),
        "visibility": np.ones(1 + NUM_PIECES, dtype=np.float32),
    }


def _placed(
    random: np.random.Generator, shapes: NDArray[np.int64], colors: NDArray[np.int64], side: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Masks [3, S, S] and centres [3, 2] (row, column); all three are drawn anew until they fit."""
    cell = side // CELLS_PER_SIDE
    pieces = [np.kron(SHAPES[shape], np.ones((cell, cell), dtype=bool)) for shape in shapes]
    sizes = np.array([piece.shape for piece in pieces])
    while True:
        corners = random.integers(0, side - sizes + 1)
        masks = np.zeros((NUM_PIECES, side, side), dtype=bool)
        for mask, piece, (top, left) in zip(masks, pieces, corners, strict=True):
            mask[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
        if _fit(masks, colors):
            return masks, corners + (sizes - 1) / 2


def _fit(masks: NDArray[np.bool_], colors: NDArray[np.int64]) -> bool:
    if masks.sum(0).max() > 1:
        return False
    equal = [(a, b) for a in range(NUM_PIECES) for b in range(a) if colors[a] == colors[b]]
    return not any((_grown(masks[a]) & masks[b]).any() for a, b in equal)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _with_background(values: NDArray[np.generic]) -> NDArray[np.float32]:
    zero = np.zeros_like(values[:1])
    return np.concatenate([zero, values]).astype(np.float32)
