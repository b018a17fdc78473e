"""What can be read off frozen features: questions about objects, properties, counts, neighbours."""

# n scenes, S slots, C width, Q questions.

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Evaluated, References
from trainables.core.measuring import differentiable, learning
from trainables.data.scenes.choosing import Positions
from trainables.data.scenes.store import Scenes, Store
from trainables.figures.probes import answer_curves, probe_losses
from trainables.metrics.binary import curves
from trainables.metrics.knn import class_accuracy, class_votes
from trainables.metrics.probe import (
    Probe,
    classifier_scores,
    fit_classifier,
    fit_probe,
    probe_scores,
)
from trainables.metrics.properties import CLEVR_VALUES, combinations, counts, property_targets
from trainables.osc.evaluations import Probe as Settings
from trainables.osc.model import Outputs
from trainables.osc.views import seen_in_middle

if TYPE_CHECKING:
    from trainables.osc.experiment import RepresentationExperiment

MOST = 10
"""More objects are not counted; CLEVR has no more."""
FEWEST = 3
"""Of so many scenes one can be held out from a probe."""
AT_ONCE = 256
"""So many label maps are looked at together."""
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


@dataclass(frozen=True)
class Targets:
    """What is asked of n scenes: first those that probes learn from, then those that test them."""

    questions: Tensor
    """Bool [n, Q]: is there an object with such a combination of properties? CLEVR's are 96."""
    properties: dict[str, Tensor]
    """Bool [n, V] by property: is there an object with such a value?"""
    counts: Tensor
    """Int64 [n]: how many objects are seen, at most `MOST`."""
    number_fitted: int
    """How many of them, the first, are learned from: three quarters, without a part of a clip."""

    @property
    def fitting(self) -> slice:
        """Those that are learned from."""
        return slice(0, self.number_fitted)

    @property
    def testing(self) -> slice:
        """The others."""
        return slice(self.number_fitted, len(self.counts))


def targets(store: Store, split: str, positions: Positions) -> Targets:
    """Of the properties that the set codes by small integers, and of what is visible."""
    scenes, background = store.splits[split], store.num_background
    visible = _visible(scenes, positions, background)
    codes = {name: torch.from_numpy(scenes.fields[name][positions]) for name in _coded(scenes)}
    values = {name: _values(store, name) for name in codes}
    asked: dict[str, Tensor] = {}
    every = torch.zeros(len(positions), 0, dtype=torch.bool)
    if codes:
        asked = property_targets(codes, visible, values, num_background=background)
        every = combinations(codes, visible, values, num_background=background)
    seen = counts(visible, MOST, num_background=background)
    number = _number_fitted(scenes, positions)
    return Targets(every, asked if len(asked) > 1 else {}, seen, number)


def probed(
    experiment: RepresentationExperiment,
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
    """What answers score that look at no image: scores by chance, and the most frequent count."""
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
    weighed = POSITIVE_WEIGHT * share / (POSITIVE_WEIGHT * share + 1 - share)
    by_name = {"ap": weighed, "ap_imbalanced": share, "auroc": 0.5}
    rows["chance"] = {
        f"questions/{kind}/{name}": value for kind in KINDS for name, value in by_name.items()
    }
    return rows


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


def _coded(scenes: Scenes) -> list[str]:
    """Fields [N, E] of codes from 1, 0 for none; those of CLEVR in the order of its questions."""
    found = {
        name
        for name, field in scenes.fields.items()
        if field.ndim == 2 and field.dtype == np.uint8 and name != "visibility"
    }
    first = [name for name in CLEVR_VALUES if name in found]
    return [*first, *sorted(found - set(first))]


def _values(store: Store, name: str) -> int:
    """How many values a property has: CLEVR's are known, of others those that occur."""
    if all(one in store.splits["train"].fields for one in CLEVR_VALUES):
        return CLEVR_VALUES[name]
    return max(int(split.fields[name].max(initial=1)) for split in store.splits.values())


def _number_fitted(scenes: Scenes, positions: Positions) -> int:
    """Three quarters; fewer where that would have frames of one clip on both sides, unless too few
    are left.
    """
    number = len(positions) - len(positions) // 4
    if "clip" not in scenes.fields or number == len(positions):
        return number
    clip = scenes.fields["clip"][positions]
    before = np.flatnonzero(clip[:number] != clip[number])
    whole = int(before[-1]) + 1 if len(before) else 0
    return whole if whole >= FEWEST else number


def _visible(scenes: Scenes, positions: Positions, background: int) -> Tensor:
    """Which entities are seen, bool [n, E]: as the set says, else as many as there are objects.

    Of pictures that are no squares, only objects that the square in their middle has left.
    """
    if "visibility" in scenes.fields:
        found = torch.from_numpy(scenes.fields["visibility"][positions].astype(bool))
    else:
        number = torch.from_numpy(scenes.counts[positions].astype(np.int64)) + background
        found = torch.arange(int(number.max())) < number[:, None]
    height, width = scenes.images(positions[:1]).shape[1:3]
    if not scenes.has_labels or height == width:
        return found
    parts = np.array_split(positions, -(-len(positions) // AT_ONCE))
    inside = [
        seen_in_middle(torch.from_numpy(scenes.labels(part)), found.shape[1] - background)
        for part in parts
    ]
    return torch.cat([found[:, :background], found[:, background:] & torch.cat(inside)], 1)
