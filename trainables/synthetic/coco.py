"""Scenes in the form of COCO: pictures, and a JSON of their instances for each split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic.pngs import png

Annotation = dict[str, Any]


class CocoWriter:
    """Writes `annotations/instances_<split>.json` and `<split>/<number>.png` into a folder.

    `categories` are by their numbers, or have 1, 2 … in their order. The JSON is written by
    `finish`.
    """

    def __init__(
        self, folder: Path, categories: Sequence[str] | Mapping[int, str], *, description: str
    ) -> None:
        self._folder = folder
        named = categories if isinstance(categories, Mapping) else dict(enumerate(categories, 1))
        self._shared = {
            "info": {"description": description, "version": "1.0"},
            "licenses": [],
            "categories": [
                {"id": number, "name": name, "supercategory": "object"}
                for number, name in named.items()
            ],
        }
        self._images: dict[str, list[dict[str, Any]]] = {}
        self._annotations: dict[str, list[Annotation]] = {}

    def add(
        self,
        split: str,
        image: NDArray[np.uint8],
        masks: NDArray[np.bool_],
        categories: Sequence[int],
    ) -> None:
        """Adds a picture [H, W, 3] with masks [O, H, W], none of them empty, and their categories.

        Pictures and instances are numbered from 1, each split by itself.
        """
        self.add_annotated(
            split,
            image,
            [
                {"category_id": category, **instance(mask)}
                for mask, category in zip(masks, categories, strict=True)
            ],
        )

    def add_annotated(
        self, split: str, image: NDArray[np.uint8], annotations: Sequence[Annotation]
    ) -> None:
        """Adds a picture, [H, W, 3] or [H, W], with annotations as COCO has them, unnumbered."""
        images = self._images.setdefault(split, [])
        every = self._annotations.setdefault(split, [])
        number, name = len(images) + 1, f"{len(images) + 1:012d}.png"
        (self._folder / split).mkdir(parents=True, exist_ok=True)
        (self._folder / split / name).write_bytes(png(image))
        height, width = image.shape[:2]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for one in annotations:
            every.append({"id": len(every) + 1, "image_id": number, **one})

    def finish(self) -> None:
        """Writes the JSON of each split to which something was added."""
        folder = self._folder / "annotations"
        folder.mkdir(parents=True, exist_ok=True)
        for split, images in self._images.items():
            whole = {**self._shared, "images": images, "annotations": self._annotations[split]}
            (folder / f"instances_{split}.json").write_text(json.dumps(whole))


def instance(mask: NDArray[np.bool_]) -> Annotation:
    """What COCO says of a mask [H, W] that is not empty.

    `segmentation` are its run lengths, not compressed; `bbox` left, top, width and height in
    pixels, `area` how many pixels it has.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "area": int(mask.sum()),
        "iscrowd": 0,
    }


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """How many pixels in a row are out of a mask [H, W], then in it, out of it …, by columns."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()
