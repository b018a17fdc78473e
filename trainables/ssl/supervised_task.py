"""The task of supervised training: a network, augmented images, cross entropy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.core.experiment import (
    Batch,
    Experiment,
    Loss,
)
from trainables.core.optimizers import build
from trainables.core.randomness import derive, uniform
from trainables.core.schedules import SCHEDULES
from trainables.data import augment
from trainables.data.balance import balanced
from trainables.data.digits import Digits
from trainables.data.images import Images, Split, load
from trainables.ssl import (
    controls,
    costing,
    networks,
    strong,
)
from trainables.ssl.config import Supervised
from trainables.ssl.labelling import labelled


class SupervisedTask(Experiment):
    """Cross entropy of a network's logits against labels, hard, smoothed or mixed."""

    config_class = Supervised
    config: Supervised
    _data: Digits | Images

    def __init__(self, config: Supervised) -> None:
        super().__init__(config)
        self.facts = config.data.facts()
        model, facts = config.model, self.facts
        sizes: dict[str, Any] = {"image_size": facts.image_size, "channels": facts.channels}
        sizes["classes"] = len(facts.classes)
        self.network = (
            networks.build_control(model, **sizes)
            if isinstance(model, controls.Control)
            else networks.build(model, **sizes)
        )

    def load(self) -> dict[str, object]:
        """Reads the images in their splits, or maps them."""
        settings = self.config.data
        self._data = load(
            self.facts,
            root=Path(settings.root),
            path=Path(settings.path) if settings.path is not None else None,
            seed=settings.split_seed,
            limit=settings.limit,
            long_tail=settings.long_tail.factor,
            tail_shape=settings.long_tail.shape,
            **settings.arguments(),
        )
        standardised = (self._data.mean, self._data.deviation)
        facts = networks.prepare(self.network, self.config.model, *standardised)
        self._learned: Split = self._data.train
        if settings.labels_from.is_used:
            self._learned, told = labelled(settings, self._data, len(self.facts.classes))
            facts |= {**told, "data.trained_on": self.num_examples}
        return {
            **facts,
            **costing.facts(self.network, self._shape, _classified),
            "data.name": self.facts.name,
            **({"data.classes": list(self.facts.classes)} if settings.is_own else {}),
            "data.fingerprint": self._data.fingerprint,
            "data.split_sizes": {
                "train": len(self._data.train),
                "val": len(self._data.val),
                "test": len(self._data.test),
            },
        }

    @property
    def data(self) -> Digits | Images:
        """The images in their splits, once they are read."""
        return self._data

    @property
    def num_examples(self) -> int:
        """Images that are learned from, once they are read."""
        return len(self._learned)

    def taken(self, step: int, places: Tensor) -> Tensor:
        """As of any experiment, or balanced: functions of the seed, the step and the places."""
        if not self.config.data.balanced:
            return super().taken(step, places)
        draws = uniform(self.config.seed, "balanced", step, places, 2)
        return balanced(self._learned.labels, draws)

    def batch(self, step: int) -> Batch:
        """Images [B, C, H, W] and labels [B], or soft labels [B, classes] when they are mixed."""
        return self.share(step, torch.arange(self.config.training.batch_size))

    def share(self, step: int, places: Tensor) -> Batch:
        """As `batch`, of the examples at these places, and of those that they are mixed with."""
        settings, training = self.config.augmentation, self.config.training
        mixes = bool(settings.mixup or settings.cutmix)
        taken, own = augment.with_partners(places, training.batch_size, mixes)
        chosen = self.taken(step, taken)
        images, labels = self._learned.take(chosen), self._learned.labels[chosen]
        draws = uniform(training.seed, "augment", step, taken, 5)
        images = augment.crop(images, draws[:, :3], settings.smallest_crop)
        images = augment.shift(images, draws[:, 3:], settings.shift, self._data.background)
        if settings.flips:
            images = augment.flip(images, uniform(training.seed, "flip", step, taken, 1)[:, 0])
        images = self._strengthened(images, step, taken)
        if mixes:
            images, labels = augment.mix(
                images,
                labels,
                len(self.facts.classes),
                mixup=settings.mixup,
                cutmix=settings.cutmix,
                seed=derive(training.seed, "mix", step),
            )
        batch = {"images": images, "labels": labels, "examples": chosen}
        return batch if own is None else {name: tensor[own] for name, tensor in batch.items()}

    def _strengthened(self, images: Tensor, step: int, places: Tensor) -> Tensor:
        """Standardised images [B, C, H, W] with strong operations, and with parts covered."""
        settings, key = self.config.augmentation, (self.config.seed, "train", step, places)
        if settings.strong.kind != "none":  # operations are on 0…1
            mean, deviation = self._data.mean, self._data.deviation
            pixels = (images * deviation + mean).clamp(0, 1)
            pixels = strong.augmented(pixels[:, None], settings, *key)[:, 0]
            images = (pixels - mean) / deviation
        return strong.covered(images[:, None], settings, *key)[:, 0]

    def forward(self, batch: Batch, step: int) -> Loss:
        """Mean cross entropy of the batch, in nats; 0 at best, ln(classes) for uniform logits.

        With smoothing ε the target is 1 − ε + ε/C for its class, ε/C for the others. `accuracy` is
        that of the arg-max of the labels: with mixed labels it says little.
        """
        logits = self.network(batch["images"]).float()
        smooth: dict[str, Any] = {"label_smoothing": self.config.label_smoothing}
        each: Tensor | None = None
        if self.config.optimizer.needs_each:
            each = functional.cross_entropy(logits, batch["labels"], reduction="none", **smooth)
        loss = functional.cross_entropy(logits, batch["labels"], **smooth)
        labels = batch["labels"] if batch["labels"].ndim == 1 else batch["labels"].argmax(1)
        accuracy = (logits.argmax(1) == labels).float().mean()
        return Loss(loss, {"accuracy": accuracy}, each)

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """AdamW, SGD, LARS, or SAM around one of the first two."""
        return build(groups=groups, **self.config.optimizer.arguments())

    def weight_decay(self) -> float:
        """Of the optimiser's configuration."""
        return self.config.optimizer.weight_decay

    def learning_rate(self, step: int, total: int) -> float:
        """Peak × schedule."""
        settings = self.config.schedule
        decay = {"half_life": settings.half_life * total}
        factor = SCHEDULES[settings.kind](
            step - 1,
            total,
            round(settings.warm_up * total),
            settings.floor,
            **(decay if settings.kind == "exponential" else {}),
        )
        return self.config.optimizer.lr * factor

    def networks(self) -> Iterable[nn.Module]:
        """The network."""
        return (self.network,)

    @property
    def _shape(self) -> tuple[int, int, int]:
        """Of an image as the network is given it."""
        return self.facts.channels, self.facts.image_size, self.facts.image_size

    def costs(self) -> dict[str, float]:
        """How long the network takes for an image, and for a batch of them."""
        size = self.config.training.batch_size
        return costing.costs(self.network, self._shape, size, _classified)


def _classified(network: nn.Module, images: Tensor) -> Tensor:
    return network(images)
