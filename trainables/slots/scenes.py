"""The base of experiments on scenes: batches, noise of slots, evaluations."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Batch, Evaluated, Evaluation, Experiment, References
from trainables.core.optimizers import build
from trainables.core.randomness import generator, normal, uniform
from trainables.core.schedules import half_lives
from trainables.data import augment
from trainables.data.scenes.choosing import Positions, chosen, most
from trainables.data.scenes.store import Scenes, Store, open_store, positions_with
from trainables.data.scores import kept_scores
from trainables.layers.slot_attention import quasi_normal
from trainables.metrics.blind import blind_segments
from trainables.metrics.records import Records
from trainables.metrics.segments import segment_scores
from trainables.slots.config import Dinosaur, Discovery, SetPrediction
from trainables.slots.parts import Augmentation, Setting

_AT_ONCE = 64
"""Scenes that are segmented without learning at a time."""


class Look(NamedTuple):
    """Scenes of an evaluation: their positions in the split, images, noise of their slots."""

    positions: Positions
    images: Tensor
    noise: Tensor


class SceneExperiment(Experiment):
    """An experiment on scenes whose networks have slots.

    A scene's slots start from noise that is a function of the seed of the run, the step, and the
    place in the global batch; in evaluations of the position of the scene instead.
    """

    segment_prefixes: ClassVar[tuple[str, ...]] = ("", "attention/")
    """In front of the names of scores of segments: those of each kind that is measured."""
    config: Discovery | SetPrediction | Dinosaur
    _store: Store
    _measured: Store
    _train: Scenes
    _order: Positions

    def load(self) -> dict[str, object]:
        """Maps the store; chooses the scenes to train on."""
        settings = self.config.data
        self._store = open_store(settings.folder(), settings.copy_to)
        self._train = self._store.splits["train"]
        other = self.config.evaluation.other_set
        self._measured = self._store
        if other is not None:
            self._measured = open_store(
                settings.with_values({"name": other}).folder(), settings.copy_to
            )
        self._order = self._chosen(self._train)
        if not len(self._order):
            raise ValueError(
                f"data.min_objects … data.max_objects must leave scenes of {settings.name}, and "
                f"none has {settings.min_objects} … {most(settings.max_objects)} objects"
            )
        sizes = {name: len(split) for name, split in self._store.splits.items()}
        return {
            "data.name": f"made {settings.name}" if settings.made else settings.name,
            "data.fingerprint": self._store.fingerprint,
            "data.split_sizes": {**sizes, "train": len(self._order)},
        }

    def _chosen(self, scenes: Scenes) -> Positions:
        """Positions of the training scenes: in the range of objects, frames and number."""
        settings = self.config.data
        return chosen(
            scenes,
            min_objects=settings.min_objects,
            max_objects=settings.max_objects,
            frames=settings.frames if settings.is_video else None,
            limit=settings.limit,
            draw=generator(self.config.seed, "scenes"),
        )

    @property
    def num_examples(self) -> int:
        """Scenes to train on, once they are chosen."""
        return len(self._order)

    def batch(self, step: int) -> Batch:
        """Images [B, 3, H, W] in −1…1 and noise [B, K, D]."""
        return self.share(step, torch.arange(self.config.training.batch_size))

    def share(self, step: int, places: Tensor) -> Batch:
        """As `batch`, of the examples at these places."""
        taken = self.taken(step, places)
        positions = self._order[taken.numpy()]
        noise = self.noise("slots", step, places, self.slots_at(step))
        return {"examples": taken, "noise": noise, **self.inputs(positions, step, places)}

    def inputs(self, positions: Positions, step: int, places: Tensor) -> Batch:
        """What the networks see of training scenes: images, as they are."""
        return {"images": read(self._train, positions)}

    def slots_at(self, step: int) -> int:
        """How many slots there are in a step: as many as configured, or drawn."""
        slots = self.config.slots
        if slots.least_slots is None:
            return slots.num_slots
        draw = float(uniform(self.config.seed, "number of slots", step, torch.zeros(1), 1))
        return slots.least_slots + int(draw * (slots.num_slots - slots.least_slots + 1))

    def noise(self, purpose: str, step: int, indices: Tensor, num_slots: int) -> Tensor:
        """Standard normal numbers [B, K, D] for the slots of the examples at these indices."""
        slots, seed = self.config.slots, self.config.seed
        if slots.prior == "quasi_monte_carlo":
            return quasi_normal(uniform(seed, purpose, step, indices, slots.width), num_slots)
        drawn = normal(seed, purpose, step, indices, num_slots * slots.width)
        return drawn.view(len(indices), num_slots, slots.width)

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Adam, TensorFlow's Adam, RMSprop or SGD."""
        return build(groups=groups, **self.config.optimizer.arguments())

    def learning_rate(self, step: int, total: int) -> float:
        """The rate after `step` − 1 updates: a linear warm-up, then half each half-life."""
        given = self.config.schedule
        factor = half_lives(step - 1, given.warm_up, given.first, given.half_life)
        return self.config.optimizer.lr * factor

    def evaluations(self) -> list[Evaluation]:
        """The main setting and the other one, on the validation and the test split."""
        settings = self.config.evaluation
        found = [self._evaluation("val", "val", settings.main)]
        found.append(self._evaluation("test", "test", settings.main))
        if settings.more.num_slots is None:
            return found
        found.append(self._evaluation("more", "val", settings.more))
        return [*found, self._evaluation("test_more", "test", settings.more)]

    def _evaluation(self, name: str, split: str, setting: Setting) -> Evaluation:
        return Evaluation(
            name,
            split,
            partial(self.measure, split, setting),
            every=0 if split == "test" else self.config.training.evaluate_every,
            references=partial(self.references, split, setting),
        )

    @abstractmethod
    def measure(self, split: str, setting: Setting, last: bool) -> Evaluated:
        """The networks on scenes of a split in a setting."""

    def references(self, split: str, setting: Setting) -> References:
        """What segments score that nobody has learned (`metrics.blind`), on the same scenes.

        They depend on scenes, number of slots and size alone, and are kept for all runs of those.
        """
        scenes = self._measured.splits[split]
        if not scenes.has_labels:
            return {}
        slots, positions = self.slots_in(setting), self.positions(split, setting)
        size = self.compared(torch.from_numpy(scenes.labels(positions[:1]))).shape[1:]
        facts = [type(self).__name__, self._measured.fingerprint, split, slots, *size]
        return kept_scores(
            Path(self.config.data.root),
            [*facts, hashlib.sha256(positions.tobytes()).hexdigest()],
            lambda: self._blind(scenes, positions, slots),
        )

    def _blind(self, scenes: Scenes, positions: Positions, slots: int) -> References:
        rows: dict[str, Records] = {}
        for part in np.array_split(positions, -(-len(positions) // _AT_ONCE)):
            liveness.alive()
            labels = self.compared(torch.from_numpy(scenes.labels(part)))
            for name, found in blind_segments(read(scenes, part), slots).items():
                found = self.compared(found)
                scores = segment_scores(found, int(found.max()) + 1, labels)
                rows.setdefault(name, Records()).add(scores)
        return {
            row: {f"{prefix}{name}": mean for prefix in self.segment_prefixes for name, mean in own}
            for row, own in ((row, records.means().items()) for row, records in rows.items())
        }

    def compared(self, labels: Tensor) -> Tensor:
        """Label maps [B, H, W] of whole images as they are compared: here as they are."""
        return labels

    def slots_in(self, setting: Setting) -> int:
        """With how many slots networks are measured in a setting."""
        return setting.num_slots or self.config.slots.num_slots

    def looked_at(self, split: str, setting: Setting, batch_size: int = 64) -> Iterator[Look]:
        """The scenes of an evaluation in batches, on the device of the networks."""
        scenes, device = self._measured.splits[split], next(self.parameters()).device
        positions = self.positions(split, setting)
        count = self.slots_in(setting)
        for start in range(0, len(positions), batch_size):
            liveness.alive()
            part = positions[start : start + batch_size]
            noise = self.noise(f"{split} slots", 0, torch.from_numpy(part), count)
            yield Look(part, read(scenes, part).to(device), noise.to(device))

    def positions(self, split: str, setting: Setting) -> Positions:
        """The scenes of a split that a setting asks for.

        Raises:
            ValueError: there is none with so many objects.
        """
        data, scenes = self.config.data, self._measured.splits[split]
        least = data.min_objects if setting.min_objects is None else setting.min_objects
        highest = data.max_objects if setting.max_objects is None else setting.max_objects
        found = positions_with(scenes, least, most(highest))[: setting.scenes]
        if not len(found):
            name = "more" if setting is self.config.evaluation.more else "main"
            raise ValueError(
                f"evaluation.{name}.min_objects … max_objects must leave scenes of {split}, and "
                f"none has {least} … {most(highest)} objects"
            )
        return found


def read(scenes: Scenes, positions: Positions) -> Tensor:
    """Images [B, 3, H, W] in −1…1, float32, channels last in memory; grey ones three times."""
    pixels = torch.from_numpy(scenes.images(positions))
    pixels = pixels.expand(-1, -1, -1, 3).contiguous().permute(0, 3, 1, 2)
    return pixels.to(torch.float32, memory_format=torch.preserve_format).div_(127.5).sub_(1.0)


def augmented(
    images: Tensor, settings: Augmentation, seed: int, step: int, places: Tensor
) -> Tensor:
    """Images [B, C, S, S] of a step, turned by quarters, then mirrored, each by its own draw.

    Draws depend on seed, step and the places [B] in the global batch.
    """
    if settings.rotates:
        images = augment.turn(images, uniform(seed, "turn", step, places, 1)[:, 0])
    if settings.flips:
        images = augment.flip(images, uniform(seed, "flip", step, places, 1)[:, 0])
    return images
