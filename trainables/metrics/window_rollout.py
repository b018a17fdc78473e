"""Attention rollout through windows, without ever making a map from all places to all places."""

# B images, W windows of n places, P places of a grid (P₁ of the first layer, R of the last).

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.layers.windows import Windows
from trainables.metrics.rollout import summing_to_one


def window_rollout(
    layers: Sequence[tuple[Tensor, Windows]],
    *,
    adds_residual: bool = True,
    halves: bool = True,
    normalizes: bool = True,
) -> Tensor:
    """What the places of the last layer of Swin go back to, [B, R, P₁].

    `rollout.rollout` of the layers `unwindowed`, with `merging` where the grid becomes half as
    large: R = ½ (A_L + I) … merging … ½ (A₁ + I), which is worked out from the last layer to the
    first, row by row within windows. Each row adds up to 1.

    Args:
        layers: from first to last; the attention of each, [B·W, n, n], of one head or `reduced`,
            with its windows.
        adds_residual: as of `rollout`.
        halves: as of `rollout`.
        normalizes: as of `rollout`.

    Raises:
        ValueError: windows do not divide their grid, or a grid is neither the one before nor half
            of it.
    """
    maps, last = layers[-1]
    places = last.grid[0] * last.grid[1]
    images = len(maps) * maps.shape[1] // places
    rows = torch.eye(places, dtype=maps.dtype, device=maps.device).expand(images, -1, -1)
    grid = last.grid
    for maps, windows in reversed(layers):
        _check(windows, grid)
        if windows.grid != grid:
            rows, grid = _through_merging(rows, grid), windows.grid
        looked = _through_windows(rows, maps, windows)
        rows = (rows + looked if adds_residual else looked) / (2 if adds_residual and halves else 1)
    return summing_to_one(rows) if normalizes else rows


def _through_windows(rows: Tensor, maps: Tensor, windows: Windows) -> Tensor:
    """Rows [B, R, P] times the map [P, P] that attention within windows is."""
    (height, width), (down, across) = windows.grid, windows.size
    grid = rows.unflatten(2, windows.grid)
    grid = grid.roll((-windows.shift[0], -windows.shift[1]), (2, 3))
    parts = grid.unflatten(3, (width // across, across)).unflatten(2, (height // down, down))
    parts = parts.permute(0, 2, 4, 1, 3, 5)  # B, rows and columns of windows, R, places of one
    shape = parts.shape
    looked = (parts.flatten(4).flatten(0, 2) @ maps).view(shape).permute(0, 3, 1, 4, 2, 5)
    grid = looked.reshape(grid.shape).roll(windows.shift, (2, 3))
    return grid.flatten(2)


def _through_merging(rows: Tensor, grid: tuple[int, int]) -> Tensor:
    """Rows [B, R, P / 4] times `merging`, [B, R, P]: a quarter to each of 2 × 2 places."""
    fine = rows.unflatten(2, grid) / 4
    return fine.repeat_interleave(2, 2).repeat_interleave(2, 3).flatten(2)


def _check(windows: Windows, later: tuple[int, int]) -> None:
    if any(size % step for size, step in zip(windows.grid, windows.size, strict=True)):
        raise ValueError(f"windows must divide their grid {windows.grid}, got {windows.size}")
    if windows.grid not in (later, (2 * later[0], 2 * later[1])):
        raise ValueError(
            f"grid must be that of the next layer, {later}, or twice as large, got {windows.grid}"
        )
