"""Scores of yes-or-no answers beside scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from torch import Tensor

from trainables.metrics.binary import area_under_roc, average_precision, curves, thinned


def answers(levels: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores of so many levels, with ties, that have something to do with what is true."""
    random = torch.Generator().manual_seed(seed)
    targets = torch.rand(40, 12, generator=random) < 0.15
    scores = torch.randn(40, 12, generator=random) + targets
    return (scores * levels).round() / levels, targets


@pytest.mark.parametrize("weight", [1.0, 3.0, 14.0])
@pytest.mark.parametrize("levels", [1, 4, 10**6])
def test_scores_are_those_of_scikit_learn(levels: int, weight: float) -> None:
    scores, targets = answers(levels)
    points = curves(scores, targets, positive_weight=weight)
    truth, weights = targets.flatten(), 1 + (weight - 1) * targets.flatten().double()
    precision = average_precision_score(truth, scores.flatten(), sample_weight=weights)
    area = roc_auc_score(truth, scores.flatten(), sample_weight=weights)
    assert float(average_precision(points)) == pytest.approx(precision, abs=1e-12)
    assert float(area_under_roc(points)) == pytest.approx(area, abs=1e-12)


def test_curves_are_those_of_scikit_learn() -> None:
    scores, targets = answers(4)
    points = curves(scores, targets)
    precision, recall, thresholds = precision_recall_curve(targets.flatten(), scores.flatten())
    assert np.allclose(points.precision, precision[-2::-1])
    assert np.allclose(points.recall, recall[-2::-1])
    assert np.allclose(points.thresholds, thresholds[::-1])
    false, true, _ = roc_curve(targets.flatten(), scores.flatten(), drop_intermediate=False)
    assert np.allclose(points.false_alarms, false[1:]) and np.allclose(points.recall, true[1:])


def test_without_yeses_and_noes_there_is_no_score() -> None:
    points = curves(torch.rand(5), torch.zeros(5, dtype=torch.bool))
    assert torch.isnan(average_precision(points)) and torch.isnan(area_under_roc(points))
    assert torch.isnan(area_under_roc(curves(torch.rand(5), torch.ones(5, dtype=torch.bool))))


def test_a_picture_has_few_points_of_a_long_curve() -> None:
    scores, targets = answers(10**6)
    points = curves(scores, targets)
    few = thinned(points, 50)
    assert len(points.recall) > 400 and len(few.recall) <= 50
    assert float(few.recall[-1]) == float(few.false_alarms[-1]) == 1
    assert float(few.thresholds[0]) == float(points.thresholds[0])
    assert abs(float(area_under_roc(few)) - float(area_under_roc(points))) < 0.01
