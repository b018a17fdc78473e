"""Scores of a classifier against scikit-learn's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn import metrics
from torch import Tensor

from trainables.metrics.classification import confusion, normalised, recall_by_frequency, scores


def predictions(case: str) -> tuple[Tensor, Tensor]:
    """Predicted and true labels of five classes."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (200,), generator=draw)
    noise = torch.randint(0, 5, (200,), generator=draw)
    predicted = torch.where(torch.rand(200, generator=draw) < 0.4, noise, labels)
    if case == "a class is never predicted":
        predicted[predicted == 3] = 1
    if case == "a class never occurs":
        labels[labels == 2] = 4
    if case == "a class is neither":
        labels[labels == 2] = predicted[predicted == 2] = 4
    return predicted, labels


CASES = ["all", "a class is never predicted", "a class never occurs", "a class is neither"]


@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_scikit_learn(case: str) -> None:
    predicted, labels = predictions(case)
    counts = confusion(predicted, labels, 5)
    found = scores(counts)
    reference: Any = metrics.precision_recall_fscore_support
    precision, recall, f1, support = reference(labels, predicted, labels=range(5), zero_division=0)
    assert counts.tolist() == metrics.confusion_matrix(labels, predicted, labels=range(5)).tolist()
    assert found.precision.tolist() == pytest.approx(list(precision))
    assert found.recall.tolist() == pytest.approx(list(recall))
    assert found.f1.tolist() == pytest.approx(list(f1))
    assert found.support.tolist() == list(support)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(sum(f1) / 5)


def test_a_perfect_classifier_scores_one() -> None:
    labels = torch.arange(5)
    found = scores(confusion(labels, labels, 5))
    assert found.accuracy == found.macro_f1 == 1.0
    assert found.precision.tolist() == found.recall.tolist() == [1.0] * 5


@pytest.mark.parametrize("case", CASES)
def test_rows_are_shares_of_the_true_class(case: str) -> None:
    predicted, labels = predictions(case)
    expected = metrics.confusion_matrix(labels, predicted, labels=range(5), normalize="true")
    found = normalised(confusion(predicted, labels, 5))
    torch.testing.assert_close(
        found.double(),
        torch.from_numpy(expected),
        atol=1e-6,
        rtol=0,
    )


def test_nothing_has_no_scores() -> None:
    with pytest.raises(ValueError, match="must count at least one example, got none"):
        scores(torch.zeros(3, 3, dtype=torch.int64))


@pytest.mark.parametrize("case", CASES)
def test_weighted_means_are_those_of_scikit_learn(case: str) -> None:
    predicted, labels = predictions(case)
    found = scores(confusion(predicted, labels, 5))
    reference: Any = metrics.precision_recall_fscore_support
    known = reference(labels, predicted, labels=range(5), zero_division=0, average="weighted")
    own = [found.weighted(one) for one in (found.precision, found.recall, found.f1)]
    assert own == pytest.approx(known[:3])
    assert found.weighted(found.recall) == pytest.approx(found.accuracy)


def test_recall_is_told_apart_by_training_images() -> None:
    """Above 100, 20 to 100, below 20: both edges are medium."""
    recall = torch.tensor([0.9, 0.8, 0.6, 0.4, 0.1]).double()
    found = recall_by_frequency(recall, torch.tensor([500, 101, 100, 20, 19]))
    assert found == pytest.approx({"many": 0.85, "medium": 0.5, "few": 0.1})
    assert recall_by_frequency(recall[:2], torch.tensor([500, 19])).keys() == {"many", "few"}
    assert recall_by_frequency(recall, torch.full((5,), 300)) == {}
