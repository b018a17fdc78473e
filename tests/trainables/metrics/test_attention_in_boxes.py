"""Attention in boxes against shares of area, and against maps that are enlarged by cells."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainables.metrics.attention_in_boxes import attention_in_boxes, outside_all

STRIDE = 8
SIZES = torch.tensor([[24, 40]] * 3)
BOXES = torch.tensor(
    [[0.5, 0.5, 0.4, 0.5], [0.1, 0.9, 0.6, 0.6], [0.31, 0.42, 0.004, 0.01]], dtype=torch.float64
)


def maps(height: int = 3, width: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, height, width, dtype=torch.float64, generator=generator)


def test_attention_that_is_equal_everywhere_has_the_share_of_the_box() -> None:
    found = attention_in_boxes(torch.full((3, 3, 5), 0.2), BOXES.float(), SIZES, STRIDE)
    assert torch.allclose(found.share, found.box, atol=1e-6)
    assert torch.allclose(found.lift, torch.ones(3), atol=1e-4)


def test_a_box_is_counted_to_the_hundredth_of_a_pixel() -> None:
    cells = maps()
    pixels = cells.repeat_interleave(800, -2)[:, :, ::1].repeat_interleave(800, -1)[:, 1]
    top, left = round((0.9 - 0.3) * 2400), 0
    inside = pixels[:, top:2400, left : round(0.4 * 4000)].sum((-2, -1))
    expected = inside / pixels.sum((-2, -1))
    found = attention_in_boxes(cells, BOXES, SIZES, STRIDE).share[:, 1]
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_box_smaller_than_a_pixel_has_its_share_too() -> None:
    found = attention_in_boxes(maps(), BOXES, SIZES, STRIDE)
    assert (found.share[:, 2] > 0).all() and float(found.box[2]) == pytest.approx(0.004 * 0.01)


def test_cells_end_where_the_picture_does() -> None:
    sizes = torch.tensor([[20, 36]])
    even = torch.ones(1, 3, 5, dtype=torch.float64)
    even[:, :, 4] *= 0.5  # of which half is padding
    even[:, 2] *= 0.5
    found = attention_in_boxes(even, torch.tensor([[0.75, 0.5, 0.5, 1.0]]).double(), sizes, STRIDE)
    assert float(found.share) == pytest.approx(0.5) == float(found.box)


def test_a_map_of_zeros_has_no_share() -> None:
    assert (
        attention_in_boxes(torch.zeros(3, 3, 5), BOXES.float(), SIZES, STRIDE).share.isnan().all()
    )


def test_what_is_in_no_box() -> None:
    even = torch.ones(2, 4, 4)
    left = torch.tensor([[0.25, 0.5, 0.5, 1.0]])
    half = outside_all(even, left, torch.tensor([32, 32]), STRIDE)
    assert half.tolist() == [0.5, 0.5]
    both = torch.cat([left, torch.tensor([[0.75, 0.25, 0.5, 0.5]])])
    assert outside_all(even, both, torch.tensor([32, 32]), STRIDE).tolist() == [0.25, 0.25]
    assert outside_all(even, both[:0], torch.tensor([32, 32]), STRIDE).tolist() == [1.0, 1.0]
