"""Segments of what has learned nothing: fixed blocks, colours, connected pieces of one colour."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from trainables.metrics.label_maps import by_color

MOST_PIECES = 256
"""So many connected pieces of an image are segments of their own, the largest; the rest is one."""


def blocks(number: int, size: tuple[int, int]) -> Tensor:
    """A label map [H, W], int64, of so many blocks of about equal size: ⌊√number⌋ rows of them.

    Rows of blocks that cannot all have equally many differ by one; 4 is a grid of 2 × 2.
    """
    height, width = size
    rows = int(number**0.5)
    starts = [row * number // rows for row in range(rows + 1)]
    labels = torch.empty(height, width, dtype=torch.long)
    for row in range(rows):
        top, bottom = row * height // rows, (row + 1) * height // rows
        count = starts[row + 1] - starts[row]
        labels[top:bottom] = starts[row] + torch.arange(width) * count // width
    return labels


def connected(labels: Tensor, most: int = MOST_PIECES) -> Tensor:
    """Connected pieces [B, H, W], int64, of label maps: neighbours above, below, left and right.

    Pieces of an image are numbered from 0, the largest first; all beyond `most` share the last
    number, `most` − 1.
    """
    plain = labels.cpu().numpy()
    places = np.arange(plain.size).reshape(plain.shape)
    pairs = [
        (one[same], other[same])
        for one, other, same in (
            (places[:, 1:], places[:, :-1], plain[:, 1:] == plain[:, :-1]),
            (places[:, :, 1:], places[:, :, :-1], plain[:, :, 1:] == plain[:, :, :-1]),
        )
    ]
    ends = [np.concatenate(part) for part in zip(*pairs, strict=True)]
    edges = coo_matrix((np.ones(len(ends[0]), bool), tuple(ends)), (plain.size, plain.size))
    _, piece = connected_components(edges, directed=False)
    return torch.stack([_by_size(one, most) for one in torch.from_numpy(piece).view(labels.shape)])


def _by_size(pieces: Tensor, most: int) -> Tensor:
    """The pieces [H, W] of an image, numbered anew."""
    _, inverse, counts = pieces.unique(return_inverse=True, return_counts=True)
    order = counts.argsort(descending=True, stable=True)
    number = torch.empty_like(order)
    number[order] = torch.arange(len(order))
    return number[inverse].clamp(max=most - 1).long()


def blind_segments(images: Tensor, num_slots: int) -> dict[str, Tensor]:
    """Label maps [B, H, W] of images [B, C, H, W] by the names of what makes them.

    `grid` is always 2 × 2 blocks, `blocks` as many as there are slots, `colors` the nearest of the
    most frequent colours, `components` the connected pieces of these.
    """
    count, (height, width) = len(images), images.shape[2:]
    colors = by_color(images)
    return {
        "grid": blocks(4, (height, width)).expand(count, -1, -1),
        "blocks": blocks(num_slots, (height, width)).expand(count, -1, -1),
        "colors": colors,
        "components": connected(colors),
    }
