"""Supervised training of a vision transformer on images."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.core import optimizers
from trainables.core.experiment import Batch, Evaluated, Evaluation, Experiment, Loss
from trainables.core.randomness import derive, normal, permutation, uniform
from trainables.core.schedules import SCHEDULES
from trainables.data import augment, digits
from trainables.data.catalog import DATA_SETS
from trainables.data.digits import Digits, Split
from trainables.figures.classification import confusion_matrix
from trainables.layers.vit import ViT
from trainables.metrics.classification import confusion, scores
from trainables.ssl.config import SGD, Supervised


class SupervisedExperiment(Experiment):
    """Cross entropy of a ViT's logits against labels, hard, smoothed or mixed."""

    config_class = Supervised
    config: Supervised
    _data: Digits

    def __init__(self, config: Supervised) -> None:
        super().__init__(config)
        self.facts = DATA_SETS[config.data.name]
        model = config.model.to_json()
        self.network = ViT(
            image_size=self.facts.image_size,
            channels=self.facts.channels,
            classes=len(self.facts.classes),
            **model,
        )

    def load(self) -> dict[str, object]:
        """Reads the digits in their splits."""
        self._data = digits.load(self.config.data.split_seed)
        return {
            "data.name": self.facts.name,
            "data.fingerprint": self._data.fingerprint,
            "data.split_sizes": {
                "train": len(self._data.train),
                "val": len(self._data.val),
                "test": len(self._data.test),
            },
        }

    @property
    def num_examples(self) -> int:
        """Images of the training split."""
        return self.facts.splits["train"]

    def batch(self, step: int) -> Batch:
        """Images [B, C, H, W] and labels [B], or soft labels [B, classes] when they are mixed."""
        settings, training = self.config.augmentation, self.config.training
        epoch, place = divmod(step - 1, training.steps_an_epoch(self.num_examples))
        order = permutation(training.seed, epoch, self.num_examples)
        chosen = order[place * training.batch_size : (place + 1) * training.batch_size]
        images, labels = self._data.train.images[chosen], self._data.train.labels[chosen]
        draws = uniform(training.seed, "augment", step, torch.arange(len(chosen)), 5)
        images = augment.crop(images, draws[:, :3], settings.smallest_crop)
        images = augment.shift(images, draws[:, 3:], settings.shift, self._data.background)
        if settings.mixup or settings.cutmix:
            images, labels = augment.mix(
                images,
                labels,
                len(self.facts.classes),
                mixup=settings.mixup,
                cutmix=settings.cutmix,
                seed=derive(training.seed, "mix", step),
            )
        return {"images": images, "labels": labels, "examples": chosen}

    def forward(self, batch: Batch, step: int) -> Loss:
        """Mean cross entropy of the batch, in nats; 0 at best, ln(classes) for uniform logits.

        With smoothing ε the target is 1 − ε + ε/C for its class, ε/C for the others. `accuracy` is
        that of the arg-max of the labels: with mixed labels it says little.
        """
        logits = self.network(batch["images"]).float()
        smoothing = self.config.label_smoothing
        loss = functional.cross_entropy(logits, batch["labels"], label_smoothing=smoothing)
        labels = batch["labels"] if batch["labels"].ndim == 1 else batch["labels"].argmax(1)
        accuracy = (logits.argmax(1) == labels).float().mean()
        return Loss(loss, {"accuracy": accuracy})

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """AdamW or SGD."""
        settings = self.config.optimizer
        if isinstance(settings, SGD):
            return optimizers.sgd(groups, settings.lr, settings.momentum, settings.nesterov)
        return optimizers.adamw(groups, settings.lr, settings.beta1, settings.beta2)

    def weight_decay(self) -> float:
        """Of the optimiser's configuration."""
        return self.config.optimizer.weight_decay

    def learning_rate(self, step: int, total: int) -> float:
        """Peak × schedule."""
        settings = self.config.schedule
        factor = SCHEDULES[settings.kind](
            step - 1, total, round(settings.warm_up * total), settings.floor
        )
        return self.config.optimizer.lr * factor

    def networks(self) -> Iterable[nn.Module]:
        """The ViT."""
        return (self.network,)

    def evaluations(self) -> list[Evaluation]:
        """The same on the validation and the test split."""
        every = self.config.training.evaluate_every
        return [
            Evaluation("val", "val", partial(self._classify, self._data.val, "validation"), every),
            Evaluation("test", "test", partial(self._classify, self._data.test, "test")),
        ]

    def _classify(self, split: Split, title: str, last: bool) -> Evaluated:
        """Loss, accuracy, mean F1; at the last time the scores of each class and the picture."""
        logits = self.predict(self._noisy(split.images))
        labels = split.labels.to(logits.device)
        counts = confusion(logits.argmax(1), labels, logits.shape[1]).cpu()
        found = scores(counts)
        values = {
            "loss": float(functional.cross_entropy(logits, labels)),
            "accuracy": found.accuracy,
            "f1": found.macro_f1,
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
        return Evaluated(values, {"confusion": draw})

    def _noisy(self, images: Tensor) -> Tensor:
        """Images [N, C, H, W] with noise of their own each, the same at each evaluation."""
        deviation, seed = self.config.evaluation.noise, self.config.training.seed
        if deviation == 0:
            return images
        indices, size = torch.arange(len(images)), images[0].numel()
        return images + deviation * normal(seed, "evaluation noise", 0, indices, size).view_as(
            images
        )

    def predict(self, images: Tensor, batch_size: int = 512) -> Tensor:
        """Logits [N, classes] of images [N, C, H, W]."""
        device = next(self.network.parameters()).device
        parts = [self.network(part.to(device)).float() for part in images.split(batch_size)]
        return torch.cat(parts)
