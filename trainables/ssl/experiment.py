"""Supervised training of a network on images, and its evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from trainables.core import liveness
from trainables.core.experiment import Evaluated, Evaluation, References
from trainables.core.randomness import normal
from trainables.data.images import Split
from trainables.figures.classification import confusion_matrix
from trainables.metrics.classification import confusion, scores
from trainables.ssl import calibration, changing, corrupting, landscapes
from trainables.ssl.answering import ClassifierAnswers
from trainables.ssl.supervised_task import SupervisedTask


class SupervisedExperiment(SupervisedTask):
    """Cross entropy of a network's logits against labels, hard, smoothed or mixed."""

    def evaluations(self) -> list[Evaluation]:
        """The same on the validation and the test split; corruption, changes, landscape."""
        every, val, test = self.config.training.evaluate_every, self._data.val, self._data.test
        classify, blind = self._classify, self.references
        validation = partial(classify, val, "validation")
        found = [
            Evaluation("val", "val", validation, every, partial(blind, val)),
            Evaluation("test", "test", partial(classify, test, "test"), 0, partial(blind, test)),
            *self._corrupted(),
        ]
        settings = self.config.evaluation.landscape
        if settings.resolution:
            landscapes.check(self)
            around = self._data.train if settings.split == "train" else val
            look = partial(landscapes.of_classes, self, around)
            found.append(Evaluation("landscape", "val", look, every))
        return found

    def _corrupted(self) -> Sequence[Evaluation]:
        """The evaluations on corrupted and on changed images, if they are asked for."""
        seed, classes = self.config.data.split_seed, len(self.facts.classes)
        answers = ClassifierAnswers(self.network, self._data, classes, seed=seed)
        settings, data = self.config.evaluation, self.config.data
        return [
            *corrupting.evaluations(settings.corruption, self._data, answers, seed=seed),
            *changing.evaluations(settings.natural, data, self._data, answers),
        ]

    def references(self, split: Split) -> References:
        """`majority`: every image is of the class that training has most of; the loss is that of
        the shares of the classes there.
        """
        counts = self._data.train.labels.bincount(minlength=len(self.facts.classes))
        labels = split.labels
        found = scores(confusion(counts.argmax().expand(len(labels)), labels, len(counts)))
        shares = counts.double() / counts.sum()
        loss = float(-shares[labels].log().mean())
        values = {"accuracy": found.accuracy, "f1": found.macro_f1, "loss": loss}
        sure = calibration.shares(counts, len(labels))
        return {"majority": values | calibration.calibration("", sure, labels)}

    def _classify(self, split: Split, title: str, last: bool) -> Evaluated:
        """Loss, accuracy, mean F1, and how sure the network is (`ssl.calibration`).

        At the last time the scores of each class too, and pictures.
        """
        logits = self.predict(split)
        labels = split.labels.to(logits.device)
        counts = confusion(logits.argmax(1), labels, logits.shape[1]).cpu()
        found = scores(counts)
        values = {
            "loss": float(functional.cross_entropy(logits, labels)),
            "accuracy": found.accuracy,
            "f1": found.macro_f1,
            **calibration.calibration("", logits.softmax(1), split.labels),
        }
        if not last:
            return Evaluated(values)
        for index, name in enumerate(self.facts.classes):
            values[f"precision/{name}"] = float(found.precision[index])
            values[f"recall/{name}"] = float(found.recall[index])
            values[f"f1/{name}"] = float(found.f1[index])
        noise = self.config.evaluation.noise
        heading = f"{title}: {len(labels)} images, accuracy {found.accuracy:.3f}"
        heading += f", noise {noise:g}" if noise else ""
        draw = partial(confusion_matrix, counts=counts, classes=self.facts.classes, title=heading)
        sure = calibration.drawn(
            "",
            logits.softmax(1),
            split,
            self.facts.classes,
            counts=self._data.train.labels.bincount(minlength=len(self.facts.classes)),
            number=self.config.evaluation.wrong,
            title=f"{title}, classifier",
        )
        return Evaluated(values, {"confusion": draw, **sure})

    def _noisy(self, images: Tensor, positions: Tensor) -> Tensor:
        """Images [B, C, H, W] with noise of their own each, the same at each evaluation."""
        deviation, seed = self.config.evaluation.noise, self.config.training.seed
        if deviation == 0:
            return images
        noise = normal(seed, "evaluation noise", 0, positions, images[0].numel())
        return images + deviation * noise.view_as(images)

    def predict(self, split: Split, batch_size: int = 512) -> Tensor:
        """Logits [N, classes] of the images of a split, with the noise of the configuration."""
        device = next(self.network.parameters()).device
        parts: list[Tensor] = []
        for positions in torch.arange(len(split)).split(batch_size):
            liveness.alive()
            images = self._noisy(split.take(positions), positions).to(device)
            parts.append(self.network(images).float())
        return torch.cat(parts)
