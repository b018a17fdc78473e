"""Attention in boxes against shares of area, and against maps that are enlarged by cells."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainables.layers.grid_positions import grid_padding
from trainables.metrics.attention_in_boxes import (
    attention_in_boxes,
    cells_in_boxes,
    cells_in_corners,
    cells_in_pictures,
    even_within,
    share_within,
)

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


GRID, COUNTS = (4, 5), torch.tensor([8, 5, 0])
CUT = torch.tensor([[32, 40], [28, 37], [17, 9]])
"""Pictures, of which two end within a cell."""


def on_lines(number: int) -> Tensor:
    """Boxes whose edges lie between pixels of each picture, [3, number, 4]."""
    generator = torch.Generator().manual_seed(2)
    draws = torch.rand(3, number, 4, dtype=torch.float64, generator=generator)
    sides = CUT.flip(1)[:, None]
    first = (0.7 * draws[..., :2] * sides).floor()
    last = torch.minimum(first + 1 + (0.4 * draws[..., 2:] * sides).floor(), sides)
    return torch.cat([(first + last) / 2 / sides, (last - first) / sides], -1)


def union(boxes: Tensor, size: Tensor) -> Tensor:
    """The share of each cell in any box [n, 4], by its pixels: a double loop."""
    height, width = size.tolist()
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    inside = torch.zeros(height, width, dtype=torch.bool)
    for middle_x, middle_y, wide, high in boxes.tolist():
        rows, columns = (y - middle_y).abs() < high / 2, (x - middle_x).abs() < wide / 2
        inside |= rows[:, None] & columns
    return by_cell(inside)


def by_cell(inside: Tensor) -> Tensor:
    """The share of the pixels of each cell that are inside."""
    shares = torch.zeros(GRID, dtype=torch.float64)
    for row in range(GRID[0]):
        for column in range(GRID[1]):
            here = (slice(start * STRIDE, (start + 1) * STRIDE) for start in (row, column))
            pixels = inside[tuple(here)]
            shares[row, column] = pixels.double().mean() if pixels.numel() else 0
    return shares


def test_what_several_boxes_cover_counts_once() -> None:
    boxes = on_lines(8)
    found = cells_in_boxes(boxes, COUNTS, CUT, GRID, STRIDE)
    for picture, count in enumerate(COUNTS.tolist()):
        expected = union(boxes[picture, :count], CUT[picture])
        assert torch.allclose(found[picture], expected, atol=1e-12)
    alone = cells_in_boxes(boxes.float(), COUNTS, CUT, GRID, STRIDE)
    assert torch.allclose(alone, found.float(), atol=1e-5)
    assert not cells_in_boxes(boxes[:, :0], COUNTS * 0, CUT, GRID, STRIDE).any()


def test_one_box_holds_what_a_pair_has_in_it() -> None:
    boxes, weights = on_lines(1), maps(*GRID)[0, :, None, None].flatten(-2)
    cells = cells_in_boxes(boxes, torch.ones(3), CUT, GRID, STRIDE)
    pairs = attention_in_boxes(weights[:, 0, 0].unflatten(-1, GRID), boxes[:, 0], CUT, STRIDE)
    assert torch.allclose(share_within(weights, cells)[:, 0, 0], pairs.share)


def test_corners_are_an_eighth_of_each_side() -> None:
    sizes = torch.tensor([[32, 40], [16, 24]])
    found = cells_in_corners(sizes, GRID, STRIDE)
    for picture, (height, width) in enumerate(sizes.tolist()):
        y, x = torch.arange(height) + 0.5, torch.arange(width) + 0.5
        ends = (y < height / 8) | (y > height * 7 / 8), (x < width / 8) | (x > width * 7 / 8)
        assert torch.allclose(found[picture], by_cell(ends[0][:, None] & ends[1]))


@pytest.mark.parametrize("size", [(32, 40), (28, 37), (17, 9)])
def test_attention_that_is_equal_everywhere_has_a_sixteenth_in_corners(
    size: tuple[int, int],
) -> None:
    sizes = torch.tensor([size])
    even = union(torch.tensor([[0.5, 0.5, 1.0, 1.0]]), sizes[0])  # 1 where a picture is
    rows, columns = (
        (side - STRIDE * torch.arange(cells)).clamp(0, STRIDE)
        for side, cells in zip(size, GRID, strict=True)
    )
    weights = (even * rows[:, None] * columns).flatten()[None, None, None]
    found = share_within(weights, cells_in_corners(sizes, GRID, STRIDE))
    assert float(found) == pytest.approx(1 / 16)


def test_padding_is_within_nothing_and_a_map_of_zeros_has_no_share() -> None:
    whole = torch.tensor([[[0.5, 0.5, 1.0, 1.0]]])
    cells = cells_in_boxes(whole, torch.ones(1), torch.tensor([[16, 24]]), GRID, STRIDE)
    weights = torch.stack([torch.ones(20), torch.zeros(20)])[None, None]
    found = share_within(weights, cells)[0, 0]
    assert float(found[0]) == pytest.approx(6 / 20) and found[1].isnan()


def test_cells_of_a_picture_are_those_that_have_a_pixel_of_it() -> None:
    found = cells_in_pictures(CUT, GRID, STRIDE)
    for picture, (height, width) in enumerate(CUT.tolist()):
        assert torch.equal(found[picture], by_cell(torch.ones(height, width)) > 0)


@pytest.mark.parametrize(
    ("size", "image"),
    [
        ((64, 64), (64, 64)),
        ((64, 100), (64, 100)),
        ((97, 97), (128, 128)),
        ((76, 64), (100, 64)),  # its last row of cells is not masked, and lies beyond
        ((33, 31), (70, 90)),
    ],
)
def test_attention_that_is_equal_over_cells_has_a_lift_of_1_in_every_size(
    size: tuple[int, int], image: tuple[int, int]
) -> None:
    sizes, grid = torch.tensor([size]), (-(-image[0] // 32), -(-image[1] // 32))
    padding = grid_padding(sizes, image, grid)
    even = (~padding).float() / (~padding).sum()
    for box in ([0.25, 0.5, 0.5, 1.0], [0.9, 0.9, 0.2, 0.2], [0.4, 0.3, 0.1, 0.5]):
        boxes = torch.tensor([box], dtype=torch.float64)
        found = attention_in_boxes(even, boxes, sizes, 32, padding)
        assert float(found.even) == pytest.approx(of_pixels(even[0], boxes[0], size), abs=1e-3)
        assert float(found.lift) == pytest.approx(1, abs=1e-6)
    corners = cells_in_corners(sizes, grid, 32)
    share = share_within(even.flatten(1)[:, None, None], corners.float())
    assert float(even_within(corners, padding.flatten(1))) == pytest.approx(float(share))


def of_pixels(weights: Tensor, box: Tensor, size: tuple[int, int]) -> float:
    """The weight in a box, spread evenly over a hundredth of pixels: loops over cells."""
    left, top = ((box[:2] - box[2:] / 2) * torch.tensor(size[::-1])).tolist()
    right, bottom = ((box[:2] + box[2:] / 2) * torch.tensor(size[::-1])).tolist()
    found = 0.0
    for row, line in enumerate(weights.tolist()):
        for column, weight in enumerate(line):
            shares: list[float] = []
            for place, side, first, last in (
                (row, size[0], top, bottom),
                (column, size[1], left, right),
            ):
                points = [place * 32 + (k + 0.5) / 100 for k in range(3200)]
                own = [one for one in points if one < side]
                inside = [one for one in own if first < one < last]
                shares.append(len(inside) / len(own) if own else 0.0)
            found += weight * shares[0] * shares[1]
    return found


@pytest.mark.parametrize("size", [(64, 100), (97, 97), (33, 31)])
def test_a_box_of_the_whole_picture_holds_all_attention_on_cells_of_it(
    size: tuple[int, int],
) -> None:
    sizes, grid = torch.tensor([size]), (4, 4)
    draws = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    weights = draws * cells_in_pictures(sizes, grid, 32)
    found = attention_in_boxes(weights, torch.tensor([[0.5, 0.5, 1.0, 1.0]]), sizes, 32)
    assert torch.allclose(found.share, torch.ones(2, 1), atol=1e-6)


def test_shares_are_the_same_in_mixed_precision() -> None:
    weights, boxes = maps().float(), BOXES.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention_in_boxes(weights, boxes, SIZES, STRIDE)
        cells = cells_in_boxes(boxes[None], torch.tensor([3]), SIZES[:1], (3, 5), STRIDE)
        share = share_within(weights.flatten(-2)[:, None], cells.expand(2, -1, -1))
    own = attention_in_boxes(weights, boxes, SIZES, STRIDE)
    assert torch.equal(found.share, own.share) and torch.equal(found.even, own.even)
    plain = cells_in_boxes(boxes[None], torch.tensor([3]), SIZES[:1], (3, 5), STRIDE)
    assert torch.equal(cells, plain)
    expected = share_within(weights.flatten(-2)[:, None], plain.expand(2, -1, -1))
    assert torch.equal(share, expected)
