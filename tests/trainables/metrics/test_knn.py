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

from trainables.metrics.knn import class_accuracy, class_votes, label_accuracy, label_votes


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
    assert float(label_accuracy(votes, torch.tensor([[True, False]]))) == 0.5
    tied = label_votes(bank, answers, torch.tensor([[1.0, 0]]), neighbors=2, temperature=None)
    assert float(label_accuracy(tied, torch.tensor([[True, False]]))) == 1


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
