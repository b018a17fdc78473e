"""Classes of pixels: beside loops over all pixels and over all assignments."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import pytest
import torch
from sklearn.metrics import jaccard_score
from torch import Tensor

from trainables.metrics.semantic import (
    cluster_scores,
    match,
    matched,
    pixel_scores,
    tally,
    with_mirror,
)

CLASSES = 4


def drawn(clusters: int = CLASSES, seed: int = 0) -> tuple[Tensor, Tensor]:
    """What was predicted, mostly right, and labels with some that are no class."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (3, 9, 7), generator=draw)
    other = torch.randint(0, clusters, labels.shape, generator=draw)
    predicted = torch.where(
        torch.rand(labels.shape, generator=draw) < 0.5, labels % clusters, other
    )
    labels[torch.rand(labels.shape, generator=draw) < 0.1] = 255
    labels[torch.rand(labels.shape, generator=draw) < 0.1] = -1
    return predicted, labels


def test_counts_are_those_of_a_loop_and_unknown_labels_are_left_out() -> None:
    predicted, labels = drawn(6)
    found = torch.zeros(CLASSES, 6, dtype=torch.int64)
    for guess, label in zip(predicted.flatten().tolist(), labels.flatten().tolist(), strict=True):
        if 0 <= label < CLASSES:
            found[label, guess] += 1
    assert torch.equal(tally(predicted, labels, CLASSES, 6), found)
    parts = [tally(p, y, CLASSES, 6) for p, y in zip(predicted, labels, strict=True)]
    assert torch.equal(sum(parts[1:], parts[0]), found)


@pytest.mark.parametrize("clusters", [3, 4, 6])
def test_the_match_is_the_best_of_all(clusters: int) -> None:
    predicted, labels = drawn(clusters)
    counts = tally(predicted, labels, CLASSES, clusters)
    long, short = max(clusters, CLASSES), min(clusters, CLASSES)
    table = counts if clusters <= CLASSES else counts.T
    best = max(
        sum(int(table[row, column]) for column, row in enumerate(rows))
        for rows in permutations(range(long), short)
    )
    found = match(counts)
    assert sum(int(counts[y, k]) for k, y in enumerate(found.tolist()) if y >= 0) == best
    assert int((found >= 0).sum()) == short


def test_permuted_labels_are_right_once_they_are_matched() -> None:
    _, labels = drawn()
    permuted = torch.tensor([2, 0, 3, 1])[labels.clamp(0, 3)]
    found = cluster_scores(tally(permuted, labels, CLASSES, CLASSES))
    assert (found.miou, found.accuracy) == (1.0, 1.0)


def test_scores_are_those_of_scikit_learn() -> None:
    predicted, labels = drawn()
    is_known = (labels >= 0) & (labels < CLASSES)
    found = pixel_scores(tally(predicted, labels, CLASSES, CLASSES))
    known = labels[is_known].numpy(), predicted[is_known].numpy()
    each: Any = None
    assert found.iou.tolist() == pytest.approx(jaccard_score(*known, average=each))
    assert found.miou == pytest.approx(jaccard_score(*known, average="macro"))
    assert found.accuracy == pytest.approx(float((known[0] == known[1]).mean()))


def test_a_class_that_is_nowhere_counts_for_nothing_and_one_never_found_for_zero() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    found = pixel_scores(tally(torch.zeros(4), labels, 3, 3))
    assert found.iou[:2].tolist() == [0.5, 0.0] and math.isnan(found.iou[2])
    assert found.miou == 0.25 and found.accuracy == 0.5


def test_clusters_left_over_are_wrong() -> None:
    counts = torch.tensor([[3, 1, 2], [0, 4, 0]])
    found = cluster_scores(counts)
    assert matched(counts, match(counts)).tolist() == [[3, 1, 2], [0, 4, 0]]
    assert match(counts).tolist() == [0, 1, -1]
    assert found.iou.tolist() == pytest.approx([3 / 6, 4 / 5]) and found.accuracy == 0.7


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"classes must be of one cluster each, got \[0, 0\]"):
        matched(torch.ones(2, 2).long(), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="at least one pixel with a known class, got none"):
        pixel_scores(torch.zeros(2, 2))
    with pytest.raises(ValueError, match="predicted must be 0…2, got 0…3"):
        tally(torch.tensor([0, 3]), torch.tensor([0, 1]), 4, 3)


def test_maps_of_an_image_and_of_its_mirror_are_averaged() -> None:
    images = torch.rand(2, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    ramp = torch.arange(4.0)
    found = with_mirror(images * ramp, images.flip(3) * ramp)
    assert torch.allclose(found, images * 1.5)
