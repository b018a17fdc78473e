"""Boxes: formats, areas, overlaps and distances, with gradients."""

# … any dimensions in front, N and M boxes.

from __future__ import annotations

import torch
from torch import Tensor


def to_corners(boxes: Tensor) -> Tensor:
    """Corners (left, top, right, bottom) of boxes [..., 4] given by their centre, width, height.

    In the unit of the boxes, be it the size of the picture (0…1) or pixels.
    """
    centre, size = boxes.split(2, -1)
    half = size / 2
    return torch.cat([centre - half, centre + half], -1)


def areas(corners: Tensor) -> Tensor:
    """Width · height [...] of boxes [..., 4] given by corners; 0 where a side is negative."""
    left, top, right, bottom = corners.unbind(-1)
    return (right - left).clamp(min=0) * (bottom - top).clamp(min=0)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union [...] of boxes [..., 4] given by corners, in 0…1.

    Dimensions in front are broadcast. Boxes without area are allowed: a side below 0 counts as 0,
    and where the union has no area the value is 0, with gradient 0. NaN stays NaN.
    """
    return _overlaps(first, second)[0]


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU [...] of boxes [..., 4] given by corners, in −1…1; 1 for equal ones.

    IoU − (|hull| − |union|) / |hull| (Rezatofighi et al. 2019, algorithm 1). Dimensions in front
    are broadcast. Boxes without area are allowed, as by `iou`; where the hull has none the second
    part is 0. NaN stays NaN.
    """
    value, union = _overlaps(first, second)
    left, top, right, bottom = first.unbind(-1)
    other_left, other_top, other_right, other_bottom = second.unbind(-1)
    width = torch.maximum(right, other_right) - torch.minimum(left, other_left)
    height = torch.maximum(bottom, other_bottom) - torch.minimum(top, other_top)
    hull = width.clamp(min=0) * height.clamp(min=0)
    return value - _ratio(hull - union, hull)


def l1(first: Tensor, second: Tensor) -> Tensor:
    """The sum [...] of the four absolute differences of boxes [..., 4]; at least 0."""
    return (first - second).abs().sum(-1)


def pairwise(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes [..., N, 4] and [..., M, 4] as [..., N, 1, 4] and [..., 1, M, 4].

    What `iou`, `giou` and `l1` make of these is [..., N, M], each with each.
    """
    return first[..., :, None, :], second[..., None, :, :]


def _overlaps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and the area of the union."""
    left, top, right, bottom = first.unbind(-1)
    other_left, other_top, other_right, other_bottom = second.unbind(-1)
    width = torch.minimum(right, other_right) - torch.maximum(left, other_left)
    height = torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)
    shared = width.clamp(min=0) * height.clamp(min=0)
    union = areas(first) + areas(second) - shared
    return _ratio(shared, union), union


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Part / whole; 0 where the whole is nothing."""
    return part / (whole + (whole == 0))
