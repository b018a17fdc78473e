"""Positions of the tokens that object functions look at."""

# N images, P tokens, C their width.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from trainables.layers.checks import check_choice
from trainables.layers.positions import resized_positions

KINDS = ("tied", "copied", "learned")


class ContextPositions(nn.Module):
    """A table of positions, added to tokens before whatever looks at them normalises them.

    For another grid it is resized (see `resized_positions`).

    Args:
        kind: `tied`: the table of the backbone, as it is at each call, which learns from here, too.
            `copied`: a parameter that begins as `table`. `learned`: a parameter, normal of σ 0.02
            at first.
        width: C.
        grid: rows and columns of tokens that the table is for.
        table: of the backbone at first, [1, P, C]; for `copied` only.

    Raises:
        LookupError: `kind` is not known.
        ValueError: there is no table to copy, or one of another shape.
    """

    table: nn.Parameter | None

    def __init__(
        self,
        kind: Literal["tied", "copied", "learned"],
        width: int,
        grid: tuple[int, int],
        table: Tensor | None = None,
    ) -> None:
        super().__init__()
        check_choice("kind", kind, KINDS)
        self.kind, self.grid = kind, (grid[0], grid[1])
        shape = (1, grid[0] * grid[1], width)
        self.table = None
        if kind == "learned":
            self.table = nn.Parameter(torch.empty(shape))
            nn.init.trunc_normal_(self.table, std=0.02)
        elif kind == "copied":
            if table is None or tuple(table.shape) != shape:
                got = "none" if table is None else list(table.shape)
                raise ValueError(f"table must be {list(shape)} to be copied, got {got}")
            self.table = nn.Parameter(table.detach().clone())

    def forward(self, tokens: Tensor, grid: tuple[int, int], table: Tensor | None = None) -> Tensor:
        """Tokens [N, P, C] of a grid, with their positions. See `positions`."""
        return tokens + self.positions(grid, table)

    def positions(self, grid: tuple[int, int], table: Tensor | None = None) -> Tensor:
        """Of the tokens of a grid, [1, P, C].

        Args:
            grid: rows and columns of tokens.
            table: of the backbone for the grid that this is made for, [1, P, C], such as
                `vit.patch_positions(vit.grid)`; for `tied` only.

        Raises:
            ValueError: there is no table to be tied to, or one of another grid.
        """
        found = self.table if self.table is not None else table
        if found is None:
            raise ValueError("table must be given to positions that are tied, got none")
        return resized_positions(found, self.grid, grid)
