"""Nearest neighbours beside scikit-learn, and beside a loop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torch.nn import functional

from trainables.metrics.knn import (
    class_accuracy,
    class_votes,
    label_votes,
    top_accuracy,
)


def features(number: int, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 5, (number,), generator=random)
    centres = torch.randn(5, 8, generator=torch.Generator().manual_seed(9))
    return centres[labels] + torch.randn(number, 8, generator=random), labels


@pytest.mark.parametrize("neighbors", [1, 4, 20])
def test_unweighted_votes_are_those_of_scikit_learn(neighbors: int) -> None:
    (bank, labels), (queries, truth) = features(80, 0), features(50, 1)
    votes = class_votes(bank, labels, queries, neighbors=neighbors, num_classes=5, temperature=None)
    known = KNeighborsClassifier(neighbors, metric="cosine").fit(bank, labels)
    assert np.allclose(votes, known.predict_proba(queries), atol=1e-6)
    assert float(class_accuracy(votes, truth)) == pytest.approx(known.score(queries, truth))


def test_weighted_votes_are_those_of_a_loop() -> None:
    (bank, labels), (queries, _) = features(30, 0), features(7, 1)
    votes = class_votes(bank, labels, queries, neighbors=6, num_classes=5, temperature=0.2)
    for query, shares in zip(queries, votes, strict=True):
        cosines = [float(functional.cosine_similarity(query, one, dim=0)) for one in bank]
        plain = [0.0] * 5
        for place in sorted(range(30), key=lambda one: -cosines[one])[:6]:
            plain[int(labels[place])] += math.exp(cosines[place] / 0.2)
        assert shares.tolist() == pytest.approx([one / sum(plain) for one in plain], abs=1e-5)


def test_a_feature_is_no_neighbour_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches too; with itself, its nearest neighbour knows its class."""
    bank, labels = features(40, 0)
    options: Any = {"neighbors": 1, "num_classes": 5}
    itself = class_votes(bank, labels, bank, **options)
    assert float(class_accuracy(itself, labels)) == 1
    monkeypatch.setattr("trainables.metrics.knn._CHUNK", 7)
    left = class_votes(bank, labels, bank, **options, leaves_out_itself=True)
    for place in range(40):
        rest = torch.arange(40) != place
        alone = class_votes(bank[rest], labels[rest], bank[place : place + 1], **options)
        assert torch.equal(left[place : place + 1], alone)


def test_several_answers_are_those_of_the_majority() -> None:
    bank = torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2], [0, 1]])
    answers = torch.tensor([[1, 0], [1, 1], [0, 1], [0, 0]]).bool()
    votes = label_votes(bank, answers, torch.tensor([[1.0, 0]]), neighbors=3, temperature=None)
    assert votes[0].tolist() == pytest.approx([2 / 3, 2 / 3])
    tied = label_votes(bank, answers, torch.tensor([[1.0, 0]]), neighbors=2, temperature=None)
    assert tied[0].tolist() == pytest.approx([1, 1 / 2])


def test_there_are_as_many_neighbours_as_others() -> None:
    bank, labels = features(6, 0)
    for neighbors, leaves in ((0, False), (7, False), (6, True)):
        with pytest.raises(ValueError, match=f"neighbors must be 1 to {6 - leaves}, got"):
            class_votes(
                bank, labels, bank, neighbors=neighbors, num_classes=5, leaves_out_itself=leaves
            )
    assert class_votes(bank, labels, bank, neighbors=6, num_classes=5).shape == (6, 5)
    with pytest.raises(ValueError, match=r"must be the bank itself \(6\) to be left out, got 5"):
        class_votes(bank, labels, bank[:5], neighbors=2, num_classes=5, leaves_out_itself=True)


def test_votes_by_distance_are_those_of_scikit_learn() -> None:
    """Euclidean, of directions."""
    (bank, labels), (queries, _) = features(80, 0), features(50, 1)
    votes = class_votes(bank, labels, queries, neighbors=6, num_classes=5, weights="distance")
    known = KNeighborsClassifier(6, weights="distance").fit(functional.normalize(bank), labels)
    assert np.allclose(votes, known.predict_proba(functional.normalize(queries)), atol=1e-5)


def test_a_duplicate_has_not_all_the_say_by_distance() -> None:
    """At distance 0 it would vote with an infinite weight: 1 / 0.01 here, beside 1 / √2 twice."""
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    labels, query = torch.tensor([0, 1, 1]), torch.tensor([[2.0, 0.0]])
    votes = class_votes(bank, labels, query, neighbors=3, num_classes=2, weights="distance")
    weights = torch.tensor([100.0, 2 / math.sqrt(2)])
    torch.testing.assert_close(votes[0], weights / weights.sum())


def test_uniform_votes_are_those_without_a_temperature() -> None:
    (bank, labels), (queries, _) = features(30, 0), features(7, 1)
    given: dict[str, Any] = {"neighbors": 6, "num_classes": 5}
    found = class_votes(bank, labels, queries, weights="uniform", **given)
    assert torch.equal(found, class_votes(bank, labels, queries, temperature=None, **given))
    with pytest.raises(LookupError, match="weights must be .*exponential.*'inverse'"):
        class_votes(bank, labels, queries, weights="inverse", **given)  # pyright: ignore


@pytest.mark.parametrize("number", [1, 2, 5])
def test_the_first_few_are_those_of_a_sorted_list(number: int) -> None:
    """Of equals the first class comes first, and a class that nobody votes for is none of them."""
    votes = torch.randint(0, 3, (60, 6), generator=torch.Generator().manual_seed(0)).float()
    labels = torch.arange(60) % 6
    hits = 0
    for row, label in zip(votes.tolist(), labels.tolist(), strict=True):
        ranked = sorted(range(6), key=lambda one: (-row[one], one))[:number]
        hits += label in [one for one in ranked if row[one] > 0]
    assert top_accuracy(votes, labels, number) == pytest.approx(hits / 60)


def test_votes_in_small_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = torch.Generator().manual_seed(0)
    bank, queries = torch.rand(30, 4, generator=draws), torch.rand(7, 4, generator=draws)
    given: dict[str, Any] = {"neighbors": 5, "num_classes": 6}
    whole = class_votes(bank, torch.arange(30) % 6, queries, **given)
    monkeypatch.setattr("trainables.metrics.knn._NUMBERS", 60)  # two queries at a time
    torch.testing.assert_close(class_votes(bank, torch.arange(30) % 6, queries, **given), whole)
