"""Positions of cells by hand, and padding of grids beside nearest-neighbour resampling."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.layers.grid_positions import LearnedPositions, SinePositions, grid_padding

CPU = torch.device("cpu")


def resampled(sizes: Tensor, image_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """The mask of pixels, resampled."""
    mask = torch.ones(len(sizes), *image_size)
    for each, (height, width) in zip(mask, sizes.tolist(), strict=True):
        each[:height, :width] = 0
    return functional.interpolate(mask[None], size=grid).bool()[0]


@pytest.mark.parametrize("stride", [1, 2, 7, 32])
def test_padding_is_the_resampled_mask_of_pixels(stride: int) -> None:
    draw = torch.Generator().manual_seed(stride)
    for _ in range(25):
        height, width = torch.randint(64, 400, (2,), generator=draw).tolist()
        sizes = torch.stack(
            [torch.randint(1, side + 1, (5,), generator=draw) for side in (height, width)], 1
        )
        grid = (-(-height // stride), -(-width // stride))
        found = grid_padding(sizes, (height, width), grid)
        assert torch.equal(found, resampled(sizes, (height, width), grid))


def by_hand(padding: Tensor, width: int) -> Tensor:
    """The formula, cell by cell, in double precision."""
    height, columns = padding.shape
    found = torch.zeros(height, columns, width, dtype=torch.float64)
    half = width // 2
    for row in range(height):
        for column in range(columns):
            seen = (~padding[: row + 1, column]).sum(), (~padding[row, : column + 1]).sum()
            ends = (~padding[:, column]).sum(), (~padding[row]).sum()
            for axis in range(2):
                angle = float(seen[axis]) / (float(ends[axis]) + 1e-6) * 2 * math.pi
                for index in range(half):
                    turn = angle / 10000 ** (2 * (index // 2) / half)
                    value = math.cos(turn) if index % 2 else math.sin(turn)
                    found[row, column, axis * half + index] = value
    return found.flatten(0, 1)


def test_sines_are_the_formula_with_padding() -> None:
    sizes = torch.tensor([[64, 96], [40, 96], [64, 33], [1, 1]])
    padding = grid_padding(sizes, (64, 96), (4, 6))
    found = SinePositions(16)((4, 6), padding, device=CPU)
    expected = torch.stack([by_hand(one, 16) for one in padding])
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)


def test_sines_without_padding_are_the_same_and_kept() -> None:
    positions = SinePositions(8)
    found = positions((3, 5), device=CPU)
    padding = torch.zeros(2, 3, 5, dtype=torch.bool)
    assert torch.equal(found.expand(2, -1, -1), positions((3, 5), padding, device=CPU))
    assert positions((3, 5), device=CPU) is found


def test_positions_made_in_inference_are_of_use_in_training() -> None:
    with torch.inference_mode():
        SinePositions(8)((2, 9), device=CPU)
    weights = torch.ones(1, 18, 8, requires_grad=True)
    (weights * SinePositions(8)((2, 9), device=CPU)).sum().backward()
    assert weights.grad is not None


def test_learned_positions_are_those_of_column_and_row() -> None:
    positions = LearnedPositions(6, side=4)
    found = positions((4, 3)).view(4, 3, 6)
    for row in range(4):
        for column in range(3):
            expected = torch.cat([positions.columns[column], positions.rows[row]])
            assert torch.equal(found[row, column], expected)
    assert ((positions.rows >= 0) & (positions.rows <= 1)).all()


def test_a_grid_with_more_rows_than_positions_is_refused() -> None:
    positions = LearnedPositions(4)
    assert positions((50, 50)).shape == (1, 2500, 4)
    with pytest.raises(ValueError, match=r"at most 50 rows and columns .*, got 51 × 3"):
        positions((51, 3))


def test_widths_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of 4 for sine positions, got 6"):
        SinePositions(6)
    with pytest.raises(ValueError, match="width must be even for learned positions, got 5"):
        LearnedPositions(5)
