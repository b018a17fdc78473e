"""Scores of a classifier that is learned with its network."""

# N images, C classes.

from __future__ import annotations

from torch import Tensor

from trainables.metrics.classification import confusion, recall_by_frequency, scores
from trainables.metrics.intervals import wilson


def own_scores(
    answers: Tensor, labels: Tensor, counts: Tensor, names: tuple[str, ...], last: bool
) -> dict[str, float]:
    """Of answers and labels [N] of classes with so many training images [C], in 0…1.

    Accuracy with its interval, recall and F1 as means over classes, recall of classes with many,
    medium and few images; at the last time that of each class.
    """
    found = scores(confusion(answers, labels, len(counts)))
    low, high = wilson(found.accuracy, len(labels))
    values = {
        "accuracy": found.accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "recall": float(found.recall.mean()),
        "f1": found.macro_f1,
    }
    kinds = recall_by_frequency(found.recall, counts)
    values |= {f"recall_{kind}": value for kind, value in kinds.items()}
    if last:
        values |= {f"recall/{one}": float(found.recall[k]) for k, one in enumerate(names)}
    return values


def of_neighbours(row: dict[str, float]) -> dict[str, float]:
    """What features are good for, without what a classifier says."""
    return {name: one for name, one in row.items() if name.startswith(("knn", "probe"))}
