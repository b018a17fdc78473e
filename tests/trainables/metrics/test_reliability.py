"""Calibration has closed forms: what is right as often as it says has no error."""

from __future__ import annotations

import pytest
import torch
from sklearn.calibration import calibration_curve
from torch import Tensor

from trainables.metrics.reliability import (
    brier,
    confidently_wrong,
    of_probabilities,
    reliability,
)


def said(confidence: float, right: int, number: int) -> tuple[Tensor, Tensor]:
    """So many answers that are all as sure."""
    return torch.full((number,), confidence), torch.arange(number) < right


@pytest.mark.parametrize(("right", "error"), [(3, 0.0), (2, 0.25), (4, 0.25), (0, 0.75)])
def test_the_error_of_answers_that_are_as_sure_is_their_gap(right: int, error: float) -> None:
    assert reliability(*said(0.75, right, 4)).error == pytest.approx(error)


def test_the_error_is_the_mean_gap_of_bins_by_their_sizes() -> None:
    """A third of the answers is 0.3 too sure, the others are 0.1 less sure than right."""
    parts = said(0.8, 5, 10), said(0.5, 12, 20)
    sure, hits = (torch.cat(one) for one in zip(*parts, strict=True))
    assert reliability(sure, hits).error == pytest.approx(0.3 / 3 + 0.1 * 2 / 3)


def test_gaps_of_one_bin_cancel_and_an_edge_belongs_below_it() -> None:
    sure = torch.tensor([0.5, 0.6, 1.0], dtype=torch.float64)
    hits = torch.tensor([True, False, True])
    found = reliability(sure, hits, bins=2)
    assert found.counts.tolist() == [1, 2] and found.accuracy.tolist() == [1.0, 0.5]
    assert found.error == pytest.approx((0.5 + 2 * 0.3) / 3)


def test_bins_are_those_of_scikit_learn() -> None:
    draws = torch.Generator().manual_seed(0)
    sure = torch.rand(500, generator=draws, dtype=torch.float64)
    hits = torch.rand(500, generator=draws) < sure
    true, mean = calibration_curve(hits.numpy(), sure.numpy(), n_bins=15)
    found = reliability(sure, hits)
    assert found.accuracy.numpy() == pytest.approx(true)
    assert found.confidence.numpy() == pytest.approx(mean)


def test_shares_of_classes_are_calibrated_and_know_nothing() -> None:
    """So the error does not tell a blind row apart; the Brier score does: 1 − Σ π²."""
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    blind = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64).expand(10, 3)
    assert of_probabilities(blind, labels).error == pytest.approx(0, abs=1e-12)
    assert brier(blind, labels) == pytest.approx(1 - 0.36 - 0.09 - 0.01)
    knows = torch.eye(3, dtype=torch.float64)[labels]
    assert brier(knows, labels) == 0 and brier(knows[:, [1, 2, 0]], labels) == 2
    assert brier(torch.full((10, 3), 1 / 3), labels) == pytest.approx(2 / 3)


def test_wrong_answers_come_by_how_sure_they_were() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    labels = torch.tensor([0, 0, 0, 1])
    assert confidently_wrong(probabilities, labels, 5).tolist() == [2, 1]
    assert confidently_wrong(probabilities, labels, 1).tolist() == [2]
    assert confidently_wrong(probabilities, probabilities.argmax(1), 3).tolist() == []


def test_what_is_no_confidence_is_refused() -> None:
    with pytest.raises(ValueError, match="confidences must be in 0…1, got 0.5…1.5"):
        reliability(torch.tensor([0.5, 1.5]), torch.tensor([True, False]))
    with pytest.raises(ValueError, match="at least 1, got 0 and 0"):
        reliability(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
