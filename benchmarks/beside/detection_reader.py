"""Batches of pictures with boxes: read, changed, standardised and padded, from JPEG to tensors."""

from __future__ import annotations

import atexit
import importlib
import json
import random
import shutil
import tempfile
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.beside.pairing import Case, Sides, original
from trainables.data.detection.batches import batch, evaluation_batches
from trainables.data.detection.catalog import COCO
from trainables.data.detection.geometry import DRAWS, PUBLISHED, PUBLISHED_RESIZING
from trainables.data.detection.store import Split, open_set

PACKAGE = "datasets"
"""Of github.com/facebookresearch/detr at 29901c5."""
PICTURES, BATCH = 16, 4
SIZES = ((480, 640), (640, 480), (427, 640), (500, 375))
"""Heights and widths that are frequent in COCO."""
_BOXES = 7  # of a picture, as COCO has on average


def cases() -> list[Case]:
    """Batches for training, whose draws are those of ours, and for evaluation."""
    both = {"is_compared": True, "is_timed": True}
    return [
        Case(f"training, {BATCH} pictures", partial(_build, "train"), **both),
        Case(f"evaluation, {BATCH} pictures", partial(_build, "val"), **both),
    ]


class _Drawn:
    """Draws for the original's transforms, in place of its random numbers."""

    def __init__(self) -> None:
        self._numbers: list[float] = []
        self._sizes: list[float] = []

    def begin(self, draws: list[float]) -> None:
        """Draws of the next picture, as `geometry.DRAWS` has them."""
        is_cropped = draws[1] < PUBLISHED.crop_rate
        self._numbers = [draws[0], 0.0 if not is_cropped else 0.999, *draws[4:8]]
        self._sizes = [draws[3], draws[2]] if is_cropped else [draws[2]]

    def random(self) -> float:
        return self._numbers.pop(0)

    def choice(self, values: list[int]) -> int:
        return values[int(self._sizes.pop(0) * len(values))]

    def randint(self, least: int, most: int) -> int:
        return least + int(self._numbers.pop(0) * (most - least + 1))

    def get_params(self, image: Any, size: list[int]) -> tuple[int, int, int, int]:
        height, width = size
        top = self.randint(0, image.height - height)
        return top, self.randint(0, image.width - width), height, width


def _build(kind: str) -> Sides:
    split = _written()
    draws = torch.rand(BATCH, DRAWS, generator=torch.Generator().manual_seed(1))
    draws[:, 1] = torch.tensor([0.1, 0.9] * (BATCH // 2))  # half of them are cropped
    transforms = original("transforms", PACKAGE)
    coco = original("coco", PACKAGE)
    collate = importlib.import_module("util.misc").nested_tensor_from_tensor_list
    change, prepare = coco.make_coco_transforms(kind), coco.ConvertCocoPolysToMask(False)
    annotated = _annotations(split)

    def theirs() -> Mapping[str, Any]:
        drawn = _Drawn()
        kept = transforms.random, transforms.T
        transforms.random = drawn if kind == "train" else random
        crops = SimpleNamespace(RandomCrop=SimpleNamespace(get_params=drawn.get_params))
        transforms.T = crops
        try:
            made: list[tuple[Tensor, dict[str, Tensor]]] = []
            for example in range(BATCH):
                drawn.begin(draws[example].tolist())
                with Image.open(split.path(example)) as opened:
                    image = opened.convert("RGB")
                made.append(change(*prepare(image, annotated[example])))
        finally:
            transforms.random, transforms.T = kept
        images, _ = collate([image for image, _ in made]).decompose()
        return _outputs(images, [target["boxes"] for _, target in made], made)

    def ours() -> Mapping[str, Any]:
        if kind == "train":
            examples = range(BATCH)
            found = batch(split, examples, examples, how=PUBLISHED, draws=draws, threads=1)
        else:
            found = next(
                evaluation_batches(split, range(BATCH), BATCH, how=PUBLISHED_RESIZING, threads=1)
            )
        counts = found["counts"].tolist()
        boxes = [some[:count] for some, count in zip(found["boxes"], counts, strict=True)]
        classes = [some[:count] for some, count in zip(found["classes"], counts, strict=True)]
        return {
            "images": found["images"],
            "boxes": torch.cat(boxes),
            "classes": torch.cat(classes),
            "sizes": found["sizes"],
        }

    return Sides(theirs, ours)


def _outputs(
    images: Tensor, boxes: list[Tensor], made: list[tuple[Tensor, dict[str, Tensor]]]
) -> Mapping[str, Any]:
    return {
        "images": images,
        "boxes": torch.cat(boxes),
        "classes": torch.cat([target["labels"] for _, target in made]),
        "sizes": torch.stack([target["size"] for _, target in made]),
    }


def _annotations(split: Split) -> list[dict[str, Any]]:
    """What the original is told of each picture."""
    columns = split.columns
    found: list[dict[str, Any]] = []
    for example in range(BATCH):
        here = split.annotated(example)
        said = [
            {"bbox": box, "category_id": category, "area": area, "iscrowd": 0}
            for box, category, area in zip(
                columns.boxes[here].tolist(),
                columns.classes[here].tolist(),
                columns.areas[here].tolist(),
                strict=True,
            )
        ]
        found.append({"image_id": int(split.image_ids[example]), "annotations": said})
    return found


@lru_cache(maxsize=1)
def _written() -> Split:
    """JPEGs of clouds with grain, and boxes, as COCO's validation, until this process ends."""
    root = Path(tempfile.mkdtemp(prefix="detection-reader-"))
    atexit.register(shutil.rmtree, root)
    draw = np.random.RandomState(0)
    whole: dict[str, list[Any]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 90, "name": "ninety"}],
    }
    folder = root / "coco"
    for name in ("annotations", "train2017", "val2017"):
        (folder / name).mkdir(parents=True)
    for number in range(PICTURES):
        height, width = SIZES[number % len(SIZES)]
        clouds = Image.fromarray(draw.randint(0, 256, (12, 16, 3)).astype(np.uint8))
        smooth = np.asarray(clouds.resize((width, height), Image.Resampling.BICUBIC))
        grain = draw.randint(-12, 13, smooth.shape)
        pixels = (smooth.astype(int) + grain).clip(0, 255).astype(np.uint8)
        name = f"{number:012d}.jpg"
        Image.fromarray(pixels).save(folder / "val2017" / name, quality=90)
        about = {"id": number, "file_name": name, "height": height, "width": width}
        whole["images"].append(about)
        for _ in range(_BOXES):
            left, top = draw.uniform(0, 0.8) * width, draw.uniform(0, 0.8) * height
            sides = draw.uniform(5, 150, 2).tolist()
            whole["annotations"].append(
                {
                    "id": len(whole["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 90,
                    "bbox": [left, top, *sides],
                    "area": sides[0] * sides[1],
                    "iscrowd": 0,
                }
            )
    for name in ("train2017", "val2017"):
        (folder / f"annotations/instances_{name}.json").write_text(json.dumps(whole))
    return open_set(COCO, root, selects_on="val2017").split("test")
