"""Subsets of examples, stratified by class and drawn by a seed."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
TailShape = Literal["exponential", "step"]


def stratified(labels: Indices, count: int, seed: int) -> Indices:
    """Positions of `count` examples, sorted, drawn by seed with the same share of each class.

    Of N examples of a class ⌊N · count / all⌋ are taken, and one more where the remainders are
    largest.
    """
    shares = np.bincount(labels) * count / len(labels)
    quota = np.floor(shares).astype(np.int64)
    more = np.argsort(quota - shares, kind="stable")[: count - quota.sum()]
    quota[more] += 1
    return _drawn(labels, quota, seed)


def tail_counts(
    largest: int, classes: int, factor: float, shape: TailShape = "exponential"
) -> list[int]:
    """How many images each class has of a set with a long tail, the first one `largest`.

    Exponential: class c of C has ⌊largest · factor^{c / (C − 1)}⌋; step: the second half of the
    classes ⌊largest · factor⌋ (Cui et al. 2019; Buda et al. 2018).
    """
    if shape == "step":
        return [int(largest * (factor if c >= classes // 2 else 1)) for c in range(classes)]
    return [int(largest * factor ** (c / max(classes - 1, 1))) for c in range(classes)]


def tailed(labels: Indices, factor: float, shape: TailShape, seed: int) -> Indices:
    """Positions, sorted, of a long tail of labels [N], drawn by seed.

    As many of each class as `tail_counts` says of the mean class, or all where there are fewer; a
    smaller factor keeps of each class some of those that a larger one keeps.

    Raises:
        ValueError: a class would have no image.
    """
    sizes = np.bincount(labels)
    counts = np.minimum(tail_counts(len(labels) // len(sizes), len(sizes), factor, shape), sizes)
    if counts.min() < 1:
        raise ValueError(
            f"data.long_tail.factor must leave each class an image: of the mean class with "
            f"{len(labels) // len(sizes)} at least {len(sizes) / len(labels):.2g}, got {factor:g}"
        )
    return _drawn(labels, counts, seed)


def _drawn(labels: Indices, counts: Indices, seed: int) -> Indices:
    """Positions, sorted, of so many examples of each class."""
    order = np.random.RandomState(seed).permutation(len(labels))
    classes = [order[labels[order] == number][:each] for number, each in enumerate(counts)]
    return np.sort(np.concatenate(classes))
