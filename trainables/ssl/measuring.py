"""What pretrained features are good for: neighbours, a probe, and whether they collapse."""

# N images, M in the bank, D width of features.

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Evaluated, References
from trainables.core.measuring import differentiable, learning
from trainables.data.images import Split, stratified
from trainables.metrics.classification import confusion, scores
from trainables.metrics.collapse import collapse_of_vectors
from trainables.metrics.intervals import wilson
from trainables.metrics.knn import class_votes
from trainables.metrics.leaks import duplicates
from trainables.metrics.probe import classifier_scores, fit_classifier
from trainables.ssl.students import Student, exact

if TYPE_CHECKING:
    from trainables.ssl.pretraining import PretrainingExperiment

AT_ONCE = 512
"""So many images are looked at together."""

Embed = Callable[[Tensor], Tensor]
"""Makes features [n, D] of standardised images [n, C, S, S]."""

log = logging.getLogger(__name__)


class Measuring:
    """The evaluations of an experiment; a bank of training images is all that it learns from."""

    def __init__(self, experiment: PretrainingExperiment) -> None:
        self._experiment = experiment
        self._settings = experiment.config.evaluation
        self._classes = len(experiment.facts.classes)

    def classify(self, split: str, last: bool) -> Evaluated:
        """Scores of the network that one goes on with, and of student and teacher apart.

        `knn` is the accuracy of neighbours, within `knn_low` and `knn_high` with 95 %;
        `knn_precision`, `knn_recall` and `knn_f1` are means over classes; `probe` is the accuracy
        of a probe, at the last time.
        """
        learner = self._experiment.learner
        apart = learner.apart()
        with learner.evaluating():
            if not apart:
                return Evaluated(self._scores(learner.kept, split, last))
            found = {name: self._scores(one, split, last) for name, one in apart.items()}
        kept = next(name for name, one in apart.items() if one is learner.kept)
        return Evaluated(found[kept] | _named(found))

    def references(self, split: str) -> References:
        """`majority`: always the class that the bank has most of. `pixels`: no network at all."""
        labels = self._experiment.split(split).labels
        bank, tested = self._both(split, lambda images: images.flatten(1))
        if double := int(duplicates(bank, tested).sum()):
            log.warning(
                "%d of %d images of %s are in the bank of training images, value for value",
                *(double, len(tested), split),
            )
        most = self._bank_labels().bincount(minlength=self._classes).argmax()
        rows = {
            "majority": _scored(most.expand(len(labels)), labels, self._classes),
            "pixels": self._voted(bank, tested, labels),
        }
        if self._settings.probe.steps:
            rows["majority"]["probe"] = rows["majority"]["knn"]
            rows["pixels"]["probe"] = self._probed(bank, tested, split)
        apart = self._experiment.learner.apart()
        return {row: own | _named(dict.fromkeys(apart, own)) for row, own in rows.items()}

    def health(self, last: bool) -> Evaluated:
        """The loss of views of validation images, as in training with the same draws always; what
        the method says of itself; and how far features have collapsed (`metrics.collapse`).
        """
        experiment, learner = self._experiment, self._experiment.learner
        number = min(self._settings.health, len(experiment.split("val")))
        training = experiment.config.training
        parts = torch.arange(number).split(
            max(2, training.batch_size // training.num_micro_batches)
        )
        sums: dict[str, float] = {}
        features: list[Tensor] = []
        with learner.evaluating():
            for places in [part for part in parts if len(part) > 1]:
                liveness.alive()
                batch = experiment.views("val", places, "health", 0, places)
                batch = {name: self._placed(one) for name, one in batch.items()}
                found = experiment.compare(batch, lambda values: values)
                terms = {"loss": found.total, **found.terms, **learner.health(batch)}
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0.0) + float(term) * len(places)
                images = self._placed(experiment.split("val").take(places))
                features.append(learner.kept.embed(images))
        seen = torch.cat(features)
        values = {name: value / len(seen) for name, value in sums.items()}
        return Evaluated(values | {k: float(v) for k, v in collapse_of_vectors(seen).items()})

    def _scores(self, network: Student, split: str, last: bool) -> dict[str, float]:
        """Of the features of a network."""
        bank, tested = self._both(split, network.embed)
        found = self._voted(bank, tested, self._experiment.split(split).labels)
        if last and self._settings.probe.steps:
            found["probe"] = self._probed(bank, tested, split)
        return found

    def _both(self, split: str, embed: Embed) -> tuple[Tensor, Tensor]:
        """Features of the bank and of a split."""
        tested = self._experiment.split(split)
        bank = self._features(embed, self._experiment.split("train"), self._bank())
        return bank, self._features(embed, tested, torch.arange(len(tested)))

    def _features(self, embed: Embed, images: Split, positions: Tensor) -> Tensor:
        """[N, D], in single precision at least."""
        found: list[Tensor] = []
        for part in positions.split(AT_ONCE):
            liveness.alive()
            found.append(exact(embed(self._placed(images.take(part)))))
        return torch.cat(found)

    def _bank(self) -> Tensor:
        """Positions of the training images that are looked among."""
        labels, most = self._experiment.split("train").labels, self._settings.neighbours.bank
        if most is None or most >= len(labels):
            return torch.arange(len(labels))
        seed = self._experiment.config.data.split_seed
        return torch.from_numpy(stratified(labels.numpy(), most, seed))

    def _bank_labels(self) -> Tensor:
        return self._experiment.split("train").labels[self._bank()]

    def _voted(self, bank: Tensor, tested: Tensor, labels: Tensor) -> dict[str, float]:
        """The scores of neighbours."""
        votes = class_votes(
            bank,
            self._bank_labels().to(bank.device),
            tested,
            neighbors=min(self._settings.neighbours.number, len(bank)),
            num_classes=self._classes,
            temperature=self._settings.neighbours.temperature,
        )
        return _scored(votes.argmax(1).cpu(), labels, self._classes)

    def _probed(self, bank: Tensor, tested: Tensor, split: str) -> float:
        """The accuracy of a linear layer on standardised features."""
        experiment, device = self._experiment, bank.device
        labels = self._bank_labels().to(device)
        with learning(experiment, f"{split} probe") as draw:
            features, steps = differentiable(bank), self._settings.probe.steps
            probe = fit_classifier(features, labels, self._classes, generator=draw, steps=steps)
            answers = experiment.split(split).labels.to(device)
            return classifier_scores(probe, differentiable(tested), answers)["accuracy"]

    def _placed(self, values: Tensor) -> Tensor:
        """On the device of the networks, and of their precision if it is floating."""
        like = next(self._experiment.parameters())
        kind = like.dtype if values.is_floating_point() else values.dtype
        return values.to(like.device, kind)


def _scored(answers: Tensor, labels: Tensor, classes: int) -> dict[str, float]:
    """Accuracy with its interval, and means over classes."""
    found = scores(confusion(answers, labels, classes))
    low, high = wilson(found.accuracy, len(labels))
    return {
        "knn": found.accuracy,
        "knn_low": low,
        "knn_high": high,
        "knn_precision": float(found.precision.mean()),
        "knn_recall": float(found.recall.mean()),
        "knn_f1": found.macro_f1,
    }


def _named(apart: dict[str, dict[str, float]]) -> dict[str, float]:
    """Values of several networks as `<network>/<value>`."""
    return {f"{name}/{key}": value for name, own in apart.items() for key, value in own.items()}
