"""Segments: scores as scikit-learn or a plain loop find them, and at their edges."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from trainables.metrics import segments
from trainables.metrics.segments import adjusted_rand, contingency, foreground


def labels(images: int, pixels: int, number: int, seed: int) -> Tensor:
    """Random labels; some numbers do not occur in some images."""
    random = torch.Generator().manual_seed(seed)
    most = torch.randint(1, number + 1, (images, 1), generator=random)
    return torch.randint(0, number, (images, pixels), generator=random) % most


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """True labels below 6 and found ones below 4 that have something to do with them."""
    true, found = labels(20, 150, 6, 0), labels(20, 150, 4, 1)
    alike = torch.rand(true.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    return true, torch.where(alike, true % 4, found)


@pytest.fixture(scope="module")
def counts(pair: tuple[Tensor, Tensor]) -> Tensor:
    return contingency(*pair, 6, 4)


def intersections(true: Tensor, found: Tensor) -> list[list[float]]:
    """Overlaps of the objects of an image (rows) with segments 0…3, by sets of pixels."""
    rows: list[list[float]] = []
    for entity in sorted(set(true.tolist()) - {0}):
        own = set((true == entity).nonzero().flatten().tolist())
        others = [set((found == k).nonzero().flatten().tolist()) for k in range(4)]
        rows.append([len(own & other) / len(own | other) for other in others])
    return rows


def test_counts_are_those_of_a_plain_loop(pair: tuple[Tensor, Tensor], counts: Tensor) -> None:
    plain = torch.zeros(20, 6, 4, dtype=torch.int64)
    for image, true, found in zip(plain, *pair, strict=True):
        for t, p in zip(true.tolist(), found.tolist(), strict=True):
            image[t, p] += 1
    assert torch.equal(counts, plain)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64])
def test_labels_of_any_integer_type_and_as_maps_count_alike(
    pair: tuple[Tensor, Tensor], counts: Tensor, kind: torch.dtype
) -> None:
    true, found = (one.to(kind).view(20, 10, 15) for one in pair)
    assert torch.equal(contingency(true, found, 6, 4), counts)


def test_labels_are_held_to_their_range(pair: tuple[Tensor, Tensor]) -> None:
    true, found = pair
    assert contingency(true, found, int(true.max()) + 1, 4).shape == (20, 6, 4)
    with pytest.raises(ValueError, match="true must hold labels from 0 to 4, got labels from 0 to"):
        contingency(true, found, 5, 4)
    with pytest.raises(ValueError, match=r"found must hold labels from 0 to 3, .* from -1 to 2"):
        contingency(true, found - 1, 6, 4)
    with pytest.raises(ValueError, match=r"one shape, got \(20, 150\) and \(20, 149\)"):
        contingency(true, found[:, 1:], 6, 4)


def test_the_rand_index_is_that_of_scikit_learn(
    pair: tuple[Tensor, Tensor], counts: Tensor
) -> None:
    expected = [adjusted_rand_score(t, f) for t, f in zip(*pair, strict=True)]
    np.testing.assert_allclose(adjusted_rand(counts), expected, rtol=0, atol=1e-14)


def test_the_foreground_index_leaves_out_pixels_of_the_background(
    pair: tuple[Tensor, Tensor], counts: Tensor
) -> None:
    expected = [adjusted_rand_score(t[t > 0], f[t > 0]) for t, f in zip(*pair, strict=True)]
    np.testing.assert_allclose(adjusted_rand(foreground(counts)), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("true", "found"),
    [
        ([], []),
        ([1], [2]),
        ([1] * 9, [2] * 9),
        ([1] * 9, [0, 1, 2] * 3),
        ([0, 1, 2] * 3, [1] * 9),
        ([0, 1, 2, 3], [3, 2, 1, 0]),
        ([0, 1, 2, 3], [0, 0, 1, 1]),
        ([0, 0, 1, 1], [1, 1, 0, 0]),
        ([0, 0, 1, 1], [0, 1, 0, 1]),
    ],
    ids=str,
)
def test_the_edges_of_the_rand_index_are_those_of_scikit_learn(
    true: list[int], found: list[int]
) -> None:
    table = contingency(torch.tensor([true]).long(), torch.tensor([found]).long(), 4, 4)
    expected = float(adjusted_rand_score(true, found))
    assert float(adjusted_rand(table)) == pytest.approx(expected, abs=1e-15)


def test_an_image_without_a_foreground_is_perfect() -> None:
    table = contingency(torch.zeros(1, 50).long(), torch.arange(50)[None] % 4, 3, 4)
    assert adjusted_rand(foreground(table)).tolist() == [1.0]


@pytest.mark.parametrize("side", [7, 224, 512, 999])
def test_one_segment_is_perfect_at_any_size(side: int) -> None:
    """Where A C exceeds the integers of a float64, 0 / 0 must still be told from a small span."""
    table = torch.zeros(1, 3, 4, dtype=torch.int64)
    table[0, 1, 2] = side**2
    assert adjusted_rand(table).tolist() == [1.0]


def test_the_best_overlap_is_that_of_sets(pair: tuple[Tensor, Tensor], counts: Tensor) -> None:
    expected: list[float] = []
    for true, found in zip(*pair, strict=True):
        best = [max(row) for row in intersections(true, found)]
        expected.append(sum(best) / len(best) if best else math.nan)
    np.testing.assert_allclose(segments.mean_best_overlap(counts), expected, atol=1e-14)


def test_the_matched_overlap_is_the_best_of_all_matchings(
    pair: tuple[Tensor, Tensor], counts: Tensor
) -> None:
    expected: list[float] = []
    for true, found in zip(*pair, strict=True):
        rows = intersections(true, found)
        # More objects than segments: those beyond the fourth place are matched with none.
        ways = permutations(range(max(4, len(rows))), len(rows))
        sums = [sum(r[k] for r, k in zip(rows, way, strict=True) if k < 4) for way in ways]
        expected.append(max(sums) / len(rows) if rows else math.nan)
    np.testing.assert_allclose(segments.matched_iou(counts), expected, atol=1e-14)


def test_discovery_and_localisation_count_overlaps_above_a_half(
    pair: tuple[Tensor, Tensor], counts: Tensor
) -> None:
    share: list[float] = []
    located: list[float] = []
    for true, found in zip(*pair, strict=True):
        above = [max(row) > 0.5 for row in intersections(true, found)]
        share.append(sum(above) / len(above) if above else math.nan)
        located.append(float(any(above)) if above else math.nan)
    np.testing.assert_allclose(segments.discovered(counts), share, atol=1e-14)
    np.testing.assert_allclose(segments.corloc(counts), located, atol=1e-14)
    assert 0 < np.nanmean(share) < 1


def test_an_overlap_of_a_half_is_no_discovery() -> None:
    table = torch.tensor([[[5, 0], [1, 1]], [[5, 0], [1, 2]]])
    assert segments.overlaps(table)[:, 1, 1].tolist() == [0.5, 2 / 3]
    assert segments.discovered(table).tolist() == [0, 1]
    assert segments.corloc(table).tolist() == [0, 1]


@pytest.mark.parametrize("score", ["mean_best_overlap", "matched_iou", "discovered", "corloc"])
def test_without_an_object_a_score_is_not_defined(score: str) -> None:
    table = torch.tensor([[[5, 3], [0, 0]], [[5, 0], [0, 3]]])
    value = getattr(segments, score)(table)
    assert math.isnan(value[0])
    assert value[1] == 1


def test_objects_and_slots_are_counted_if_they_have_a_pixel() -> None:
    table = torch.tensor([[[4, 0, 0], [1, 0, 2], [0, 0, 0]], [[9, 0, 0], [0, 0, 0], [0, 0, 0]]])
    assert segments.num_objects(table).tolist() == [1, 0]
    assert segments.slots_used(table).tolist() == [2, 1]


def test_the_entropy_of_mass_is_that_of_its_shares() -> None:
    mass = torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1], [0.5, 0.25, 0.25, 0]])
    attention = mass[:, :, None].expand(3, 4, 10)
    expected = [0, math.log(4), 1.5 * math.log(2)]
    np.testing.assert_allclose(segments.mass_entropy(attention), expected, atol=1e-15)
