"""Whether a classifier is right as often as it says: calibration error and Brier score."""

# N examples, C classes, B bins.

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 15
"""As many as Guo et al. 2017."""


@dataclass(frozen=True)
class Reliability:
    """Examples in B bins of equal width by their confidence, (0, 1/B], (1/B, 2/B] … (1 − 1/B, 1].

    `counts` int64 [B]; the mean `confidence` and the `accuracy` of each bin, float64 [B] in 0…1,
    0 where it is empty.
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def error(self) -> float:
        """The expected calibration error Σ_b n_b/N · |accuracy_b − confidence_b|, in 0…1, 0 best.

        It says nothing of what is known: shares of classes alone, said of each example, have none.
        """
        gaps = (self.accuracy - self.confidence).abs()
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability(confidences: Tensor, hits: Tensor, bins: int = BINS) -> Reliability:
    """How often answers are right by how sure they were (Guo et al. 2017, section 2).

    Args:
        confidences: the probability of each answer, [N] in 0…1.
        hits: whether it was right, bool [N].
        bins: B.

    Raises:
        ValueError: there are no examples, not as many of both, or one is not in 0…1.
    """
    if confidences.shape != hits.shape or not hits.numel():
        raise ValueError(
            f"hits must be of the answers with confidences, at least 1, got {len(hits)} and "
            f"{len(confidences)}"
        )
    sure = confidences.detach().double().cpu()
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError(f"confidences must be in 0…1, got {float(sure.min())}…{float(sure.max())}")
    edges = torch.arange(1, bins, dtype=torch.float64) / bins
    places = torch.bucketize(sure, edges)  # right edges belong to their bin
    counts = places.bincount(minlength=bins)
    most = counts.clamp(min=1)
    sums = [
        torch.zeros(bins, dtype=torch.float64).index_add_(0, places, one)
        for one in (sure, hits.cpu().double())
    ]
    return Reliability(counts, sums[0] / most, sums[1] / most)


def of_probabilities(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> Reliability:
    """The same of the likeliest class of probabilities [N, C], and labels [N]."""
    sure, answers = probabilities.max(1)
    return reliability(sure.clamp(0, 1), answers == labels.to(answers.device), bins)


def brier(probabilities: Tensor, labels: Tensor) -> float:
    """The mean of Σ_c (p_c − [c is the label])² over examples, in 0…2, 0 best (Brier 1950).

    A proper score: the smallest expected one have the true probabilities, so that it rises both if
    a classifier knows less and if it is surer than it is right. Shares π of the classes alone,
    said of each example, have 1 − Σ π²; 1/C of each class 1 − 1/C.

    Args:
        probabilities: [N, C].
        labels: int64 [N].
    """
    found = probabilities.detach().double()
    own = found.gather(1, labels.to(found.device)[:, None])[:, 0]
    return float((found.square().sum(1) - 2 * own + 1).mean())


def confidently_wrong(probabilities: Tensor, labels: Tensor, number: int) -> Tensor:
    """Positions of at most so many wrong answers of probabilities [N, C], the surest first."""
    sure, answers = probabilities.detach().cpu().max(1)
    wrong = (answers != labels.cpu()).nonzero()[:, 0]
    return wrong[sure[wrong].argsort(descending=True, stable=True)[:number]]
