"""Crops, turned and sheared, in one step: each pixel of a crop is read from its image once."""

# B images, N crops, C channels, H × W pixels of an image, S × S of a crop.

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def cut(
    images: Tensor,
    boxes: Tensor,
    size: int,
    *,
    turns: Tensor | None = None,
    shears: Tensor | None = None,
) -> Tensor:
    """The boxes of images at S × S pixels, bilinear between pixels and without antialiasing.

    Pixel (i, j) of a crop lies at top + (i + ½) · height / S and left + (j + ½) · width / S of its
    image, to half a pixel inside the box: so a box of whole pixels is resized as if it were alone.
    With angles, pixel p of the crop shows what R(turn) · S(shear) · (p − c) + c would show without,
    c the middle of the crop, R = [[cos, −sin], [sin, cos]] and S = [[1, −sin], [0, cos]] for (row,
    column), as Keras has it; beyond the crop the nearest pixel in it counts.

    Args:
        images: [B, C, H, W], float.
        boxes: top, left, height, width in shares of the image, [N, 4], N a multiple of B: those of
            an image in a row.
        size: S.
        turns: angles in degrees, [N] (None: all 0).
        shears: angles in degrees, [N] (None: all 0).

    Returns:
        [N, C, S, S].
    """
    pixels = images.new_tensor(images.shape[2:])
    start, sides = boxes[:, :2] * pixels, boxes[:, 2:] * pixels
    places = (torch.arange(size, dtype=images.dtype, device=images.device) + 0.5) / size
    if turns is None and shears is None:  # rows and columns have nothing to do with each other
        found = _within(places[:, None], start[:, None], sides[:, None])
        found = 2 * found / pixels - 1
        rows, columns = found[:, :, None, :1], found[:, None, :, 1:]
        seen = [one.expand(-1, size, size, -1) for one in (columns, rows)]
        grid = torch.cat(seen, -1)
    else:
        rows, columns = torch.meshgrid(places, places, indexing="ij")
        grid = torch.stack([rows, columns], -1).expand(len(boxes), -1, -1, -1)
        grid = _moved(grid, _matrices(turns, shears, boxes), size)
        found = _within(grid, start[:, None, None], sides[:, None, None])
        grid = (2 * found / pixels - 1).flip(-1)
    # All crops of an image below one another: it is not copied for each.
    below = grid.reshape(len(images), -1, size, 2)
    crops = functional.grid_sample(images, below, padding_mode="border", align_corners=False)
    return crops.unflatten(2, (-1, size)).transpose(1, 2).flatten(0, 1)


def _within(places: Tensor, start: Tensor, sides: Tensor) -> Tensor:
    """Places in shares of a box, in pixels of the image, to half a pixel inside the box."""
    found = start + places * sides
    inside = torch.minimum(torch.maximum(found, start + 0.5), start + sides - 0.5)
    return torch.where(sides >= 1, inside, start + sides / 2)  # of less than a pixel the middle


def _moved(grid: Tensor, matrices: Tensor, size: int) -> Tensor:
    """What the pixels of a turned crop show, in shares of the crop, [N, S, S, 2]."""
    half = 0.5 / size
    moved = (grid - 0.5) @ matrices.mT[:, None] + 0.5
    return moved.clamp(half, 1 - half)


def _matrices(turns: Tensor | None, shears: Tensor | None, boxes: Tensor) -> Tensor:
    """R · S of each crop, [N, 2, 2], for (row, column)."""
    none = boxes.new_zeros(len(boxes))
    turn = (none if turns is None else turns) * (math.pi / 180)
    lean = (none if shears is None else shears) * (math.pi / 180)
    turned = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], -1)
    sheared = torch.stack([none + 1, -lean.sin(), none, lean.cos()], -1)
    return turned.view(-1, 2, 2) @ sheared.view(-1, 2, 2)
