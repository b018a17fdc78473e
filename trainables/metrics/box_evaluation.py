"""COCO's evaluation of boxes in arrays: the two long steps of `COCOeval` without loops over images.

pycocotools matches each detection of each image, class, threshold and range of areas by itself;
here all images with equally many boxes of a class are matched together, detection by detection. Its
parameters and its summary are used as they are, and both steps give its arrays, bit for bit.
"""

# A ranges of areas, T thresholds of overlap, R thresholds of recall, K classes, M numbers of
# detections; P pairs of an image and a class, D detections, O objects (padded).

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from pycocotools.cocoeval import COCOeval

Array = np.ndarray[Any, Any]

LARGEST = 1e5**2
"""Square pixels of the largest object that pycocotools counts."""
_NEARLY_ONE = 1 - 1e-10
"""A threshold is at most this, as in pycocotools."""


class Objects(NamedTuple):
    """True boxes: key [N] of image and class, boxes [N, 4], areas [N], crowds [N]."""

    keys: Array
    boxes: Array
    """Left, top, width, height; float64."""
    areas: Array
    crowds: Array
    """bool: a region whose detections are ignored."""


class Found(NamedTuple):
    """Detections: key [N] of image and class, boxes [N, 4] as of objects, scores [N]."""

    keys: Array
    boxes: Array
    scores: Array


class ArrayEvaluation(COCOeval):
    """`COCOeval` of boxes whose `evaluate` and `accumulate` are of arrays; `summarize` is its own.

    Args:
        objects: those of all images, crowds too.
        found: detections in the order in which equal scores count.
        classes: K; a key is the number of the image · K + the number of the class.
        limits: the areas that divide small from medium and medium from large objects.
    """

    def __init__(
        self, objects: Objects, found: Found, classes: int, limits: tuple[float, float]
    ) -> None:
        super().__init__(iouType="bbox")
        self._objects = _by_key(objects)
        self._found = found
        self._classes = classes
        ends = [0.0, *limits, LARGEST]
        self.params.areaRng = [[ends[0], ends[-1]], *map(list, zip(ends, ends[1:], strict=False))]
        self.params.catIds = list(range(classes))
        self._paramsEval = copy.deepcopy(self.params)

    def evaluate(self) -> None:
        """Matches detections with objects: which are right, and which are ignored, [A, T, D]."""
        most = self.params.maxDets[-1]
        found = self._found
        order = np.lexsort((-found.scores, found.keys))
        keys = found.keys[order]
        rank = _places(keys)
        order, keys, rank = (one[rank < most] for one in (order, keys, rank))
        self._found = Found(keys, found.boxes[order], found.scores[order])
        self._rank = rank
        low, high = np.array(self.params.areaRng).T[:, :, None]
        areas = self._found.boxes[:, 2] * self._found.boxes[:, 3]
        is_out = (areas < low) | (areas > high)
        self._is_ignored = (
            self._objects.crowds | (self._objects.areas < low) | (self._objects.areas > high)
        )
        self._match()
        self._ignored |= ~self._matched & is_out[:, None]

    def accumulate(self, p: Any = None) -> None:
        """Precision [T, R, K, A, M] and recall [T, K, A, M] as pycocotools has them; −1: none."""
        settings = self.params
        shape = (self._classes, len(settings.areaRng), len(settings.maxDets))
        thresholds, recalls = len(settings.iouThrs), len(settings.recThrs)
        precision = -np.ones((thresholds, recalls, *shape))
        recall, scores = -np.ones((thresholds, *shape)), -np.ones((thresholds, recalls, *shape))
        kind, owner = self._found.keys % self._classes, self._objects.keys % self._classes
        # Equal scores stay in the order of images, and within an image in their own.
        order = np.lexsort((-self._found.scores, kind))
        starts = np.searchsorted(kind[order], np.arange(self._classes + 1))
        numbers = np.stack(
            [np.bincount(owner[~one], minlength=self._classes) for one in self._is_ignored]
        )
        for k, a in zip(*numbers.T.nonzero(), strict=True):
            own = order[starts[k] : starts[k + 1]]
            for m, most in enumerate(settings.maxDets):
                chosen = own[self._rank[own] < most]
                matched, counts = self._matched[a][:, chosen], ~self._ignored[a][:, chosen]
                found = _curves(matched & counts, ~matched & counts, int(numbers[a, k]))
                recall[:, k, a, m], places, best = found.at(settings.recThrs)
                precision[:, :, k, a, m] = best
                padded = np.append(self._found.scores[chosen], 0.0)
                scores[:, :, k, a, m] = padded[places]
        self.eval: Any = {
            "params": settings,
            "counts": [thresholds, recalls, *shape],
            "precision": precision,
            "recall": recall,
            "scores": scores,
        }

    def _match(self) -> None:
        """All pairs of an image and a class that have detections and objects, by their number."""
        shape = (len(self.params.areaRng), len(self.params.iouThrs), len(self._found.keys))
        self._matched, self._ignored = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        keys, first, number = np.unique(self._found.keys, return_index=True, return_counts=True)
        true, start, size = np.unique(self._objects.keys, return_index=True, return_counts=True)
        both = np.intersect1d(keys, true, assume_unique=True)
        at, on = np.searchsorted(keys, both), np.searchsorted(true, both)
        pairs = np.stack([first[at], number[at], start[on], size[on]], 1)
        widths = 1 << np.ceil(np.log2(pairs[:, 3])).astype(int)
        for width in np.unique(widths):
            some = pairs[widths == width]
            self._match_alike(some[np.argsort(-some[:, 1], kind="stable")], int(width))

    def _match_alike(self, pairs: Array, width: int) -> None:
        """Pairs [P, 4] (first detection, detections, first object, objects), most detections first.

        A detection takes the object with the largest overlap that is still free (a crowd always
        is), the last of equals; one that is ignored only if there is no other.
        """
        first, number, start, size = pairs.T
        places = start[:, None] + np.minimum(np.arange(width), size[:, None] - 1)
        is_real = (np.arange(width) < size[:, None])[:, None, None]
        crowds = self._objects.crowds[places]
        ignored = self._is_ignored[:, places].transpose(1, 0, 2)[:, :, None]
        free = np.broadcast_to(is_real, (len(pairs), *self._matched.shape[:2], width)).copy()
        limits = np.minimum(self.params.iouThrs, _NEARLY_ONE)[:, None]
        for rank in range(number[0]):
            active = np.searchsorted(-number, -rank)
            own = first[:active] + rank
            overlap = _overlap(
                self._found.boxes[own][:, None],
                self._objects.boxes[places[:active]],
                crowds[:active],
            )[:, None, None]
            fits = free[:active] & (overlap >= limits)
            better = fits & ~ignored[:active]
            fits = np.where(better.any(-1, keepdims=True), better, fits)
            value = np.where(fits, overlap, -1.0)
            best = width - 1 - value[..., ::-1].argmax(-1, keepdims=True)
            taken = np.take_along_axis(value, best, -1) >= 0
            lost = np.take_along_axis(np.broadcast_to(ignored[:active], value.shape), best, -1)
            self._matched[:, :, own] = taken[..., 0].transpose(1, 2, 0)
            self._ignored[:, :, own] = (taken & lost)[..., 0].transpose(1, 2, 0)
            crowd = np.take_along_axis(
                np.broadcast_to(crowds[:active, None, None], value.shape), best, -1
            )
            stays = np.take_along_axis(free[:active], best, -1) & (~taken | crowd)
            np.put_along_axis(free[:active], best, stays, -1)


class _Curves(NamedTuple):
    """Recall [T, D] and the best precision [T, D] at that recall or a higher one."""

    recall: Array
    precision: Array

    def at(self, recalls: Array) -> tuple[Array, Array, Array]:
        """The last recall [T]; the places [T, R] where others are reached; precision there."""
        if not self.recall.shape[1]:
            shape = (len(self.recall), len(recalls))
            return np.zeros(shape[0]), np.full(shape, -1), np.zeros(shape)
        places = np.stack([np.searchsorted(one, recalls, side="left") for one in self.recall])
        padded = np.pad(self.precision, ((0, 0), (0, 1)))
        return self.recall[:, -1], places, np.take_along_axis(padded, places, 1)


def _curves(right: Array, wrong: Array, number: int) -> _Curves:
    hits, misses = (np.cumsum(one, axis=1).astype(float) for one in (right, wrong))
    precision = hits / (misses + hits + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return _Curves(hits / number, best)


def _by_key(objects: Objects) -> Objects:
    order = np.argsort(objects.keys, kind="stable")
    return Objects(*(one[order] for one in objects))


def _places(keys: Array) -> Array:
    """How many equal keys stand before each, of keys [N] that rise."""
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    return np.arange(len(keys)) - np.repeat(first, counts)


def _overlap(found: Array, true: Array, crowds: Array) -> Array:
    """IoU of boxes [..., 4] (left, top, width, height); with a crowd the share of what is found."""
    left, top, width, height = np.moveaxis(found, -1, 0)
    other_left, other_top, other_width, other_height = np.moveaxis(true, -1, 0)
    wide = np.minimum(width + left, other_width + other_left) - np.maximum(left, other_left)
    high = np.minimum(height + top, other_height + other_top) - np.maximum(top, other_top)
    shared = np.where((wide > 0) & (high > 0), wide * high, 0.0)
    area = width * height
    union = np.where(crowds, area, area + other_width * other_height - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
