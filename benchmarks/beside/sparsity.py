"""Sparsity of attention: Gini index, share of zeros, and attention within the boxes of objects.

The original is github.com/erikdao/sparse-detector at 7950c4e. Its index and its zeros are means by
layer; ours are those of each map, whose means are compared. What it has of boxes is a part of a
script, and is said here in other words: a map is enlarged to its picture, and summed within a box
whose borders are whole pixels.
"""

# 6 layers, 8 heads, Q queries, h × w cells, P pairs.

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.beside.pairing import Case, Sides, original
from trainables.layers.entmax_newton import sparsemax
from trainables.losses.boxes import to_corners
from trainables.metrics.attention_in_boxes import attention_in_boxes
from trainables.metrics.sparsity import gini, zeros

PACKAGE = "sparse_detector"
SHAPE = (6, 1, 8, 100, 1000)
THRESHOLD = 1e-6
PAIRS, GRID, STRIDE = 400, (25, 38), 20
PICTURE = (GRID[0] * STRIDE, GRID[1] * STRIDE)

_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": partial(torch.softmax, dim=-1),
    "sparsemax": sparsemax,
}


def cases() -> list[Case]:
    """Index and zeros of 4,800 maps of 1,000 cells; 400 pairs of a map and a box.

    A box of whole pixels and an enlarged map are another box and another map: means over pairs
    agree to a thousandth.
    """
    built: dict[str, Callable[[], Sides]] = {}
    for name in _MAPS:
        built |= {
            f"Gini index, {name}, ≥ 5 ×": partial(_gini, name),
            f"zeros up to {THRESHOLD}, {name}, ≥ 6 ×": partial(_zeros, name),
        }
    found = [Case(name, build, is_timed=True) for name, build in built.items()]
    boxes = Case(f"attention in {PAIRS} boxes, ≥ 60 ×", _boxes, is_timed=True)
    return [*found, boxes]


def _weights(name: str) -> Tensor:
    draws = 2 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    return _MAPS[name](draws)


def _gini(name: str) -> Sides:
    weights = _weights(name)
    theirs = original("utils.metrics", PACKAGE).gini_vectorized
    return Sides(
        lambda: {"index": theirs(weights)}, lambda: {"index": gini(weights).flatten(1).mean(1)}
    )


def _zeros(name: str) -> Sides:
    weights = _weights(name)
    theirs = original("utils.metrics", PACKAGE).zeros_ratio_vectorized
    return Sides(
        lambda: {"share": theirs(weights, THRESHOLD)},
        lambda: {"share": zeros(weights, (THRESHOLD,)).flatten(1).mean(1)},
    )


def _boxes() -> Sides:
    """The mean over pairs, whose boxes are from a tenth to six tenths of a side."""
    draw = torch.Generator().manual_seed(0)
    maps = (2 * torch.randn(PAIRS, GRID[0] * GRID[1], generator=draw)).softmax(-1)
    maps = maps.view(PAIRS, *GRID)
    sides = 0.1 + 0.5 * torch.rand(PAIRS, 2, generator=draw)
    middles = sides / 2 + (1 - sides) * torch.rand(PAIRS, 2, generator=draw)
    boxes, sizes = torch.cat([middles, sides], 1), torch.tensor(PICTURE).expand(PAIRS, 2)
    corners = to_corners(boxes) * torch.tensor(PICTURE).flip(0).repeat(2)

    def original_step() -> dict[str, Any]:
        shares: list[float] = []
        for one, corner in zip(maps, corners.int().tolist(), strict=True):
            large = functional.interpolate(one[None, None], PICTURE, mode="bilinear")[0, 0]
            left, top, right, bottom = corner
            shares.append(float(large[top:bottom, left:right].sum() / large.sum()))
        return {"share": sum(shares) / PAIRS}

    def our_step() -> dict[str, Any]:
        return {"share": attention_in_boxes(maps, boxes, sizes, STRIDE).share.mean()}

    return Sides(original_step, our_step)
