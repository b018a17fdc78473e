"""Accuracy, confusion, and per-class precision, recall and F1, from predicted and true labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def confusion(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Counts [classes, classes], int64: row the true class, column the predicted one.

    `predicted` and `labels` [N] are class indices.
    """
    flat = labels.long() * classes + predicted.long()
    return torch.bincount(flat, minlength=classes**2).view(classes, classes)


def normalised(counts: Tensor) -> Tensor:
    """A confusion matrix with rows that sum to 1; a class that does not occur has a row of 0."""
    return counts / counts.sum(1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Scores:
    """Scores in 0…1 (1 best): overall accuracy, mean F1 over classes, and per class [classes].

    Precision is 0 where a class is never predicted, recall where it never occurs, F1 where both
    are 0: as scikit-learn with `zero_division=0`. `support` is how often a class occurs.
    """

    accuracy: float
    macro_f1: float
    precision: Tensor
    recall: Tensor
    f1: Tensor
    support: Tensor

    def weighted(self, values: Tensor) -> float:
        """The mean of precision or F1 [classes], each class as often as it occurs.

        As scikit-learn's `average="weighted"`. Of recall it is the accuracy.
        """
        return float((values * self.support).sum() / self.support.sum())


def scores(counts: Tensor) -> Scores:
    """The scores of a confusion matrix (row true, column predicted).

    Raises:
        ValueError: the matrix is empty.
    """
    total = int(counts.sum())
    if total == 0:
        raise ValueError("a confusion matrix must count at least one example, got none")
    counts = counts.double()
    hits = counts.diagonal()
    support, predicted = counts.sum(1), counts.sum(0)
    precision = hits / predicted.clamp(min=1)
    recall = hits / support.clamp(min=1)
    f1 = 2 * hits / (support + predicted).clamp(min=1)
    return Scores(
        accuracy=float(hits.sum()) / total,
        macro_f1=float(f1.mean()),
        precision=precision,
        recall=recall,
        f1=f1,
        support=support.long(),
    )


MANY, FEW = 100, 20
"""Classes with more training images than the one are many, with fewer than the other few."""


def recall_by_frequency(recall: Tensor, counts: Tensor) -> dict[str, float]:
    """The mean recall of classes with many, medium and few training images, by these names.

    Of `recall` [C] and the training images `counts` [C] of each class: above 100, 20 to 100, below
    20 (Liu et al. 2019, section 4.1). A kind without classes is not there; nothing is where all
    classes are of one kind.
    """
    kinds = {
        "many": counts > MANY,
        "medium": (counts <= MANY) & (counts >= FEW),
        "few": counts < FEW,
    }
    found = {name: float(recall[own].mean()) for name, own in kinds.items() if own.any()}
    return found if len(found) > 1 else {}
