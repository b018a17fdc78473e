"""Positions of the cells of a feature grid in their image, and the mask of padding."""

# B images, h and w rows and columns of the grid, K = h·w cells, row after row, D width.

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

_EPS = 1e-6
_TEMPERATURE = 10_000.0


def grid_padding(sizes: Tensor, image_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Which cells of a grid are padding, bool [B, h, w].

    A cell is what nearest-neighbour resampling takes for it, the pixel ⌊i · H/h⌋ of H, and is
    padding if that is.

    Args:
        sizes: [B, 2], height and width of the pictures in pixels, which lie at the top left.
        image_size: height and width of images with their padding.
        grid: h and w.
    """
    rows, columns = (
        _pixels(pixels, cells, sizes.device) for pixels, cells in zip(image_size, grid, strict=True)
    )
    below = rows >= sizes[:, :1]
    beside = columns >= sizes[:, 1:]
    return below[:, :, None] | beside[:, None]


def _pixels(pixels: int, cells: int, device: torch.device) -> Tensor:
    """In single precision, in which nearest-neighbour resampling computes it."""
    scale = torch.tensor(pixels / cells, dtype=torch.float32, device=device)
    found = (torch.arange(cells, dtype=torch.float32, device=device) * scale).floor().long()
    return found.clamp_max(pixels - 1)


class SinePositions(nn.Module):
    """Fixed positions of cells, half of D for rows, half for columns (Carion et al. 2020, A.4).

    A cell counts the cells of the image above it, itself included, over all of its column:
    y = 2π · count/(all + 10⁻⁶), and the feature 2i of its half is sin(y/10000^(2i/(D/2))), that
    behind it the cosine; likewise x. Cells of padding below or beside count on without going on.

    Raises:
        ValueError: the width is no multiple of 4.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        if width % 4:
            raise ValueError(f"width must be a multiple of 4 for sine positions, got {width}")
        self.width = width

    def forward(
        self, grid: tuple[int, int], padding: Tensor | None = None, *, device: torch.device
    ) -> Tensor:
        """Positions [B, K, D] of grids with padding, bool [B, h, w], or [1, K, D] without any."""
        if padding is None:
            return _sines_of_a_whole(grid, self.width, device)
        return _sines(~padding, self.width)


@lru_cache(maxsize=64)
def _sines_of_a_whole(grid: tuple[int, int], width: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():  # of use in training, too
        return _sines(torch.ones(1, *grid, dtype=torch.bool, device=device), width)


def _sines(is_image: Tensor, width: int) -> Tensor:
    halves: list[Tensor] = []
    pairs = torch.arange(width // 4, dtype=torch.float32, device=is_image.device)
    periods = _TEMPERATURE ** (2 * pairs / (width // 2))
    for axis in (1, 2):
        counts = is_image.cumsum(axis, dtype=torch.float32)
        ends = counts.select(axis, -1).unsqueeze(axis)
        angles = (counts / (ends + _EPS) * (2 * math.pi))[..., None] / periods
        halves.append(torch.stack([angles.sin(), angles.cos()], -1).flatten(3))
    return torch.cat(halves, -1).flatten(1, 2)


class LearnedPositions(nn.Module):
    """Learned positions of cells: half of D for the column, then half for the row, uniform in 0…1
    at first.

    Args:
        width: D.
        side: how many rows and columns there are positions for; 50 in Carion et al. 2020.

    Raises:
        ValueError: the width is odd.
    """

    def __init__(self, width: int, *, side: int = 50) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"width must be even for learned positions, got {width}")
        self.side = side
        self.rows = nn.Parameter(torch.empty(side, width // 2).uniform_())
        self.columns = nn.Parameter(torch.empty(side, width // 2).uniform_())

    def forward(
        self,
        grid: tuple[int, int],
        padding: Tensor | None = None,
        *,
        device: torch.device | None = None,
    ) -> Tensor:
        """Positions [1, K, D] of a grid, whatever of it is padding.

        Raises:
            ValueError: the grid has more rows or columns than there are positions.
        """
        height, width = grid
        if max(grid) > self.side:
            raise ValueError(
                f"grid must have at most {self.side} rows and columns for learned positions, got "
                f"{height} × {width}; take smaller images or sine positions"
            )
        columns = self.columns[:width].expand(height, -1, -1)
        rows = self.rows[:height, None].expand(-1, width, -1)
        return torch.cat([columns, rows], -1).flatten(0, 1)[None]
