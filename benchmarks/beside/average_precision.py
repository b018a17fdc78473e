"""Average precision of detections: batch by batch as the original does it, and all at the end.

The original is github.com/facebookresearch/detr at 29901c5; pictures, boxes and detections are
drawn, as many and as large as COCO has.
"""

# I images, Q detections an image.

from __future__ import annotations

import contextlib
import io
from functools import partial
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from torch import Tensor

from benchmarks.beside.pairing import Case, Sides, original
from trainables.metrics.boxes import FIGURES, DetectionRecords, Truth, average_precision

PACKAGE = "datasets"
IMAGES = (500, 5000)
BATCH, DETECTIONS, CLASSES = 6, 100, 80
_OBJECTS, _CROWDS = 7.3, 0.012
"""Of an image on average, and the share of crowds, in COCO's val2017."""

Annotations = list[dict[str, Any]]


def cases() -> list[Case]:
    """All of it, from batches to the twelve figures; compared and timed."""
    return [
        Case(f"AP of {images:,} images, ≥ 2 ×", partial(_sides, images), is_timed=True)
        for images in IMAGES
    ]


def _sides(images: int) -> Sides:
    draw = np.random.default_rng(0)
    truth = _drawn(images, draw)
    found = _found(images, truth, draw)
    batches = [range(first, min(first + BATCH, images)) for first in range(0, images, BATCH)]
    names = ("image_id", "category_id", "bbox", "area", "iscrowd")
    columns = Truth(*(np.array([one[name] for one in truth]) for name in names))
    module = original("coco_eval", PACKAGE)
    with contextlib.redirect_stdout(io.StringIO()):
        coco: Any = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(images)],
            "annotations": truth,
            "categories": [{"id": kind} for kind in range(1, CLASSES + 1)],
        }
        coco.createIndex()

    def original_step() -> dict[str, Any]:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator = module.CocoEvaluator(coco, ["bbox"])
            for batch in batches:
                evaluator.update(
                    {one: {name: value[one] for name, value in found.items()} for one in batch}
                )
            evaluator.synchronize_between_processes()
            evaluator.accumulate()
            evaluator.summarize()
        return {"figures": evaluator.coco_eval["bbox"].stats}

    def our_step() -> dict[str, Any]:
        records = DetectionRecords()
        for batch in batches:
            values = (found[name][list(batch)] for name in ("scores", "labels", "boxes"))
            records.add(torch.tensor(list(batch)), *values)
        figures = average_precision(columns, records.table()).figures
        return {"figures": [figures[name] for name in FIGURES]}

    return Sides(original_step, our_step)


def _drawn(images: int, draw: np.random.Generator) -> Annotations:
    """Annotations as COCO has them."""
    made: Annotations = []
    for image in range(images):
        for _ in range(draw.poisson(_OBJECTS)):
            sides = np.exp(draw.normal(4, 1, 2)).clip(4, 400)
            about = {
                "id": len(made) + 1,
                "image_id": image,
                "category_id": int(draw.integers(1, CLASSES + 1)),
                "bbox": [*draw.uniform(0, (600, 400)).tolist(), *sides.tolist()],
                "area": float(0.7 * sides.prod()),
                "iscrowd": int(draw.random() < _CROWDS),
            }
            made.append(about)
    return made


def _found(images: int, truth: Annotations, draw: np.random.Generator) -> dict[str, Tensor]:
    """Detections [I, Q]: each object nearly, with a higher score, and boxes anywhere."""
    shape = (images, DETECTIONS)
    sides = draw.uniform(5, 300, (*shape, 2))
    boxes = np.concatenate([draw.uniform(0, (500, 400), (*shape, 2)), sides], -1)
    labels, scores = draw.integers(1, CLASSES + 1, shape), 0.5 * draw.random(shape)
    taken = np.zeros(images, dtype=int)
    for one in truth:
        place = one["image_id"], taken[one["image_id"]]
        taken[place[0]] += 1
        boxes[place] = np.array(one["bbox"]) * (1 + draw.normal(0, 0.1, 4))
        labels[place] = one["category_id"]
        scores[place] += 0.5 * draw.random()
    boxes[..., 2:] += boxes[..., :2]
    return {
        "boxes": torch.from_numpy(boxes.astype(np.float32)),
        "scores": torch.from_numpy(scores.astype(np.float32)),
        "labels": torch.from_numpy(labels),
    }
