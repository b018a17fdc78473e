"""The task of unsupervised segmentation: codes of places by which frozen features correspond."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.core import distributed
from trainables.core.experiment import Batch, Experiment, Loss
from trainables.core.groups import MAIN, GroupSettings
from trainables.core.optimizers import build
from trainables.core.randomness import uniform
from trainables.core.schedules import SCHEDULES
from trainables.data import neighbours
from trainables.layers.patches import IMAGENET
from trainables.ssl import segmentation_data
from trainables.ssl.config import Segmentation
from trainables.ssl.segmentation_data import Coded, Part, SegmentedScenes
from trainables.ssl.segmentation_model import Changed, Compared, Look, Segmenter

PROBES = "probes"
"""The name of the group of parameters that have a rate of their own."""


class SegmentationTask(Experiment):
    """STEGO (Hamilton et al. 2022): correspondence of features taught to codes of places.

    The frozen network is no part of the experiment's parameters, and in no checkpoint: its maps are
    read from the disk. Images are compared with others of their micro-batch, of all workers: so
    does centring, and two micro-batches are not one.
    """

    config_class = Segmentation
    config: Segmentation  # pyright: ignore[reportIncompatibleVariableOverride]
    data: SegmentedScenes
    _nearest: Tensor | None
    _versions: Part | None

    def __init__(self, config: Segmentation) -> None:
        super().__init__(config)
        width = segmentation_data.width(config.features)
        self.network = Segmenter(config, features=width, classes=len(config.data.class_names))

    def load(self) -> dict[str, object]:
        """Maps scenes and features; those that nobody has computed yet are computed first."""
        config, given = self.config, self.config.correspondence
        self.data = SegmentedScenes(config.data, config.features, config.seed)
        facts = self.data.facts()
        self._nearest = self.data.nearest(given.neighbours) if given.neighbour_weight else None
        self._versions = self.data.changed(config.alignment) if config.alignment.weight else None
        return facts

    @property
    def num_examples(self) -> int:
        """Scenes to train on, once they are chosen."""
        return len(self.data.order)

    def batch(self, step: int) -> Batch:
        """Stored maps, labels and places of images, and of a neighbour of each."""
        return self.share(step, torch.arange(self.config.training.batch_size))

    def share(self, step: int, places: Tensor) -> Batch:
        """As `batch`, of the examples at these places."""
        seed, given = self.config.seed, self.config.correspondence
        rows = self.taken(step, places)
        draws = uniform(seed, "places", step, places, 4 * given.places**2)
        own, other = (2 * draws - 1).view(len(places), 2, given.places**2, 2).unbind(1)
        batch = {"examples": rows, "orders": uniform(seed, "others", step, places, given.negatives)}
        batch |= {**self._look("own", rows, own), "other_coordinates": other}
        if self._nearest is not None:
            draw = uniform(seed, "neighbours", step, places, 1)[:, 0]
            near = neighbours.drawn(self._nearest, rows, draw, given.neighbours)
            batch |= self._look("near", near, other)
        if self.config.colours.weight:
            mean, deviation = (torch.tensor(one)[:, None, None] for one in IMAGENET)
            seen = segmentation_data.seen(self.data.train(), rows)
            batch["images"] = (seen - mean) / deviation
        if self._versions is not None:
            number = self.config.alignment.versions
            draw = uniform(seed, "versions", step, places, 1)[:, 0]
            versions = rows * number + (draw * number).long()
            coded = segmentation_data.taken(self._versions, versions)
            batch["changed_codes"] = coded.codes
            batch |= {} if coded.scales is None else {"changed_scales": coded.scales}
            batch["changed_places"] = self.data.places(versions)
        return batch

    def _look(self, name: str, rows: Tensor, coordinates: Tensor) -> Batch:
        part = self.data.train()
        coded = segmentation_data.taken(part, rows)
        found = {f"{name}_codes": coded.codes, f"{name}_coordinates": coordinates}
        if self.config.data.class_names:
            found[f"{name}_labels"] = self.data.labels(part, rows)
        return found if coded.scales is None else {**found, f"{name}_scales": coded.scales}

    def forward(self, batch: Batch, step: int) -> Loss:
        """The loss of the micro-batch of all workers, and its terms (see `Segmenter.compare`)."""
        near = self._seen("near", batch) if "near_codes" in batch else None
        draws = None
        if "images" in batch:
            count = self.config.colours.places
            draws = uniform(self.config.seed, "colours", step, torch.arange(count), 2)
        changed = None
        if "changed_codes" in batch:
            coded = Coded(batch["changed_codes"], batch.get("changed_scales"))
            maps = self.maps(self.data.train(), coded)
            changed = Changed(maps, batch["changed_places"].to(maps))
        compared = Compared(
            self._seen("own", batch),
            near,
            batch["orders"],
            batch["other_coordinates"],
            batch.get("images"),
            draws,
            changed,
        )
        return self.network.compare(compared, distributed.gather)

    def _seen(self, name: str, batch: Batch) -> Look:
        coded = Coded(batch[f"{name}_codes"], batch.get(f"{name}_scales"))
        features = self.maps(self.data.train(), coded)
        return Look(features, batch.get(f"{name}_labels"), batch[f"{name}_coordinates"])

    def maps(self, part: Part, coded: Coded) -> Tensor:
        """Maps [B, D, h, w] in the precision of the networks."""
        return self.data.maps(part, coded).to(next(self.network.parameters()).dtype)

    def networks(self) -> Iterable[nn.Module]:
        """The head."""
        return (self.network.head,)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What makes codes, biases without weight decay; and the probes, without any."""
        probes = {id(one) for one in self.network.probes()}
        own = [one for one in self.parameters() if id(one) not in probes]
        free = [one for one in own if one.ndim < 2]
        return [
            {
                "params": [one for one in own if one.ndim >= 2],
                "weight_decay": self.weight_decay(),
                "name": MAIN,
            },
            {"params": free, "weight_decay": 0.0, "name": MAIN, "decays": False},
            {"params": self.network.probes(), "weight_decay": 0.0, "name": PROBES, "decays": False},
        ]

    def weight_decay(self) -> float:
        """That of the head: 0 with Adam."""
        settings = self.config.optimizer
        return settings.weight_decay if settings.kind == "adamw" else 0.0

    def optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Adam or AdamW."""
        return build(groups=groups, **self.config.optimizer.arguments())

    def learning_rate(self, step: int, total: int) -> float:
        """Peak × schedule, of the head."""
        return self.config.optimizer.lr * self._factor(step, total)

    def _factor(self, step: int, total: int) -> float:
        settings = self.config.schedule
        decay = {"half_life": settings.half_life * total}
        return SCHEDULES[settings.kind](
            step - 1,
            total,
            round(settings.warm_up * total),
            settings.floor,
            **(decay if settings.kind == "exponential" else {}),
        )

    def group_settings(self, step: int, total: int) -> Mapping[str, GroupSettings]:
        """The probes have a rate of their own, on the same schedule."""
        return {
            MAIN: GroupSettings(self.learning_rate(step, total)),
            PROBES: GroupSettings(self.config.probes.lr * self._factor(step, total)),
        }
