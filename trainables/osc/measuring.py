"""Evaluation of representations: segments, probes of objects, collapse, pictures."""

# B images, S slots, C width, P patches, H × W pixels.

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Evaluated, References
from trainables.data.scenes.choosing import Positions, pixels
from trainables.data.scenes.store import Scenes
from trainables.layers.recording import recorded
from trainables.metrics import collapse
from trainables.metrics.label_maps import label_map
from trainables.metrics.masks import (
    dilated_masks,
    enlarged,
    entity_masks,
    masks_of,
    normalized_maps,
    overlap_scores,
)
from trainables.metrics.records import Records
from trainables.metrics.right_matches import right_match_share
from trainables.metrics.segments import segment_scores
from trainables.osc import attending, losses, pictures, probing, views
from trainables.osc.alike import COLUMNS, Alike, object_types, scores_of_alike
from trainables.osc.collapse import collapse_of
from trainables.osc.look import Look
from trainables.osc.model import Outputs
from trainables.osc.references import references
from trainables.osc.task import RepresentationTask
from trainables.settings.crops import ClipFrames

AT_ONCE = 32
"""So many scenes are looked at together."""
SCENE = ("position", "objects", *COLUMNS)
"""Columns that say which scene it is, or are looked at by what else it holds."""


class Measuring:
    """The evaluations of an experiment: one pass over scenes for all but the loss of views."""

    def __init__(self, experiment: RepresentationTask) -> None:
        self._experiment = experiment
        self._config = experiment.config
        self._settings = experiment.config.evaluation

    def measure(self, split: str, last: bool, *, asks_all: bool = False) -> Evaluated:
        """The loss of views, segments, collapse and probes; at the last time figures and maps, too.

        Each property is asked for by itself at the last time, or if all is asked.
        """
        values = self._losses(split)
        positions = self._positions(split)
        records, seen, alike = Records(), probing.Features(), self._alike(split, positions)
        shown: list[Look] = []
        pictured = self._settings.pictures if last else 0
        for look in self.looks(split, positions):
            seen.add(look.found)
            if look.maps is not None:
                records.add(self._scores(split, look, alike))
            if sum(len(one.images) for one in shown) < pictured:
                shown.append(look)
        values |= {name: one for name, one in records.means().items() if name not in SCENE}
        if alike is not None:
            values |= alike.negatives() | scores_of_alike(records)
        values |= collapse_of(seen)
        found = probing.probed(self._experiment, split, seen, positions, last or asks_all)
        values |= found.values
        if not last:
            return Evaluated(values)
        figures = found.figures | self._figures(split, shown)
        tables = {"scenes": records.write} if len(records) else {}
        files = {"attention.npz": partial(pictures.write_maps, shown)} if shown else {}
        return Evaluated(values, figures, tables, files)

    def looks(self, split: str, positions: Positions) -> Iterator[Look]:
        """Scenes with what the networks find of them, in batches."""
        scenes = self._experiment.store.splits[split]
        for part in np.array_split(positions, max(1, -(-len(positions) // AT_ONCE))):
            liveness.alive()
            yield self._look(scenes, split, part)

    def _look(self, scenes: Scenes, split: str, part: Positions) -> Look:
        experiment, size = self._experiment, self._config.views.size
        device = next(experiment.parameters()).device
        images = views.middle(pixels(scenes, part), size).to(device)
        full = labels = None
        if scenes.has_labels:
            full = torch.from_numpy(scenes.labels(part)).to(device)
            labels = views.middle_labels(full, size)
        draws = self._draws(split, part, size)
        found, maps = self._seen(images, draws, self._settings.num_slots)
        return Look(part, images, labels, full, found, maps)

    def _draws(
        self, split: str, part: Positions, size: int, *, is_trained: bool = False
    ) -> dict[str, Tensor]:
        """Draws for the queries of scenes, functions of their positions; for as many slots as in
        training, if that `is_trained`.
        """
        config, places = self._config, torch.from_numpy(part)
        if self._settings.shares_draws and config.queries.kind == "normal":
            places = torch.zeros_like(places)
        trained = config.queries.num_slots
        return views.query_draws(
            self._experiment.model,
            size,
            trained if is_trained else self._settings.num_slots or trained,
            config.seed,
            f"{split} scenes",
            0,
            places,
            1,
        )

    def _seen(
        self, images: Tensor, draws: dict[str, Tensor], num_slots: int | None = None
    ) -> tuple[Outputs, Tensor | None]:
        """What the networks find of images, and the maps [B, S, h, w] of slots (None: as many as in
        training)."""
        model, settings = self._experiment.model, self._settings.segmentation
        on_device = {name: one.to(images.device) for name, one in draws.items()}
        if not self._config.has_slots:
            return model(images, views.in_a_row(on_device)), None
        wanted = attending.names(model, of_backbone=settings.through_backbone)
        with recorded(model, wanted) as recording:
            found = model(images, views.in_a_row(on_device), num_slots)
        return found, attending.maps_on_grid(model, recording.take(), settings, images.shape[-1])

    def _alike(self, split: str, positions: Positions) -> Alike | None:
        """What looks for alike objects; None without slots, masks or properties of objects."""
        config, store = self._config, self._experiment.store
        if not (config.has_slots and store.splits[split].has_labels):
            return None
        types, training = object_types(store, split, positions), config.training
        images = training.batch_size // training.num_micro_batches
        if types is None:
            return None
        return Alike(types, positions, loss=config.loss.objects, images=images)

    def _scores(self, split: str, look: Look, alike: Alike | None = None) -> dict[str, Tensor]:
        """A value [B] of each kind."""
        assert look.maps is not None
        settings, size = self._settings.segmentation, tuple(look.images.shape[2:])
        maps = enlarged(look.maps, size, settings.enlargement)  # pyright: ignore[reportArgumentType]
        found: dict[str, Tensor] = {
            "position": torch.from_numpy(look.positions),
            "objects": self._counts(split, look),
            **segment_scores(label_map(maps), maps.shape[1], look.labels),
        }
        if look.labels is None:
            return found
        masks, true = masks_of(maps, settings.rule), self._true(look)
        if alike is not None:
            found |= alike.columns(look.positions, look.labels, true, masks, maps)
        return found | overlap_scores(true, normalized_maps(maps), masks)

    def _counts(self, split: str, look: Look) -> Tensor:
        """How many objects are in the square that is looked at, [B]."""
        counts = self._experiment.store.splits[split].counts[look.positions]
        if look.full_labels is None or look.full_labels.shape[1] == look.full_labels.shape[2]:
            return torch.from_numpy(counts)
        return views.seen_in_middle(look.full_labels, int(counts.max())).sum(1)

    def _true(self, look: Look) -> Tensor:
        """Labels, or masks that grew as they were published."""
        assert look.labels is not None and look.full_labels is not None
        if not self._settings.segmentation.dilates:
            return look.labels
        full = views.middle_labels(look.full_labels, min(look.full_labels.shape[1:]))
        return dilated_masks(entity_masks(full), tuple(look.images.shape[2:]))  # pyright: ignore[reportArgumentType]

    def _losses(self, split: str) -> dict[str, float]:
        """The loss of views of scenes and its terms, as in training, with the same draws always."""
        experiment, training = self._experiment, self._config.training
        scenes, positions = experiment.store.splits[split], self._examples(split)
        size = training.batch_size // training.num_micro_batches
        device = next(experiment.parameters()).device
        sums: dict[str, float] = {}
        partners: list[Tensor] = []
        matches = Records()
        parts = [part for part in torch.arange(len(positions)).split(max(size, 2)) if len(part) > 1]
        for places in parts:
            liveness.alive()
            batch = experiment.views(scenes, positions[places.numpy()], split, 0, places)
            batch = self._shared({name: one.to(device) for name, one in batch.items()}, split)
            found = experiment.compare(batch, lambda values: values)
            for name, term in {"loss": found.loss, **found.terms}.items():
                sums[name] = sums.get(name, 0.0) + float(term) * len(places)
            if found.partners is None:
                continue
            partners.append(found.partners)
            if isinstance(self._config.views, ClipFrames) and scenes.has_labels:
                pairs = experiment.pairs(positions[places.numpy()], split, 0, places)
                matches.add(self._matches(scenes, pairs, batch, found.partners))
        total = sum(len(part) for part in parts)
        values = {name: value / total for name, value in sums.items()}
        if partners:
            together = torch.cat(partners)
            entropy = collapse.matching_entropy(together, together.shape[2])
            values["collapse/partners/entropy"] = float(entropy)
        found = matches.means() if len(matches) else {}
        return values | {name: one for name, one in found.items() if not math.isnan(one)}

    def _matches(
        self, scenes: Scenes, pairs: Positions, batch: dict[str, Tensor], partners: Tensor
    ) -> dict[str, Tensor]:
        """The share of right partners in two frames of clips [B, 2], and that of chance, [B]."""
        seen, size = batch["views"], batch["views"].shape[-1]
        draws = {name: one for name, one in batch.items() if name in ("noise", "choices")}
        _, maps = self._seen(seen.flatten(0, 1), draws, None)
        assert maps is not None
        settings = self._settings.segmentation
        maps = enlarged(maps, (size, size), settings.enlargement)
        masks = masks_of(maps, "argmax").unflatten(0, (-1, 2))
        labels = torch.from_numpy(scenes.labels(pairs.ravel())).to(seen.device)
        labels = views.middle_labels(labels, size).unflatten(0, (-1, 2))
        found = right_match_share(partners, labels, masks)
        return {"right_matches": found.share, "right_matches_by_chance": found.chance}

    def _shared(self, batch: dict[str, Tensor], split: str) -> dict[str, Tensor]:
        """All views of all batches with the noise of one scene, if that is asked for."""
        if not (self._settings.shares_draws and self._config.queries.kind == "normal"):
            return batch
        shared = self._draws(split, np.zeros(1, np.int64), self._config.views.size, is_trained=True)
        noise = shared["noise"]
        return {
            name: noise.to(one).expand_as(one) if name.endswith("noise") else one
            for name, one in batch.items()
        }

    def _figures(self, split: str, shown: list[Look]) -> dict[str, pictures.Write]:
        """Pictures of the first scenes; of their views, of which two at least are compared."""
        if not shown:
            return {}
        number, settings = self._settings.pictures, self._settings.segmentation
        first = shown[0]
        draws = self._draws(split, first.positions[:1], first.images.shape[-1])
        draws = {name: one.to(first.images.device) for name, one in draws.items()}
        found = pictures.of_scenes(shown, settings, number, split)
        found |= pictures.of_network(
            self._experiment.model,
            first.images[0],
            views.in_a_row(draws),
            num_slots=self._settings.num_slots,
            settings=settings,
            split=split,
        )
        experiment = self._experiment
        scenes, positions = experiment.store.splits[split], self._examples(split)
        places = torch.arange(min(max(number, 2), len(positions)))
        batch = experiment.views(scenes, positions[places.numpy()], split, 0, places)
        batch = {name: one.to(first.images.device) for name, one in batch.items()}
        batch = self._shared(batch, split)
        seen = experiment.look(batch)
        total = losses.compare(
            self._config.loss, seen, experiment.predictors, lambda values: values
        )
        return found | pictures.of_views(
            batch["views"], seen.views, total, self._config.loss, split
        )

    def _examples(self, split: str) -> Positions:
        """The scenes of a split, or its clips, whose views are compared."""
        if not isinstance(self._config.views, ClipFrames):
            return self._positions(split)
        found = self._experiment.clips(split, self._settings.scenes)
        if len(found) < 2:
            raise ValueError(
                f"data.min_objects and data.max_objects must leave at least two clips of {split}, "
                f"got {len(found)}"
            )
        return found

    def _positions(self, split: str) -> Positions:
        """The scenes of a split that are measured."""
        experiment = self._experiment
        positions = experiment.chosen(split, None)[: self._settings.scenes]
        if len(positions) < 2:
            settings = self._config.data
            raise ValueError(
                f"data.min_objects and data.max_objects must leave at least two scenes of {split}, "
                f"got {len(positions)} with {settings.min_objects} … {settings.max_objects} objects"
            )
        return positions

    def untrained(self, split: str) -> Evaluated:
        """What networks score that have learned nothing, in all that is asked of trained ones."""
        return self.measure(split, False, asks_all=True)

    def references(self, split: str) -> References:
        """What nobody has learned, on the same scenes (see `osc.references`)."""
        return references(self._experiment, split, self._positions(split))
