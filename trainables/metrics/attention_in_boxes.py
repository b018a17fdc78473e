"""How much of what a query looks at is within the box of its object, in any box, in corners."""

# P pairs of a query and an object; B images, H heads, Q queries, N boxes; h × w the grid of a map.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trainables.metrics.precision import unreduced

CORNER = 1 / 8
"""Of the width and of the height of a picture, for each of its corners."""


class Inside(NamedTuple):
    """Of P pairs: the share of attention in the box, beside that of the box in the picture, and
    that which attention has that is equal over all cells.

    The last two are one where sides are multiples of the stride. Elsewhere a cell at the end holds
    less of the picture than others, but attention may be as much.
    """

    share: Tensor
    """[..., P] in 0…1; NaN for a map of nothing but zeros."""
    box: Tensor
    """[P] in 0…1, of the area of the picture."""
    even: Tensor
    """[P] in 0…1: what attention that is equal over the cells that are no padding has."""

    @property
    def lift(self) -> Tensor:
        """[..., P], share ÷ even: 1 for attention that is equal over the cells, in every size."""
        return self.share / self.even


@unreduced
def attention_in_boxes(
    maps: Tensor, boxes: Tensor, sizes: Tensor, stride: int, padding: Tensor | None = None
) -> Inside:
    """Σ a_ij·o_i·o_j / Σ a_ij, where o_i and o_j are the shares of a row and a column of cells that
    a box covers, so that a box counts to a fraction of a cell, and no map is enlarged.

    Cells at the right and bottom are cut where the picture ends: the rest of them is padding, and
    attention is spread over what is left, so that a box of the whole picture holds all attention on
    cells of it. A cell that lies wholly beyond is in no box, masked or not. (Published figures
    enlarge each map to the picture instead, with integer borders of boxes, so that small boxes may
    hold nothing.)

    Args:
        maps: [..., P, h, w], at least 0, of the query of each pair.
        boxes: [P, 4], centre, width, height in 0…1 of the picture; cut at its edges.
        sizes: [P, 2], height and width of the picture in pixels as the network sees it, unpadded.
        stride: the side of a cell in pixels.
        padding: bool [P, h, w], True where a cell is masked; None: nowhere.
    """
    maps = maps if maps.dtype == torch.float64 else maps.float()
    middle, half = boxes[:, :2], boxes[:, 2:] / 2
    extent = sizes.flip(1).to(boxes.dtype)  # width, height
    first = (middle - half).clamp(0, 1) * extent
    last = (middle + half).clamp(0, 1) * extent
    columns = _covered(first[:, 0], last[:, 0], extent[:, 0], maps.shape[-1], stride)
    rows = _covered(first[:, 1], last[:, 1], extent[:, 1], maps.shape[-2], stride)
    rows, columns = rows.to(maps), columns.to(maps)
    inside = torch.einsum("...phw,ph,pw->...p", maps, rows, columns)
    area = ((last - first) / extent).prod(1)
    valid = maps.new_ones(maps.shape[-3:]) if padding is None else (~padding).to(maps)
    even = torch.einsum("phw,ph,pw->p", valid, rows, columns) / valid.sum((-2, -1))
    return Inside(inside / maps.sum((-2, -1)), area, even)


def _covered(first: Tensor, last: Tensor, extent: Tensor, cells: int, stride: int) -> Tensor:
    """The covered share of each cell of an axis, up to the end of the picture: [..., n]."""
    begin = torch.arange(cells, device=first.device, dtype=first.dtype) * stride
    end = torch.minimum(begin + stride, extent[..., None])
    own = torch.minimum(last[..., None], end) - torch.maximum(first[..., None], begin)
    return own.clamp(min=0) / (end - begin).clamp(min=1e-9)


@unreduced
def cells_in_boxes(
    boxes: Tensor, counts: Tensor, sizes: Tensor, grid: tuple[int, int], stride: int
) -> Tensor:
    """The share of each cell that is in any of the boxes of its picture, [B, h, w] in 0…1.

    What several boxes cover counts once, exactly: the edges of all boxes cut a picture into
    rectangles, each of which is within a box or in none.

    Args:
        boxes: [B, N, 4], centre, width, height in 0…1 of the picture; cut at its edges.
        counts: [B], how many boxes are real, the first ones of a picture.
        sizes: [B, 2], height and width of the pictures in pixels, unpadded.
        grid: h and w.
        stride: the side of a cell in pixels.
    """
    is_real = torch.arange(boxes.shape[1], device=boxes.device) < counts[:, None]
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    extent = sizes.flip(1).to(boxes.dtype)
    first = ((middle - half).clamp(0, 1) * extent[:, None]).transpose(1, 2)  # [B, 2, N]
    last = ((middle + half).clamp(0, 1) * extent[:, None]).transpose(1, 2)
    edges = torch.cat([first, last], -1).sort(-1).values
    begin, end = edges[..., None, :-1], edges[..., None, 1:]
    spans = (first[..., None] <= begin) & (end <= last[..., None]) & is_real[:, None, :, None]
    across, down = spans.to(boxes.dtype).unbind(1)  # [B, N, 2N - 1]
    is_inside = torch.einsum("bny,bnx->byx", down, across) > 0
    parts = [
        _covered(begin[:, axis, 0], end[:, axis, 0], extent[:, axis, None], cells, stride)
        for axis, cells in ((1, grid[0]), (0, grid[1]))
    ]
    return torch.einsum("byx,byh,bxw->bhw", is_inside.to(boxes.dtype), *parts)


def cells_in_pictures(sizes: Tensor, grid: tuple[int, int], stride: int) -> Tensor:
    """Which cells begin within their picture, bool [B, h, w]; arguments as of `cells_in_boxes`.

    Of the others not all are masked as padding: where sides are no multiples of the stride, a cell
    that nearest-neighbour resampling takes for the picture's may begin where that has ended.
    """
    rows, columns = (
        torch.arange(cells, device=sizes.device) * stride < side[:, None]
        for cells, side in zip(grid, sizes.unbind(1), strict=True)
    )
    return rows[:, :, None] & columns[:, None]


@unreduced
def cells_in_corners(sizes: Tensor, grid: tuple[int, int], stride: int) -> Tensor:
    """The share of each cell that is in a corner of its picture, [B, h, w] in 0…1.

    A corner is as wide as an eighth of the picture and as high as an eighth, all four together a
    sixteenth of its area. Arguments as of `cells_in_boxes`.
    """
    shares = list[Tensor]()
    for extent, cells in zip(sizes.double().unbind(1), grid, strict=True):
        edge = extent * CORNER
        begin = _covered(torch.zeros_like(extent), edge, extent, cells, stride)
        shares.append(begin + _covered(extent - edge, extent, extent, cells, stride))
    return torch.einsum("bh,bw->bhw", *shares)


@unreduced
def share_within(maps: Tensor, cells: Tensor) -> Tensor:
    """Σ a_ij·c_ij / Σ a_ij of maps [B, H, Q, K] and shares of cells [B, h, w], K = h·w; [B, H, Q].

    In 0…1; NaN for a map of nothing but zeros. What lies on padding is within nothing.
    """
    within = torch.einsum("bhqk,bk->bhq", maps, cells.flatten(1).to(maps))
    return within / maps.sum(-1)


def even_within(cells: Tensor, padding: Tensor) -> Tensor:
    """What attention that is equal over all cells but padding [B, K] has within shares of cells.

    [B], of shares [B, h, w]: `share_within` of such a map.
    """
    valid = (~padding).to(cells)
    return (cells.flatten(1) * valid).sum(1) / valid.sum(1)
