"""Scores of yes-or-no answers: average precision, area under the ROC curve, and the curves."""

# N answers, M distinct scores.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Curves(NamedTuple):
    """Points of the precision-recall and the ROC curve, from the highest threshold to the lowest.

    All [M], float64, in 0…1: answers with a score of at least `thresholds` are said to be yes.
    Recall is the share of yeses that are found, `false_alarms` that of noes that are taken for one.
    """

    thresholds: Tensor
    precision: Tensor
    recall: Tensor
    false_alarms: Tensor


def curves(scores: Tensor, targets: Tensor, *, positive_weight: float = 1.0) -> Curves:
    """A point for each distinct score of answers [N] whose `targets` [N] are bool.

    A yes counts `positive_weight` times, which moves precision alone. Recall is NaN without a yes,
    `false_alarms` without a no.
    """
    scores, targets = scores.detach().flatten(), targets.flatten().bool()
    order = scores.argsort(descending=True)
    scores, targets = scores[order], targets[order]
    is_last = torch.ones_like(targets)
    is_last[:-1] = scores[1:] != scores[:-1]
    places = is_last.nonzero()[:, 0]
    hits = targets.cumsum(0)[places].double()
    misses = places + 1 - hits
    weighted = hits * positive_weight
    return Curves(
        thresholds=scores[places].double(),
        precision=weighted / (weighted + misses),
        recall=hits / targets.sum(),
        false_alarms=misses / (~targets).sum(),
    )


def average_precision(points: Curves) -> Tensor:
    """Σ (R_m − R_m−1) P_m, a scalar in 0…1, float64: 1 if every yes scores above every no.

    That of random scores is the share of yeses, each counted with its weight. As scikit-learn's
    `average_precision_score`; NaN without a yes.
    """
    before = points.recall.new_zeros(1)
    return (points.recall.diff(prepend=before) * points.precision).sum()


def area_under_roc(points: Curves) -> Tensor:
    """The chance that a yes scores above a no, ties as one half; a scalar in 0…1, float64.

    ½ for random scores. As scikit-learn's `roc_auc_score`. Weights of a class do not change it, for
    they leave both of its shares as they are. NaN if all targets are equal.
    """
    start = points.recall.new_zeros(1)
    recall = torch.cat([start, points.recall])
    return ((recall[1:] + recall[:-1]) / 2 * points.false_alarms.diff(prepend=start)).sum()


def thinned(points: Curves, most: int = 512) -> Curves:
    """At most so many of the points, the first and the last among them, for a picture.

    They are chosen by equal steps of recall and false alarms together, not of thresholds.
    """
    travelled = points.recall + points.false_alarms
    ends = float(travelled[0]), float(travelled[-1])
    goals = torch.linspace(*ends, most, dtype=torch.float64, device=travelled.device)
    places = torch.searchsorted(travelled, goals).clamp(max=len(travelled) - 1).unique()
    return Curves(*(one[places] for one in points))
