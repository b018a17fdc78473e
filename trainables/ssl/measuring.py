"""Evaluation of pretrained features: neighbours, a probe, collapse."""

# N images, M in the bank, D width of features.

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Evaluated, References
from trainables.figures.classification import confusion_matrix
from trainables.metrics.classification import recall_by_frequency, scores
from trainables.metrics.collapse import collapse_of_vectors
from trainables.metrics.knn import class_votes
from trainables.metrics.leaks import duplicates
from trainables.ssl.calibration import Figures, calibration, drawn, shares
from trainables.ssl.changing import MAIN
from trainables.ssl.classifying import of_neighbours, own_scores
from trainables.ssl.corrupting import Answer
from trainables.ssl.features import AT_ONCE, BANK, Features, shrunk
from trainables.ssl.pretraining_task import PretrainingTask
from trainables.ssl.probing import Answers, bounds, fitted, probed, scored
from trainables.ssl.students import Student, exact

log = logging.getLogger(__name__)

_CALLED = {"knn": "neighbours", "probe": "probe", "": "classifier"}
"""Those who answer, in words."""


class Measuring:
    """The evaluations of an experiment; a bank of training images is all that it learns from."""

    def __init__(self, experiment: PretrainingTask, features: Features | None = None) -> None:
        self._experiment = experiment
        self._settings = experiment.config.evaluation
        self._classes = len(experiment.facts.classes)
        self._features = features or Features(experiment)

    def classify(self, split: str, last: bool) -> Evaluated:
        """Scores of the network that one goes on with, and of student and teacher apart.

        `knn…` are those of neighbours as `probing.scored` has them, the accuracy within `knn_low`
        and `knn_high` with 95 %, and `knn_recall_many`, `_medium` and `_few` are means over classes
        of so many training images; `probe…` those of a probe, at the last time. Then there are
        confusion matrices of the network that one goes on with. Of a classifier that is learned
        with the network there is what `classifying.own_scores` gives. Of probe and classifier there
        is how sure they are, `…ece` and `…brier`, with its pictures.
        """
        learner = self._experiment.learner
        apart = learner.apart() or {"": learner.kept}
        with learner.evaluating():
            found = {name: self._answers(one, split, last) for name, one in apart.items()}
            own, said = self._said(split, last)
        values = {name: _joined(answers) for name, answers in found.items()}
        kept = next(name for name, one in apart.items() if one is learner.kept)
        figures = {
            f"{name}_confusion": partial(
                confusion_matrix,
                counts=answers.counts,
                classes=self._experiment.facts.classes,
                title=f"{split}, {_CALLED[name]}: accuracy {answers.values[name]:.3f}",
            )
            for name, answers in (found[kept] if last else {}).items()
        }
        for name, answers in (found[kept] if last else {}).items():
            figures |= self._reliable(split, name, answers.probabilities)
        figures |= self._reliable(split, "", said if last else None)
        named = _named(values) if learner.apart() else {}
        return Evaluated(values[kept] | named | own, figures)

    def references(self, split: str) -> References:
        """`majority`: always the class that the bank has most of. `pixels`: no network at all."""
        labels, features = self._features.labels(split), self._features
        bank, tested = features.pixels(BANK), features.pixels(split)
        if double := int(duplicates(bank, tested).sum()):
            log.warning(
                "%d of %d images of %s are in the bank of training images, value for value",
                *(double, len(tested), split),
            )
        counts = features.labels(BANK).bincount(minlength=self._classes)
        most = torch.tensor(self.majority()).expand(len(labels))
        shown = counts.expand(len(labels), -1)
        rows = {
            "majority": self._bounded(scored("knn", most, shown, labels)).values,
            "pixels": self._voted(bank, tested, labels).values,
        }
        if self._settings.probe.steps:
            rows["majority"] |= scored("probe", most, shown, labels).values
            rows["majority"] |= calibration("probe", shares(counts, len(labels)), labels)
            rows["pixels"] |= self._probed(split, features.pixels).values
        apart = self._experiment.learner.apart()
        if self._experiment.config.method.has_classifier:
            names = tuple(self._experiment.facts.classes)
            rows["majority"] |= own_scores(most, labels, self._counts(), names, True)
            rows["majority"] |= calibration("", shares(self._counts(), len(labels)), labels)
        voted = {row: of_neighbours(own) for row, own in rows.items()}
        return {row: own | _named(dict.fromkeys(apart, voted[row])) for row, own in rows.items()}

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
                batch = {name: self._features.placed(one) for name, one in batch.items()}
                found = experiment.compare(batch, lambda values: values)
                terms = {"loss": found.total, **found.terms, **learner.health(batch)}
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0.0) + float(term) * len(places)
                images = self._features.placed(experiment.split("val").take(places))
                features.append(learner.kept.embed(images))
        seen = torch.cat(features)
        values = {name: value / len(seen) for name, value in sums.items()}
        return Evaluated(values | {k: float(v) for k, v in collapse_of_vectors(seen).items()})

    def network(self) -> Answer:
        """What neighbours say among clean images, by features of the network one goes on with."""
        learner = self._experiment.learner
        with learner.evaluating():
            bank = self._features.of(learner.kept, BANK)

        def answer(images: Tensor) -> Tensor:
            with learner.evaluating():
                embedded = exact(learner.kept.embed(self._features.placed(images)))
            return self.votes(bank, embedded).argmax(1)

        return answer

    def answers(self) -> Callable[[Tensor], dict[str, Tensor]]:
        """The same beside what a `probe` on these features says, and the `classifier` that is
        learned with the network, as far as there are such; features are computed once for both.
        """
        learner, settings, probe = self._experiment.learner, self._settings.probe, None
        width = learner.kept.backbone.width
        of = partial(self._features.of_blocks, learner.kept)
        with learner.evaluating():
            bank = self._features.of(learner.kept, BANK)
            if settings.steps:
                known = (self._classes, of, self._features.labels)
                probe = fitted(self._experiment, settings, "val probe", *known)

        def answer(images: Tensor) -> dict[str, Tensor]:
            with learner.evaluating():
                placed = self._features.placed(images)
                blocks = exact(self._features.blocks_of(learner.kept, placed))
                found = {MAIN: self.votes(bank, blocks[:, -width:]).argmax(1)}
                if probe is not None:
                    found["probe"] = probe.logits(blocks).argmax(1).cpu()
                logits = learner.classes_of(placed)
            return found if logits is None else {**found, "classifier": logits.argmax(1).cpu()}

        return answer

    def pixels(self) -> Answer:
        """The same by raw pixels."""
        bank = self._features.pixels(BANK)
        return lambda images: self.votes(bank, shrunk(images).to(bank)).argmax(1)

    def majority(self) -> int:
        """The class that the bank has most of."""
        return int(self._features.labels(BANK).bincount(minlength=self._classes).argmax())

    def _answers(self, network: Student, split: str, last: bool) -> dict[str, Answers]:
        """Of the features of a network, by whom: `knn`, and `probe` at the last time."""
        of = partial(self._features.of, network)
        found = {"knn": self._voted(of(BANK), of(split), self._features.labels(split))}
        if last and self._settings.probe.steps:
            found["probe"] = self._probed(split, partial(self._features.of_blocks, network))
        return found

    def _said(self, split: str, last: bool) -> tuple[dict[str, float], Tensor | None]:
        """The scores and probabilities [N, Q] of what learns to say classes, if anything does."""
        images, learner = self._experiment.split(split), self._experiment.learner
        found: list[Tensor] = []
        for part in torch.arange(len(images)).split(AT_ONCE):
            liveness.alive()
            logits = learner.classes_of(self._features.placed(images.take(part)))
            if logits is None:
                return {}, None
            found.append(logits.softmax(1).cpu())
        names, probabilities = tuple(self._experiment.facts.classes), torch.cat(found)
        values = own_scores(probabilities.argmax(1), images.labels, self._counts(), names, last)
        return values | calibration("", probabilities, images.labels), probabilities

    def _reliable(self, split: str, name: str, probabilities: Tensor | None) -> Figures:
        """Pictures of how sure a probe or a classifier is, if there is one."""
        if probabilities is None:
            return {}
        return drawn(
            name,
            probabilities,
            self._experiment.split(split),
            self._experiment.facts.classes,
            counts=self._counts(),
            number=self._settings.wrong,
            title=f"{split}, {_CALLED[name]}",
        )

    def _counts(self) -> Tensor:
        """Training images of each class."""
        return self._experiment.split("train").labels.bincount(minlength=self._classes)

    def _voted(self, bank: Tensor, tested: Tensor, labels: Tensor) -> Answers:
        """The scores of neighbours."""
        votes = self.votes(bank, tested)
        return self._bounded(scored("knn", votes.argmax(1), votes, labels))

    def votes(self, bank: Tensor, tested: Tensor) -> Tensor:
        """The share of votes [n, Q] that each class has among neighbours in the bank."""
        settings = self._settings.neighbours
        return class_votes(
            bank,
            self._features.labels(BANK).to(bank.device),
            tested,
            neighbors=min(settings.number, len(bank)),
            num_classes=self._classes,
            temperature=settings.temperature,
            weights=settings.weights,
        ).cpu()

    def _bounded(self, answers: Answers) -> Answers:
        """Scores of neighbours with the interval of their accuracy, and recall by frequency."""
        number = int(answers.counts.sum())
        kinds = recall_by_frequency(scores(answers.counts).recall, self._counts())
        named = {f"knn_recall_{kind}": value for kind, value in kinds.items()}
        limits = bounds("knn", answers.values, number)
        return Answers(answers.values | limits | named, answers.counts)

    def _probed(self, split: str, features: Callable[[str], Tensor]) -> Answers:
        """The scores of a linear layer."""
        settings, classes = self._settings.probe, self._classes
        return probed(self._experiment, settings, split, classes, features, self._features.labels)


def _joined(answers: dict[str, Answers]) -> dict[str, float]:
    return {name: value for own in answers.values() for name, value in own.values.items()}


def _named(apart: dict[str, dict[str, float]]) -> dict[str, float]:
    """Values of several networks as `<network>/<value>`."""
    return {f"{name}/{key}": value for name, own in apart.items() for key, value in own.items()}
