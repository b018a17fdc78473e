"""Evaluation of detectors: losses, average precision, sparsity of attention, pictures."""

# B images, Q queries, N boxes, G images of a split that are measured.

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Batch, Evaluated, References
from trainables.data.detection.batches import evaluation_batches
from trainables.data.detection.geometry import Resizing
from trainables.data.detection.store import Split
from trainables.detr import building, looking, pictures
from trainables.detr.attention_records import AttentionRecords
from trainables.detr.detections import detections
from trainables.detr.losses import matched, set_loss
from trainables.detr.networks import Predictions
from trainables.detr.task import DetectionTask
from trainables.losses.boxes import to_corners
from trainables.losses.matching import Assigned
from trainables.metrics.boxes import (
    BoxScores,
    DetectionRecords,
    Truth,
    average_precision,
    blind_boxes,
)
from trainables.metrics.class_names import metric_names

log = logging.getLogger(__name__)


class Measuring:
    """The evaluations of an experiment: one pass over the pictures of a split."""

    def __init__(self, experiment: DetectionTask) -> None:
        self._experiment = experiment
        self._config = experiment.config
        self._settings = experiment.config.evaluation

    def measure(self, split: str, last: bool) -> Evaluated:
        """Losses, average precision, sparsity; by class, layer and head at the last time."""
        measured = self._experiment.measured(split)
        examples = self._examples(measured)
        counts = torch.tensor([len(measured.targets(int(one)).classes) for one in examples])
        found, attention = DetectionRecords(), AttentionRecords(self._settings)
        sums: dict[str, float] = {}
        shown: list[pictures.Shown] = []
        network = self._experiment.network
        for batch in self._batches(measured, examples):
            liveness.alive()
            with looking.looked(network) as seen:
                predictions = network(batch["images"], batch["sizes"])
            whole = {**batch, "batch_counts": counts.to(batch["counts"].device)[None]}
            loss = set_loss(predictions, whole, **building.loss_arguments(self._config.loss))
            for name, term in {"loss": loss.total, **loss.terms}.items():
                share = len(batch["examples"]) / len(examples)
                sums[name] = sums.get(name, 0.0) + float(term) * share
            detected = detections(
                predictions.logits[-1], predictions.boxes[-1], batch["original_sizes"]
            )
            found.add(batch["image_ids"], *detected)
            maps, pairs = seen.maps(), self._last_pairs(predictions, batch)
            grid = looking.grid_of(network, batch, seen.grids[-1])
            attention.add(grid, batch, maps, detected.scores, pairs)
            for place in range(len(batch["counts"])):
                if last and len(shown) < self._settings.pictures:
                    cells = (grid.rows, grid.columns)
                    shown.append(pictures.shown_of(batch, place, predictions, maps, pairs, cells))
        scores = self._scores(measured, examples, found)
        values = sums | scores.figures | attention.values(last=last)
        if (uncounted := attention.uncounted()) is not None:
            log.warning("%s: %s", split, uncounted)
        names = metric_names(measured.annotations.categories)
        if last:
            for number, own in scores.by_class.items():
                values |= {f"{name}/{names[number]}": one for name, one in own.items()}
        values = {name: one for name, one in values.items() if np.isfinite(one)}
        figures = pictures.figures(shown, scores, names, network.backbone.stride, split)
        if figures:
            maps = (one.simplex for _, _, one in building.attentions(network))
            figures |= attention.figures(split) | pictures.map_curves(maps)
        return Evaluated(values, figures)

    def _last_pairs(self, predictions: Predictions, batch: Batch) -> Assigned:
        """Which query of the last layer is matched with which object, [B, M]."""
        logits, boxes = predictions.logits[-1:], predictions.boxes[-1:]
        costs = building.loss_arguments(self._config.loss)["costs"]
        return Assigned(*(one[0] for one in matched(logits, boxes, batch, costs)))

    def references(self, split: str) -> References:
        """`blind`: the mean boxes of training pictures, the same for each picture."""
        pictures = self._experiment.measured(split)
        examples = self._examples(pictures)
        scores, classes, boxes = self._blind()
        found = DetectionRecords()
        for example in examples.tolist():
            height, width = pictures.size(example)
            corners = to_corners(boxes) * torch.tensor([width, height, width, height])
            ids = torch.tensor([int(pictures.image_ids[example])])
            found.add(ids, scores[None], classes[None], corners[None])
        return {"blind": self._scores(pictures, examples, found).figures}

    def _blind(self) -> tuple[Tensor, Tensor, Tensor]:
        """Scores [Q], classes [Q] and boxes [Q, 4] of what is most frequent in training."""
        pictures, order = self._experiment.training_pictures
        boxes, classes = list[NDArray[np.float64]](), list[NDArray[np.int64]]()
        for example in order.tolist():
            targets, (height, width) = pictures.targets(example), pictures.size(example)
            corners = targets.boxes / np.array([width, height, width, height])
            middle = (corners[:, :2] + corners[:, 2:]) / 2
            boxes.append(np.concatenate([middle, corners[:, 2:] - corners[:, :2]], 1))
            classes.append(targets.classes)
        together = torch.from_numpy(np.concatenate(boxes)).float()
        return blind_boxes(together, torch.from_numpy(np.concatenate(classes)), len(order))

    def _examples(self, pictures: Split) -> NDArray[np.int64]:
        """The pictures of a split that are measured."""
        return np.arange(len(pictures))[: self._settings.images]

    def _batches(self, pictures: Split, examples: NDArray[np.int64]) -> Iterator[Batch]:
        settings = self._config.augmentation
        device = next(self._experiment.parameters()).device
        for batch in evaluation_batches(
            pictures,
            examples.tolist(),
            self._settings.images_at_once,
            how=Resizing(settings.evaluated_size, settings.longest),
        ):
            yield {name: one.to(device) for name, one in batch.items()}

    def _scores(
        self, pictures: Split, examples: NDArray[np.int64], found: DetectionRecords
    ) -> BoxScores:
        return average_precision(
            truth_of(pictures, examples), found.table(), areas=self._settings.areas
        )


def truth_of(pictures: Split, examples: NDArray[np.int64]) -> Truth:
    """All that is annotated of these pictures, as average precision wants it."""
    columns = pictures.columns
    rows = pictures.rows[examples]
    first, count = columns.offsets[rows], np.diff(columns.offsets)[rows]
    before = np.repeat(count.cumsum() - count, count)
    chosen = np.repeat(first, count) + np.arange(count.sum()) - before
    boxes, areas = columns.boxes[chosen], columns.areas[chosen]
    return Truth(
        np.repeat(columns.image_ids[rows], count),
        columns.classes[chosen],
        boxes,
        np.where(np.isnan(areas), boxes[:, 2] * boxes[:, 3], areas),
        columns.crowd[chosen],
    )
