"""How steady answers are when images change a little: by themselves, or from frame to frame."""

# N images, P pairs of an image and a neighbour.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Steady(NamedTuple):
    """Shares of images in 0…1: whose answer stays `right`, whose stays the `same`."""

    right: float
    same: float


def under_change(before: Tensor, after: Tensor, labels: Tensor) -> Steady:
    """Of answers [N] to images and to changed ones: after is the label; after is as before.

    Raises:
        ValueError: there are no images, or not as many of all three.
    """
    if not len(labels) or not before.shape == after.shape == labels.shape:
        raise ValueError(
            f"answers must be one for each of at least 1 label, got {len(before)} and "
            f"{len(after)} for {len(labels)}"
        )
    right, same = (after == labels).double().mean(), (after == before).double().mean()
    return Steady(float(right), float(same))


def among_neighbours(
    answers: Tensor, labels: Tensor, anchors: Tensor, neighbours: Tensor
) -> Steady:
    """Of anchors with neighbours [P]: all answers, its own too, are right; all are the same.

    The first is the accuracy of Shankar et al. (2021, pm-k): the worst frame around an anchor
    counts. An anchor comes as often as it has neighbours, and counts once.

    Args:
        answers: [N].
        labels: [N].
        anchors: places in these, int64 [P].
        neighbours: places in these, int64 [P], of the same label each.

    Raises:
        ValueError: there are no pairs.
    """
    if not len(anchors):
        raise ValueError("neighbours must be at least one, got none")
    own = anchors.unique()
    wrong = (answers != labels)[neighbours] | (answers != labels)[anchors]
    other = answers[neighbours] != answers[anchors]
    right, same = (
        float((torch.bincount(anchors[bad], minlength=len(answers))[own] == 0).double().mean())
        for bad in (wrong, other)
    )
    return Steady(right, same)
