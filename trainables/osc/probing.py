"""Probes of frozen features: questions about objects, properties, counts, neighbours."""

# n scenes, S slots, C width, Q questions.

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Evaluated, References
from trainables.core.measuring import differentiable, learning
from trainables.data.scenes.choosing import Positions
from trainables.data.scenes.store import Store
from trainables.figures.probes import answer_curves, probe_losses
from trainables.metrics.binary import average_precision, curves
from trainables.metrics.knn import class_accuracy, class_votes
from trainables.metrics.probe import (
    Probe,
    classifier_scores,
    fit_classifier,
    fit_probe,
    probe_scores,
    weight_of_yes,
)
from trainables.osc.evaluations import Probe as Settings
from trainables.osc.model import Outputs
from trainables.osc.targets import MOST, Targets, targets
from trainables.osc.task import RepresentationTask

POSITIVE_WEIGHT = 14.0
"""How often a yes counts, by the share of yeses on CLEVR, 5.6 to 7.8 %."""
KINDS = ("features", "slots")
"""Of what questions are asked: the vector of an image, or its slots."""


class Features:
    """What networks have found of scenes, added up batch by batch."""

    def __init__(self) -> None:
        self._parts: list[Outputs] = []

    def add(self, found: Outputs) -> None:
        """Keeps what is of images and slots; patches would be too many, even as an empty view."""
        none = found.patches.new_empty(len(found.patches), 0, found.patches.shape[2])
        self._parts.append(found._replace(patches=none))

    @property
    def features(self) -> Tensor:
        """Of images, [n, C]."""
        return torch.cat([part.features for part in self._parts])

    @property
    def projections(self) -> Tensor:
        """Of images, [n, D]."""
        return torch.cat([part.projections for part in self._parts])

    @property
    def slots(self) -> Tensor | None:
        """[n, S, C]; None without objects."""
        found = [part.slots for part in self._parts if part.slots is not None]
        return torch.cat(found) if found else None


def probed(
    experiment: RepresentationTask,
    split: str,
    seen: Features,
    positions: Positions,
    last: bool,
) -> Evaluated:
    """What probes read off the vectors of images, and off slots: `questions/slots/ap` …

    Average precision and AUROC of yes-or-no questions, with a yes counted as in the loss (`ap`) and
    once (`ap_imbalanced`); the accuracy of counts, by a probe and by nearest neighbours. At the
    last time each property is asked for by itself, too, and curves are drawn.
    """
    settings = experiment.config.evaluation.probe
    asked = targets(experiment.store, split, positions)
    values: dict[str, float] = {}
    shown: dict[str, Probe] = {}
    if not settings.steps or asked.testing.stop == asked.testing.start:
        return Evaluated(values)
    read = {"features": seen.features} | ({} if seen.slots is None else {"slots": seen.slots})
    for name, features in read.items():
        with learning(experiment, f"{split} probes of {name}") as draw:
            found = _Reading(differentiable(features), asked, _fitting(settings), draw)
            values |= found.values(name, last)
        if found.probe is not None:
            shown[name] = found.probe
    values["neighbours/features"] = _neighbours(seen.features, asked, settings.neighbours)
    values = {name: one for name, one in values.items() if not math.isnan(one)}
    return Evaluated(values, figures(shown, read, asked, split) if last else {})


class _Reading:
    """Probes of one kind of features, [n, C] or [n, S, C]."""

    def __init__(
        self, features: Tensor, asked: Targets, fitting: dict[str, Any], draw: torch.Generator
    ) -> None:
        self._asked, self._fitting, self._draw = asked, fitting, draw
        self._learned, self._tested = features[asked.fitting], features[asked.testing]
        self.probe: Probe | None = None

    def values(self, name: str, last: bool) -> dict[str, float]:
        """All scores, by their names; NaN where all answers are equal.

        What is asked at the last time alone is drawn for last, so that it changes nothing else.
        """
        found: dict[str, float] = {}
        if self._asked.questions.shape[1]:
            scores = self._answered(self._asked.questions, POSITIVE_WEIGHT)
            found |= {
                f"questions/{name}/ap": scores["ap/balanced"],
                f"questions/{name}/ap_imbalanced": scores["ap/imbalanced"],
                f"questions/{name}/auroc": scores["auroc"],
            }
        found[f"counts/{name}"] = self._counted()
        for label, answers in self._asked.properties.items() if last else ():
            scores = self._answered(answers, None)
            found[f"properties/{name}/{label}"] = scores["ap/balanced"]
        return found

    def _answered(self, answers: Tensor, positive_weight: float | None) -> dict[str, float]:
        liveness.alive()
        answers = answers.to(self._learned.device)
        probe = fit_probe(
            self._learned,
            answers[self._asked.fitting],
            generator=self._draw,
            positive_weight=positive_weight,
            **self._fitting,
        )
        if positive_weight is not None:
            self.probe = probe
        return probe_scores(probe, self._tested, answers[self._asked.testing])

    def _counted(self) -> float:
        liveness.alive()
        labels = self._asked.counts.to(self._learned.device)
        classifier = fit_classifier(
            self._learned,
            labels[self._asked.fitting],
            MOST + 1,
            generator=self._draw,
            pools="mean",
            **self._fitting,
        )
        scores = classifier_scores(classifier, self._tested, labels[self._asked.testing])
        return scores["accuracy"]


def blind(store: Store, split: str, positions: Positions) -> References:
    """What answers score that look at no image: scores by chance, and the most frequent count.

    Of properties also how often each value was there in the scenes that probes learn from
    (`frequency`), which a probe of constant features says.
    """
    asked = targets(store, split, positions)
    if asked.testing.stop == asked.testing.start:
        return {}
    tested = asked.counts[asked.testing]
    most = asked.counts[asked.fitting].bincount().argmax()
    majority = float((tested == most).double().mean())
    rows = {"majority": {f"counts/{name}": majority for name in KINDS}}
    rows["majority"]["neighbours/features"] = majority
    if not asked.questions.shape[1]:
        return rows
    share = float(asked.questions[asked.testing].double().mean())
    by_name = {"ap": _weighed(share, POSITIVE_WEIGHT), "ap_imbalanced": share, "auroc": 0.5}
    rows["chance"] = {
        f"questions/{kind}/{name}": value for kind in KINDS for name, value in by_name.items()
    }
    for label, answers in asked.properties.items():
        learned, tested = answers[asked.fitting].double(), answers[asked.testing]
        weight = weight_of_yes(answers[asked.fitting])
        guesses = curves(learned.mean(0).expand(tested.shape), tested, positive_weight=weight)
        found = {
            "chance": _weighed(float(tested.double().mean()), weight),
            "frequency": float(average_precision(guesses)),
        }
        for row, value in found.items():
            rows.setdefault(row, {}).update({f"properties/{kind}/{label}": value for kind in KINDS})
    return rows


def _weighed(share: float, weight: float) -> float:
    """The share of yeses, each counted so often: the average precision of scores by chance.

    NaN if nothing counts.
    """
    whole = weight * share + 1 - share
    return weight * share / whole if whole else math.nan


def figures(
    probes: dict[str, Probe], read: dict[str, Tensor], asked: Targets, split: str
) -> dict[str, Callable[[Path], None]]:
    """Pictures of the losses of the probes of questions, and of their answers."""
    if not probes:
        return {}
    tested, title = asked.testing, f"{split}: questions about objects"
    answers = {
        name: curves(probe(read[name][tested]).cpu(), asked.questions[tested])
        for name, probe in probes.items()
    }
    return {
        "probes": partial(probe_losses, probes=probes, title=title),
        "answers": partial(answer_curves, answers=answers, title=title),
    }


def _neighbours(features: Tensor, asked: Targets, number: int) -> float:
    """The accuracy of counts that the nearest images vote for."""
    labels, bank = asked.counts.to(features.device), features[asked.fitting]
    votes = class_votes(
        bank,
        labels[asked.fitting],
        features[asked.testing],
        neighbors=min(number, len(bank)),
        num_classes=MOST + 1,
    )
    return float(class_accuracy(votes, labels[asked.testing]))


def _fitting(settings: Settings) -> dict[str, Any]:
    """Of the settings of probes: as is best, or as was published."""
    if settings.stops_early:
        return {"steps": settings.steps}
    published = {"learning_rate": 1e-3, "stops_early": False, "standardizes": False}
    return {"steps": settings.steps, **published}
