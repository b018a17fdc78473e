"""Average precision of detected boxes: the twelve figures of COCO, by class, and blind boxes."""

# I images, N true boxes, Q detections an image, K classes, A ranges of areas, T thresholds of
# overlap, R of recall.

from __future__ import annotations

import contextlib
import io
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainables.metrics.box_evaluation import LARGEST, ArrayEvaluation, Found, Objects

Array = np.ndarray[Any, Any]

AREAS = (32.0**2, 96.0**2)
"""Pixels of the picture as it was: below the first is small, from the second on large."""

FIGURES = (
    *("mAP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)
"""In the order of pycocotools."""


class Truth(NamedTuple):
    """All annotations of a split, with crowds and whatever training leaves out."""

    image_ids: Array
    """[N], int64: the image of each."""
    classes: Array
    """[N], int64."""
    boxes: Array
    """[N, 4]: left, top, width, height in pixels."""
    areas: Array
    """[N], in pixels: of the object, not of its box."""
    crowds: Array
    """[N], bool: regions in which detections are ignored."""


class Table(NamedTuple):
    """Detections by image, each image once, ids rising; NumPy arrays."""

    image_ids: Array
    """[I], int64."""
    scores: Array
    """[I, Q], float64, larger is surer."""
    classes: Array
    """[I, Q], int64."""
    boxes: Array
    """[I, Q, 4], float64: left, top, width, height in pixels."""


class DetectionRecords:
    """Detections that are collected batch by batch, and merged by the id of their image."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, ...]] = []

    def add(self, image_ids: Tensor, scores: Tensor, classes: Tensor, boxes: Tensor) -> None:
        """A batch: ids [B], scores [B, Q], classes [B, Q], boxes [B, Q, 4] by corners in pixels.

        Nothing leaves the device. All batches have the same Q.
        """
        sides = torch.cat([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], -1)
        parts = (image_ids, scores, classes, sides)
        self._parts.append(tuple(one.detach() for one in parts))

    def table(self) -> Table:
        """All images, each once: of those that came several times the first.

        Raises:
            ValueError: nothing was added.
        """
        if not self._parts:
            raise ValueError("detections must be of at least one image, got none")
        ids, scores, classes, boxes = (
            torch.cat([one.cpu() for one in parts]).numpy()
            for parts in zip(*self._parts, strict=True)
        )
        single, first = np.unique(ids, return_index=True)
        kinds = (scores[first].astype(float), classes[first], boxes[first].astype(float))
        return Table(single, *kinds)


class BoxScores(NamedTuple):
    """What detections are worth."""

    figures: dict[str, float]
    """The twelve of `FIGURES` in 0…1; NaN where nothing is to be found (pycocotools: −1)."""
    by_class: dict[int, dict[str, float]]
    """`AP`, `AP50` and `AP75` of each class that occurs."""
    precision: Array
    """[T, R, K, A] at 100 detections an image and class: overlaps 0.5, 0.55 … 0.95, recalls 0,
    0.01 … 1, classes as in `by_class`, areas all, small, medium, large. NaN as above."""


def average_precision(
    truth: Truth, found: Table, *, areas: tuple[float, float] = AREAS
) -> BoxScores:
    """The figures of COCO (Lin et al. 2014, pycocotools' `COCOeval` for boxes) to the last digit.

    Over the images that have a row in `found`; what `truth` has of others is left out. An area
    range counts objects by their own area, detections by that of their box, and both its ends.
    Prints nothing.

    Raises:
        ValueError: the areas do not rise, or not below 10¹⁰ square pixels, pycocotools' largest.
    """
    if not 0 < areas[0] < areas[1] < LARGEST:
        raise ValueError(
            f"areas must be two numbers above 0 and below {LARGEST:g} that rise, got {areas}"
        )
    evaluation, classes = _evaluation(truth, found, areas)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = _defined(evaluation.eval["precision"][..., -1])
    figures = dict(zip(FIGURES, _defined(evaluation.stats).tolist(), strict=True))
    by_class = {
        int(name): {
            "AP": float(one.mean()),
            "AP50": float(one[0].mean()),
            "AP75": float(one[5].mean()),
        }
        for name, one in zip(classes, np.moveaxis(precision[..., 0], 2, 0), strict=True)
    }
    return BoxScores(figures, by_class, precision)


def blind_boxes(
    boxes: Tensor, classes: Tensor, images: int, *, scales: int = 3, most: int = 100
) -> tuple[Tensor, Tensor, Tensor]:
    """The same scores [Q], classes [Q], boxes [Q, 4] for every picture: what is found unseen.

    The boxes of each class, by area, are cut in `scales` parts of about equal number (fewer where
    there are fewer boxes); a detection is the mean box of a part, and its score their number an
    image, at most 1. The `most` with the highest scores, highest first; none without boxes.

    Args:
        boxes: those of the training set, [N, 4], centre, width, height in 0…1; so is the result.
        classes: [N], int64.
        images: how many images the training set has.
        scales: into how many parts a class is cut.
        most: the largest Q.
    """
    means: list[tuple[float, int, Tensor]] = []
    for name in classes.unique().tolist():
        own = boxes[classes == name].double()
        own = own[(own[:, 2] * own[:, 3]).argsort(stable=True)]
        for part in own.tensor_split(min(scales, len(own))):
            means.append((min(1.0, len(part) / images), name, part.mean(0)))
    means = sorted(means, key=lambda one: -one[0])[:most]
    scores = torch.tensor([score for score, _, _ in means])
    names = torch.tensor([name for _, name, _ in means], dtype=torch.int64)
    middles = [middle for _, _, middle in means]
    return scores, names, torch.stack(middles).to(boxes.dtype) if means else boxes.new_empty(0, 4)


def _evaluation(
    truth: Truth, found: Table, areas: tuple[float, float]
) -> tuple[ArrayEvaluation, Array]:
    """With the classes [K] that occur in the images."""
    is_seen = np.isin(truth.image_ids, found.image_ids)
    ids, kinds, boxes, sizes, crowds = (np.asarray(one)[is_seen] for one in truth)
    classes = np.unique(kinds)
    place = np.searchsorted(found.image_ids, ids) * len(classes) + np.searchsorted(classes, kinds)
    objects = Objects(place, boxes.astype(float), sizes.astype(float), crowds.astype(bool))
    is_known = np.isin(found.classes, classes)
    images = np.broadcast_to(np.arange(len(found.image_ids))[:, None], is_known.shape)
    keys = images[is_known] * len(classes) + np.searchsorted(classes, found.classes[is_known])
    detections = Found(keys, found.boxes[is_known], found.scores[is_known])
    return ArrayEvaluation(objects, detections, len(classes), areas), classes


def _defined(values: Array) -> Array:
    return np.where(values < 0, np.nan, values)
