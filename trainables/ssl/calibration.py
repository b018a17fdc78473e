"""Calibration of classifiers: scores and pictures of how sure they are of their answers."""

# N images, C classes.

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from trainables.data.images import Split
from trainables.figures.reliability import reliability_diagram, wrong_answers
from trainables.metrics.reliability import brier, confidently_wrong, of_probabilities

Figures = dict[str, Callable[[Path], None]]


def calibration(name: str, probabilities: Tensor, labels: Tensor) -> dict[str, float]:
    """`<name>_ece`, the expected calibration error, and `<name>_brier`, of probabilities [N, C].

    Without a name they are `ece` and `brier`. Of a network that has diverged, whose probabilities
    are not finite, both are not a number.
    """
    start = f"{name}_" if name else ""
    if not bool(probabilities.isfinite().all()):
        return {f"{start}ece": math.nan, f"{start}brier": math.nan}
    error = of_probabilities(probabilities.cpu(), labels).error
    return {f"{start}ece": error, f"{start}brier": brier(probabilities.cpu(), labels)}


def shares(counts: Tensor, number: int) -> Tensor:
    """The shares [N, C] of classes with so many training images [C]: what is known blindly."""
    return (counts.double() / counts.sum()).expand(number, -1)


def drawn(
    name: str,
    probabilities: Tensor,
    split: Split,
    classes: Sequence[str],
    *,
    counts: Tensor,
    number: int,
    title: str,
) -> Figures:
    """The reliability diagram of probabilities [N, C] of the images of a split, beside the class
    that most of the training images [C] are of; and `number` images that it was surest of wrongly.

    They are `<name>_reliability` and `<name>_wrong`; images are read when they are drawn. There are
    none of probabilities that are not finite.
    """
    start, probabilities = f"{name}_" if name else "", probabilities.detach().cpu()
    if not bool(probabilities.isfinite().all()):
        return {}
    found = of_probabilities(probabilities, split.labels)
    most = int(counts.argmax())
    right = float((split.labels == most).double().mean())
    blind = float(counts[most] / counts.sum()), right
    heading = f"{title}: calibration error {found.error:.3f}"
    made: Figures = {
        f"{start}reliability": partial(reliability_diagram, found=found, blind=blind, title=heading)
    }
    if number:
        given = (probabilities, split, classes, number, title)
        made[f"{start}wrong"] = lambda path: _draw_wrong(path, *given)
    return made


def _draw_wrong(
    path: Path,
    probabilities: Tensor,
    split: Split,
    classes: Sequence[str],
    number: int,
    title: str,
) -> None:
    places = confidently_wrong(probabilities, split.labels, number)
    sure, answers = probabilities[places].max(1)
    images = split.pixels(places) if len(places) else torch.zeros(0, 1, 8, 8)
    wrong = int((probabilities.argmax(1) != split.labels).sum())
    wrong_answers(
        path,
        images,
        [str(classes[one]) for one in answers.tolist()],
        sure.tolist(),
        [str(classes[one]) for one in split.labels[places].tolist()],
        title=f"{title}: the surest of {wrong} wrong answers to {len(split)} images",
    )
