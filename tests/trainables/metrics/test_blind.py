"""What needs no learning: blocks, pieces of one colour, the same set for every image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainables.metrics.blind import blind_segments, blocks, connected
from trainables.metrics.label_maps import by_color
from trainables.metrics.sets import WIDTH, Order, columns, constant_sets


@pytest.mark.parametrize("number", range(1, 25))
@pytest.mark.parametrize("size", [(28, 28), (35, 32)])
def test_blocks_are_rectangles_of_about_equal_size(number: int, size: tuple[int, int]) -> None:
    labels = blocks(number, size)
    assert labels.shape == size and labels.unique().tolist() == list(range(number))
    areas: list[int] = []
    for block in range(number):
        rows, columns = torch.where(labels == block)
        areas.append(len(rows))
        assert len(rows) == len(rows.unique()) * len(columns.unique())
    assert max(areas) <= 2.1 * min(areas)


def test_four_blocks_are_a_grid_of_two_by_two() -> None:
    assert blocks(4, (4, 4)).tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2


def flooded(labels: Tensor) -> list[list[tuple[int, int]]]:
    """The connected pieces of a label map [H, W], each as its sorted pixels, by brute force."""
    height, width = labels.shape
    left, found = {(y, x) for y in range(height) for x in range(width)}, []
    while left:
        piece, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            piece.add((y, x))
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in left and labels[near] == labels[y, x]:
                    left.remove(near)
                    edge.append(near)
        found.append(sorted(piece))
    return sorted(found, key=len, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_connected_pieces_are_those_of_a_flood(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (4, 9, 7), generator=draw)
    found = connected(labels)
    for image, pieces in zip(labels, found, strict=True):
        mine = [list(zip(*map(Tensor.tolist, torch.where(pieces == n)), strict=True))
                for n in range(int(pieces.max()) + 1)]  # fmt: skip
        wanted = flooded(image)
        assert sorted(mine) == sorted(wanted)
        assert list(map(len, mine)) == list(map(len, wanted))


def test_small_pieces_beyond_the_most_share_the_last_number() -> None:
    board = (torch.arange(6)[:, None] + torch.arange(6)) % 2
    assert connected(board[None], most=5).unique().tolist() == [0, 1, 2, 3, 4]
    assert connected(board[None])[0].unique().tolist() == list(range(36))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colours_are_the_same_as_sorted_by_rows(channels: int) -> None:
    draw = torch.Generator().manual_seed(channels)
    images = torch.randint(4, (3, channels, 8, 8), generator=draw).float()
    for image, found in zip(images, by_color(images, most=5), strict=True):
        pixels = image.flatten(1).T.contiguous()
        colors, which, counts = pixels.unique(dim=0, return_inverse=True, return_counts=True)
        order = counts.argsort(descending=True, stable=True)[:5]
        near = (colors[:, None] - colors[order]).square().sum(2).min(1).indices
        assert torch.equal(found, near[which].view(8, 8))


def test_each_row_is_a_label_map_of_each_image() -> None:
    images = torch.rand(2, 3, 8, 6)
    rows = blind_segments(images, 6)
    assert {name: tuple(found.shape) for name, found in rows.items()} == dict.fromkeys(
        ("grid", "blocks", "colors", "components"), (2, 8, 6)
    )
    assert (int(rows["grid"].max()), int(rows["blocks"].max())) == (3, 5)


def objects(order: Order, *kinds: tuple[int, float]) -> Tensor:
    """An image of objects: the number of their colour, and all three coordinates."""
    place, found = columns(order), torch.zeros(3, WIDTH)
    for row, (color, coordinate) in zip(found, kinds, strict=False):
        for name in ("shape", "size", "material"):
            row[place[name].start] = 1
        row[place["color"].start + color] = 1
        row[place["coordinates"]] = coordinate
        row[place["real"]] = 1
    return found


@pytest.mark.parametrize("order", ["categories_first", "coordinates_first"])
def test_constant_sets_are_means_and_the_most_frequent_kinds(order: Order) -> None:
    targets = torch.stack([objects(order, (2, 0.2), (5, 0.9)), objects(order, (2, 0.4))])
    place, sets = columns(order), constant_sets(targets, 4, order)
    mean, frequent = sets["mean_set"], sets["frequent_set"]
    assert mean.shape == frequent.shape == (4, WIDTH)
    assert mean[0, place["coordinates"]].tolist() == pytest.approx([0.5] * 3)
    assert mean[0, place["real"]].item() == pytest.approx(3 / 2 / 4)
    assert frequent[:2, place["color"]].argmax(1).tolist() == [2, 5]
    assert frequent[0, place["coordinates"]].tolist() == pytest.approx([0.3] * 3)
    assert frequent[:, place["real"]].flatten().tolist() == [1.0, 0.5, 0.0, 0.0]
