"""Small sets in the form of COCO, written as their authors write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CATEGORIES = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}, {"id": 90, "name": "ninety"}]


def image(number: int, height: int, width: int, suffix: str = "png") -> dict[str, Any]:
    return {"id": number, "height": height, "width": width, "file_name": f"{number:03d}.{suffix}"}


def box(number: int, picture: int, bbox: Sequence[float], category: int = 1, **more: Any) -> Any:
    return {"id": number, "image_id": picture, "bbox": list(bbox), "category_id": category, **more}


def whole(
    images: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {"images": images, "annotations": annotations, "categories": CATEGORIES}


def noise(height: int, width: int, seed: int, *, grey: bool = False) -> Any:
    shape = (height, width) if grey else (height, width, 3)
    coarse = np.random.RandomState(seed).randint(0, 256, (9, 9, *shape[2:]))
    rows, columns = (np.arange(side) * 9 // side for side in (height, width))
    return coarse[rows][:, columns].astype(np.uint8)


def write(
    folder: Path, name: str, contents: Mapping[str, Any], *, grey: Sequence[int] = ()
) -> None:
    """The JSON `name`, and the pictures that it names: coarse noise, some of them grey."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / name).mkdir(exist_ok=True)
    (folder / "annotations" / f"instances_{name}.json").write_text(json.dumps(contents))
    for one in contents["images"]:
        pixels = noise(one["height"], one["width"], one["id"], grey=one["id"] in grey)
        Image.fromarray(pixels).save(folder / name / one["file_name"])


def edges() -> dict[str, Any]:
    """Each edge of annotations, once: see the comments."""
    return whole(
        [image(7, 40, 30), image(3, 20, 50), image(5, 33, 47, "jpg"), image(9, 25, 25)],
        [
            box(11, 7, (5, 6, 10, 12), 90, area=77.5, iscrowd=0),
            box(12, 7, (-4, 30, 10, 20), 2),  # leaves the picture; neither area nor iscrowd
            box(13, 7, (8, 8, 0, 5), 2, area=0, iscrowd=0),  # no width
            box(14, 7, (1, 1, 20, 20), 1, area=300, iscrowd=1),  # a crowd beside others
            box(15, 3, (0, 0, 50, 20), 1, area=900, iscrowd=1),  # a crowd alone
            box(16, 5, (60, 1, 5, 5), 1, area=25, iscrowd=0),  # wholly outside
            box(17, 5, (0.25, 0.25, 0.5, 0.25), 1, area=0.125, iscrowd=0),  # below a pixel
        ],
    )  # picture 9 has no annotations


def coco(root: Path, train: int = 12, val: int = 4) -> None:
    """A set that lies as COCO's does, with a box in each picture."""
    for name, count, first in (("train2017", train, 1), ("val2017", val, 500)):
        numbers = range(first, first + count)
        images = [image(number, 24 + number % 5, 31 - number % 7) for number in numbers]
        boxes = [box(number, number, (2, 3, 9, 8), 90, area=72, iscrowd=0) for number in numbers]
        write(root / "coco", name, whole(images, boxes))
