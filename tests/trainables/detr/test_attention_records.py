"""What queries look at, against loops over images, queries and pixels."""

from __future__ import annotations

import math
from statistics import mean, stdev

import pytest
import torch
from torch import Tensor

from trainables.detr.attention_records import AttentionRecords
from trainables.detr.looking import Grid
from trainables.detr.parts import Evaluations, Sparsity
from trainables.losses.matching import Assigned

STRIDE, ROWS, COLUMNS, LAYERS, HEADS, QUERIES = 8, 4, 5, 2, 3, 4
SIZES = torch.tensor([[32, 40], [24, 16], [16, 40]])
COUNTS = torch.tensor([2, 1, 0])
PAIRS = {0: [(0, 1), (3, 0)], 1: [(2, 0)], 2: []}
"""Queries and objects of each image."""
SCORES = torch.tensor([[0.9, 0.2, 0.3, 0.8], [0.7, 0.1, 0.6, 0.4], [0.1, 0.9, 0.2, 0.3]])
SETTINGS = Evaluations(
    areas=(200.0, 400.0), sparsity=Sparsity(score_above=0.25, thresholds=(0.0, 0.1))
)


def boxes() -> Tensor:
    """[3, 2, 4], with edges between pixels; two overlap."""
    pixels = torch.tensor(
        [[[3, 5, 20, 18], [11, 9, 36, 30]], [[2, 4, 13, 15], [0] * 4], [[0] * 4] * 2]
    )
    corners = pixels / SIZES.flip(1).repeat(1, 2)[:, None]
    return torch.cat(
        [(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], -1
    )


def padding() -> Tensor:
    y, x = torch.arange(ROWS) * STRIDE, torch.arange(COLUMNS) * STRIDE
    outside = (y >= SIZES[:, :1])[:, :, None] | (x >= SIZES[:, 1:])[:, None]
    return outside.flatten(1)


def maps() -> list[Tensor]:
    """[3, H, Q, K] of each layer, with zeros."""
    draws = torch.rand(LAYERS, 3, HEADS, QUERIES, 20, generator=torch.Generator().manual_seed(0))
    draws = draws.where(draws > 0.4, 0).masked_fill(padding()[:, None, None], 0)
    return list(draws / draws.sum(-1, keepdim=True))


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    records, everything = AttentionRecords(SETTINGS), maps()
    for some in (slice(0, 2), slice(2, 3)):  # of two batches
        batch = {
            "images": torch.zeros(3, 3, 32, 40)[some],
            "sizes": SIZES[some],
            "original_sizes": SIZES[some],
            "boxes": boxes()[some],
            "counts": COUNTS[some],
        }
        grid = Grid(ROWS, COLUMNS, STRIDE, padding()[some])
        records.add(grid, batch, [one[some] for one in everything], SCORES[some], assigned(some))
    return records.values(last=True)


def assigned(some: slice) -> Assigned:
    rows, columns, matched = torch.zeros(3, 2).long(), torch.zeros(3, 2).long(), torch.zeros(3, 2)
    for image, pairs in PAIRS.items():
        for place, (query, target) in enumerate(pairs):
            rows[image, place], columns[image, place], matched[image, place] = query, target, 1
    return Assigned(rows[some], columns[some], matched[some].bool())


def pixels(weights: Tensor, image: int) -> list[tuple[float, float, float]]:
    """x and y in 0…1 of each pixel of a picture, with its part of the weight [K] of its cell."""
    height, width = SIZES[image].tolist()
    grid = weights.view(ROWS, COLUMNS).tolist()
    return [
        ((x + 0.5) / width, (y + 0.5) / height, grid[y // STRIDE][x // STRIDE] / STRIDE**2)
        for y in range(height)
        for x in range(width)
    ]


def is_inside(x: float, y: float, box: Tensor) -> bool:
    middle_x, middle_y, width, height = box.tolist()
    return abs(x - middle_x) < width / 2 and abs(y - middle_y) < height / 2


def of_queries(layer: int, head: int, measure: str) -> list[float]:
    """Of each image the mean over the queries that count."""
    values: list[float] = []
    for image in range(3):
        own: list[float] = []
        for query in range(QUERIES):
            if SCORES[image, query] > 0.25:
                own.append(MEASURES[measure](maps()[layer][image, head, query], image))
        values.append(mean(own))
    return values


def outside(weights: Tensor, image: int) -> float:
    real = boxes()[image, : int(COUNTS[image])]
    return sum(
        one for x, y, one in pixels(weights, image) if not any(is_inside(x, y, b) for b in real)
    )


def corners(weights: Tensor, image: int) -> float:
    return sum(
        one for x, y, one in pixels(weights, image) if all(not 1 / 8 < at < 7 / 8 for at in (x, y))
    )


def support(weights: Tensor, image: int) -> float:
    return float(len([one for one in weights.tolist() if one > 0]))


MEASURES = {"outside": outside, "corners": corners, "support": support}


@pytest.mark.parametrize("measure", MEASURES)
def test_each_head_has_the_mean_over_images_and_queries(
    found: dict[str, float], measure: str
) -> None:
    layers: list[float] = []
    for layer in range(LAYERS):
        heads = [of_queries(layer, head, measure) for head in range(HEADS)]
        for head, values in enumerate(heads):
            name = f"{measure}/layer_{layer}-head_{head}"
            assert found[name] == pytest.approx(mean(values), rel=1e-5)
            assert found[f"{name}/deviation"] == pytest.approx(stdev(values), rel=1e-4)
        layers.append(mean(mean(values) for values in heads))
        assert found[f"{measure}/layer_{layer}"] == pytest.approx(layers[-1], rel=1e-5)
    assert found[measure] == pytest.approx(mean(layers), rel=1e-5)


def test_corners_are_a_sixteenth_and_what_is_in_no_box_has_an_area(found: dict[str, float]) -> None:
    assert found["corners/lift"] == pytest.approx(16 * found["corners"])
    even = torch.full((20,), float(STRIDE**2))
    shares = [outside(even, image) / int(SIZES[image].prod()) for image in range(3)]
    assert found["outside/area"] == pytest.approx(mean(shares), rel=1e-5) and shares[2] == 1


def test_attention_that_is_equal_over_cells_is_beside_it(found: dict[str, float]) -> None:
    assert found["corners/even"] == pytest.approx(1 / 16)
    assert found["outside/even"] == pytest.approx(found["outside/area"])  # sides are of whole cells
    assert found["inside/even"] == pytest.approx(mean([525 / 1280, 221 / 1280, 121 / 384]))


def test_queries_that_count_are_counted_and_none_is_said(found: dict[str, float]) -> None:
    assert found["counted"] == pytest.approx(mean([3, 3, 2]))
    settings = Evaluations(sparsity=Sparsity(score_above=0.95))
    for records in (AttentionRecords(settings), AttentionRecords(SETTINGS)):
        batch = {
            "images": torch.zeros(3, 3, 32, 40),
            "sizes": SIZES,
            "original_sizes": SIZES,
            "boxes": boxes(),
            "counts": COUNTS,
        }
        grid = Grid(ROWS, COLUMNS, STRIDE, padding())
        records.add(grid, batch, maps(), SCORES, assigned(slice(0, 3)))
        values, said = records.values(last=False), records.uncounted()
        if values["counted"]:
            assert said is None
        else:
            assert math.isnan(values["gini"]) and said is not None
            assert said.endswith("must be below the highest score, 0.9, got 0.95")


def test_queries_without_an_object_are_counted(found: dict[str, float]) -> None:
    assert found["unmatched"] == pytest.approx(mean([2, 3, 4]))


def inside(weights: Tensor, image: int, target: int) -> float:
    box = boxes()[image, target]
    return sum(one for x, y, one in pixels(weights, image) if is_inside(x, y, box))


def test_pairs_have_the_share_within_their_box_and_its_lift(found: dict[str, float]) -> None:
    pairs = [(image, *pair) for image, own in PAIRS.items() for pair in own]
    areas = {
        (image, target): float(boxes()[image, target, 2:].prod()) for image, _, target in pairs
    }
    last: list[float] = []
    for layer in range(LAYERS):
        for head in (None, *range(HEADS)):
            shares: list[float] = []
            for image, query, target in pairs:
                weights = maps()[layer][image, :, query]
                own = weights.mean(0) if head is None else weights[head]
                shares.append(inside(own, image, target))
            lifts = [share / areas[i, t] for share, (i, _, t) in zip(shares, pairs, strict=True)]
            name = f"layer_{layer}" + ("" if head is None else f"-head_{head}")
            assert found[f"inside/{name}"] == pytest.approx(mean(shares), rel=1e-5)
            assert found[f"inside/lift/{name}"] == pytest.approx(mean(lifts), rel=1e-5)
            assert found[f"inside/{name}/deviation"] == pytest.approx(stdev(shares), rel=1e-4)
            if head is None:
                last = shares
    assert found["inside"] == pytest.approx(mean(last)) == found["inside/layer_1"]
    sizes = [areas[i, t] * float(SIZES[i].prod()) for i, _, t in pairs]  # 525, 221, 121
    assert found["inside/small"] == pytest.approx(last[2]) and sizes[2] == pytest.approx(121)
    assert found["inside/medium"] == pytest.approx(last[1]) and sizes[1] == pytest.approx(221)
    assert found["inside/large"] == pytest.approx(last[0]) and sizes[0] == pytest.approx(525)


def test_nothing_is_made_up_where_no_picture_has_an_object() -> None:
    records = AttentionRecords(SETTINGS)
    grid = Grid(ROWS, COLUMNS, STRIDE, padding()[2:])
    batch = {
        "images": torch.zeros(1, 3, 32, 40),
        "sizes": SIZES[2:],
        "original_sizes": SIZES[2:],
        "boxes": torch.zeros(1, 0, 4),
        "counts": torch.tensor([0]),
    }
    none = torch.zeros(1, 0)
    pairs = Assigned(none.long(), none.long(), none.bool())
    records.add(grid, batch, [one[2:] for one in maps()], SCORES[2:], pairs)
    values = records.values(last=True)
    assert values["outside"] == pytest.approx(1) and values["unmatched"] == QUERIES
    assert math.isnan(values["inside"]) and math.isnan(values["inside/deviation"])


def test_what_is_not_masked_may_begin_beyond_the_picture() -> None:
    """Of 4 rows of 8 pixels in 26 the last stands for pixel 19, and begins at 24."""
    records, sizes = AttentionRecords(SETTINGS), torch.tensor([[24, 40]])
    grid = Grid(ROWS, COLUMNS, STRIDE, torch.zeros(1, 20).bool())
    batch = {
        "images": torch.zeros(1, 3, 26, 40),
        "sizes": sizes,
        "original_sizes": sizes,
        "boxes": torch.tensor([[[0.5, 0.5, 1.0, 1.0]]]),
        "counts": torch.tensor([1]),
    }
    pairs = Assigned(torch.tensor([[0]]), torch.tensor([[0]]), torch.tensor([[True]]))
    even = torch.full((1, HEADS, QUERIES, 20), 1 / 20)
    records.add(grid, batch, [even], SCORES[:1], pairs)
    values = records.values(last=False)
    assert values["padding"] == 0 and values["beyond"] == pytest.approx(5 / 20)
    assert values["outside"] == pytest.approx(5 / 20) and values["inside"] == pytest.approx(15 / 20)
