"""Set prediction: the properties of all objects of a scene from one slot each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.core.experiment import Batch, Evaluated, Loss, References
from trainables.figures.segments import scene_table
from trainables.metrics import segments
from trainables.metrics.label_maps import label_map
from trainables.metrics.records import Records
from trainables.metrics.sets import (
    THRESHOLDS,
    WIDTH,
    average_precision,
    columns,
    constant_sets,
)
from trainables.slots import networks, targets
from trainables.slots.config import SetPrediction
from trainables.slots.parts import Setting
from trainables.slots.scenes import Look, SceneExperiment
from trainables.slots.set_predictor import Predicted, SetPredictor, set_loss

CONFIDENT = 0.5
NO_METRICS = ("position", "objects", "claimed")
BY_NUMBER = ("attention/ari", "attention/foreground_ari", "count_error")


class SetPredictionExperiment(SceneExperiment):
    """The loss of matched slots and objects; measured by average precision."""

    config_class = SetPrediction
    segment_prefixes = ("attention/",)
    config: SetPrediction  # pyright: ignore[reportIncompatibleVariableOverride]
    _ranges: targets.Ranges
    _targets: Tensor

    def __init__(self, config: SetPrediction) -> None:
        super().__init__(config)
        self.network = SetPredictor(
            networks.encoder(config.encoder, config.data.image_size),
            networks.slot_attention(config.slots, config.encoder.channels),
            WIDTH,
        )
        self._real = columns(config.target.order)["real"].start
        self._goals: dict[str, Tensor] = {}

    def load(self) -> dict[str, object]:
        """Maps the scenes and encodes the properties of those to train on."""
        facts = super().load()
        self._ranges = targets.ranges(
            self.config.target.coordinates, self._store.manifest["ranges"]
        )
        self._targets = self._encoded(self._train.fields)
        return {**facts, "target.ranges": self._ranges}

    def _encoded(self, fields: Mapping[str, NDArray]) -> Tensor:
        """Targets [N, O, 19] of all scenes of a split."""
        settings = self.config.target
        return torch.from_numpy(
            targets.encode(
                fields, order=settings.order, ranges=self._ranges, padding=settings.padding
            )
        )

    def inputs(self, positions: NDArray[np.int64], step: int, places: Tensor) -> Batch:
        """Images [B, 3, H, W] and targets [B, O, 19]."""
        taken = self._targets[torch.from_numpy(positions)]
        return {**super().inputs(positions, step, places), "targets": taken}

    def forward(self, batch: Batch, step: int) -> Loss:
        """The mean over images of the loss of matched slots, and of slots without a partner.

        Each image has equally many pairs, so that it is a mean over all pairs as well.
        """
        properties = self._predicted(batch["images"], batch["noise"]).properties
        each = set_loss(properties, batch["targets"], real=self._real)
        matched, absent = each.matched.mean(), each.absent.mean()
        weight = self.config.absent_weight
        if not weight:
            return Loss(matched, {})
        return Loss(matched + weight * absent, {"matched": matched, "absent": absent})

    def _predicted(
        self, images: Tensor, noise: Tensor, setting: Setting | None = None
    ) -> Predicted:
        is_drawn = self.config.slots.prior != "learned"
        setting = setting or Setting()
        return self.network(
            images,
            noise if is_drawn else None,
            iterations=setting.iterations,
            rescale=setting.rescale,
        )

    def measure(self, split: str, setting: Setting, last: bool) -> Evaluated:
        """Average precision over all scenes, and what is a mean over scenes.

        `ap/<distance>`; `loss` of matched slots; `count_error`, the mean of |slots with confidence
        above ½ − objects|; `entropy` and `slots_used` of attention and, where labels are known,
        `attention/ari` and `attention/foreground_ari`. At the last time also for each number of
        objects, and with the values of each scene and a picture.
        """
        rows, pairs, first = Records(), [], None
        for look in self.looked_at(split, setting):
            predicted = self._predicted(look.images, look.noise, setting)
            goals = self._true(split, look)
            pairs.append((predicted.properties, goals))
            rows.add(self._values(split, look, predicted, goals))
            first = first or (look, predicted.attention)
        properties, goals = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        values = {name: mean for name, mean in rows.means().items() if name not in NO_METRICS}
        values |= self._precision(properties, goals)
        if not last or first is None:
            return Evaluated(values)
        values |= self._by_number(rows, properties, goals)
        title = f"{split}: {len(rows)} scenes, AP {values['ap/1']:.3f} at distance 1"
        draw = partial(self._draw, split=split, first=first, rows=rows, title=title)
        return Evaluated(values, {"scenes": draw}, {"scenes": rows.write})

    def references(self, split: str, setting: Setting) -> References:
        """Segments that nobody has learned, and the same set for each image: `mean_set` and
        `frequent_set` (`metrics.sets.constant_sets`) of the scenes that are trained on.
        """
        positions = torch.from_numpy(self.positions(split, setting))
        goals = self._encoded(self._measured.splits[split].fields)[positions]
        trained = self._targets[torch.from_numpy(self._order)]
        rows = super().references(split, setting)
        sets = constant_sets(trained, self.slots_in(setting), self.config.target.order)
        for name, objects in sets.items():
            properties = objects.expand(len(goals), -1, -1)
            off = (objects[:, self._real] > CONFIDENT).sum() - (goals[..., self._real] != 0).sum(1)
            rows[name] = {
                **self._precision(properties, goals),
                "loss": float(set_loss(properties, goals, real=self._real).matched.mean()),
                "count_error": float(off.abs().double().mean()),
            }
        return rows

    def compared(self, labels: Tensor) -> Tensor:
        """Of every 2^halvings-th pixel, one for each token."""
        step = 2**self.config.encoder.halvings
        return labels[:, ::step, ::step]

    def _by_number(self, rows: Records, properties: Tensor, goals: Tensor) -> dict[str, float]:
        """`<metric>/<n>_objects` for the scenes with n objects."""
        objects = rows.column("objects")
        values: dict[str, float] = {}
        for number, means in rows.by("objects").items():
            chosen = (objects == number).to(goals.device)
            found = self._precision(properties[chosen], goals[chosen])
            found |= {name: means[name].mean for name in BY_NUMBER if name in means}
            values |= {f"{name}/{number}_objects": value for name, value in found.items()}
        return values

    def _true(self, split: str, look: Look) -> Tensor:
        """The targets [B, O, 19] of scenes that are measured; all of a split are encoded once."""
        if split not in self._goals:
            self._goals[split] = self._encoded(self._measured.splits[split].fields)
        return self._goals[split][torch.from_numpy(look.positions)].to(look.images.device)

    def _values(
        self, split: str, look: Look, predicted: Predicted, goals: Tensor
    ) -> dict[str, Tensor]:
        """What there is to say of each scene of a batch, [B] each."""
        counts = self._overlaps(split, look, predicted.attention)
        claimed = (predicted.properties[..., self._real] > CONFIDENT).sum(1)
        objects = (goals[..., self._real] != 0).sum(1)
        values = {
            "position": torch.from_numpy(look.positions),
            "objects": objects,
            "claimed": claimed,
            "count_error": (claimed - objects).abs(),
            "loss": set_loss(predicted.properties, goals, real=self._real).matched,
            "entropy": segments.mass_entropy(predicted.attention),
            "slots_used": segments.slots_used(counts),
        }
        if self._measured.splits[split].has_labels:
            values["attention/ari"] = segments.adjusted_rand(counts)
            values["attention/foreground_ari"] = segments.adjusted_rand(segments.foreground(counts))
        return values

    def _overlaps(self, split: str, look: Look, attention: Tensor) -> Tensor:
        """Counts [B, E, K] of tokens of each entity at which each slot attends most.

        Without labels all are of one entity, E = 1.
        """
        found, slots = label_map(attention), attention.shape[1]
        if not self._measured.splits[split].has_labels:
            return segments.contingency(torch.zeros_like(found), found, 1, slots)
        labels = self._labels(split, look)
        entities = self._measured.splits[split].fields["visibility"].shape[1]
        return segments.contingency(labels.flatten(1), found, entities, slots)

    def _labels(self, split: str, look: Look) -> Tensor:
        """Labels [B, h, w], one for each token: those of every 2^halvings-th pixel."""
        labels = torch.from_numpy(self._measured.splits[split].labels(look.positions))
        return self.compared(labels).to(look.images.device)

    def _precision(self, properties: Tensor, goals: Tensor) -> dict[str, float]:
        """Average precision by its name, `ap/inf` … `ap/0.125`."""
        found = average_precision(
            properties, goals, order=self.config.target.order, ranges=self._ranges
        )
        return {f"ap/{at:g}": float(one) for at, one in zip(THRESHOLDS, found, strict=True)}

    def _draw(
        self, path: Path, split: str, first: tuple[Look, Tensor], rows: Records, title: str
    ) -> None:
        """Images, true segments and those of attention."""
        number = self.config.evaluation.pictures
        look, attention = first
        claimed, objects = (rows.column(name)[:number].tolist() for name in ("claimed", "objects"))
        labels = self._labels(split, look) if self._measured.splits[split].has_labels else None
        scene_table(
            path,
            images=look.images[:number].cpu(),
            found=label_map(attention[:number]).unflatten(1, self.network.encoder.grid).cpu(),
            true=None if labels is None else labels[:number].cpu(),
            notes=[
                f"{true:.0f} objects, {guess:.0f} claimed"
                for guess, true in zip(claimed, objects, strict=True)
            ],
            title=title,
        )

    def networks(self) -> Iterable[nn.Module]:
        """The network."""
        return (self.network,)
