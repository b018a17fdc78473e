"""How much of what a query looks at is within the box of its object.

P pairs of a query and an object, h × w the grid of a map.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Inside(NamedTuple):
    """Of P pairs: the share of attention in the box, and that of the box in the picture."""

    share: Tensor
    """[..., P] in 0…1; NaN for a map of nothing but zeros."""
    box: Tensor
    """[P] in 0…1: what attention that is equal everywhere would have."""

    @property
    def lift(self) -> Tensor:
        """[..., P], share over chance: 1 for attention that is equal everywhere."""
        return self.share / self.box


def attention_in_boxes(maps: Tensor, boxes: Tensor, sizes: Tensor, stride: int) -> Inside:
    """Σ a_ij·o_i·o_j / Σ a_ij, where o_i and o_j are the shares of a row and a column of cells that
    a box covers, so that a box counts to a fraction of a cell, and no map is enlarged.

    Cells at the right and bottom are cut where the picture ends: the rest of them is padding, and
    attention is spread over what is left. (Published figures enlarge each map to the picture
    instead, with integer borders of boxes, so that small boxes may hold nothing.)

    Args:
        maps: [..., P, h, w], at least 0, of the query of each pair.
        boxes: [P, 4], centre, width, height in 0…1 of the picture; cut at its edges.
        sizes: [P, 2], height and width of the picture in pixels as the network sees it, unpadded.
        stride: the side of a cell in pixels.
    """
    middle, half = boxes[:, :2], boxes[:, 2:] / 2
    extent = sizes.flip(1).to(boxes.dtype)  # width, height
    first = (middle - half).clamp(0, 1) * extent
    last = (middle + half).clamp(0, 1) * extent
    columns = _covered(first[:, 0], last[:, 0], extent[:, 0], maps.shape[-1], stride)
    rows = _covered(first[:, 1], last[:, 1], extent[:, 1], maps.shape[-2], stride)
    inside = torch.einsum("...phw,ph,pw->...p", maps, rows.to(maps), columns.to(maps))
    area = ((last - first) / extent).prod(1)
    return Inside(inside / maps.sum((-2, -1)), area)


def _covered(first: Tensor, last: Tensor, extent: Tensor, cells: int, stride: int) -> Tensor:
    """The share of each cell of an axis, up to the end of the picture, that is covered: [P, n]."""
    begin = torch.arange(cells, device=first.device, dtype=first.dtype) * stride
    end = torch.minimum(begin + stride, extent[:, None])
    own = torch.minimum(last[:, None], end) - torch.maximum(first[:, None], begin)
    return own.clamp(min=0) / (end - begin).clamp(min=1e-9)


def outside_all(maps: Tensor, boxes: Tensor, sizes: Tensor, stride: int) -> Tensor:
    """The share of attention of each map [..., Q, h, w] that is in none of the boxes [N, 4] of its
    picture, as far as cells whose middles lie in a box count as within; [..., Q].

    Without any box it is 1. `sizes` [2] is the height and width of the picture.
    """
    height, width = maps.shape[-2:]
    y = (torch.arange(height, device=maps.device) + 0.5) * stride / sizes[0]
    x = (torch.arange(width, device=maps.device) + 0.5) * stride / sizes[1]
    inside = torch.zeros(height, width, dtype=torch.bool, device=maps.device)
    for box in boxes:
        in_rows, in_columns = (y - box[1]).abs() <= box[3] / 2, (x - box[0]).abs() <= box[2] / 2
        inside |= in_rows[:, None] & in_columns
    return maps.masked_fill(inside, 0).sum((-2, -1)) / maps.sum((-2, -1))
