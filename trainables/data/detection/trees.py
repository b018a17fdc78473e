"""Tiles of airborne photographs with the crowns of trees (Weinstein et al. 2019), in splits.

S pixels of a tile's side.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.data.detection.facts import ANNOTATIONS

CATEGORY = "tree"
"""Of all crowns, those that are annotated as dead or alive too; its number is 1."""
SPLITS = ("train", "val", "test")

_APART = 128  # pixels between training and validation: more than any crown is long
_VAL_SHARE = 0.22  # of the rows of tiles


class Photograph(NamedTuple):
    """A photograph `name`.png with the boxes of `name`.xml: for the test, or for the others."""

    name: str
    is_test: bool


PHOTOGRAPHS = (
    Photograph("2019_YELL_2_528000_4978000_image_crop2", False),
    Photograph("2019_YELL_2_541000_4977000_image_crop", False),
    Photograph("OSBS_029", True),
    Photograph("SOAP_061", True),
)
"""Two of one place, and one each of two others."""


class Tile(NamedTuple):
    """The split of a tile, and where it begins in its photograph, in pixels."""

    split: str
    top: int
    left: int


def cut(
    origin: Path, folder: Path, size: int, photographs: Sequence[Photograph] = PHOTOGRAPHS
) -> None:
    """Cuts photographs into tiles of S = `size` pixels, and writes them in the form of COCO.

    A tile has the crowns whose centre is in it, their boxes cut at its edges; tiles without any
    stay. Of photographs that are not for the test the upper rows of tiles are for training and the
    lower ones for validation, with at least 128 pixels between that are in neither.

    Raises:
        ValueError: tiles are too small or too large, or a file is not what is expected.
    """
    if size < 32:
        raise ValueError(f"image_size must be at least 32 for trees, got {size}")
    contents: dict[str, dict[str, Any]] = {split: _empty() for split in SPLITS}
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
    for photograph in photographs:
        pixels, boxes = _opened(origin, photograph.name)
        for tile in tiles(pixels.shape[:2], size, is_test=photograph.is_test):
            there = contents[tile.split]
            number = len(there["images"]) + 1
            name = f"{photograph.name}-{tile.top}-{tile.left}.png"
            image = pixels[tile.top : tile.top + size, tile.left : tile.left + size]
            Image.fromarray(image).save(folder / tile.split / name, "PNG", compress_level=4)
            about = {"id": number, "file_name": name, "height": size, "width": size}
            there["images"].append(about)
            there["annotations"] += _annotated(
                boxes_of(boxes, tile, size), number, len(there["annotations"])
            )
    for split, whole in contents.items():
        path = folder / ANNOTATIONS / f"instances_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(whole))


def tiles(shape: tuple[int, ...], size: int, *, is_test: bool) -> list[Tile]:
    """The tiles of a photograph of so many rows and columns; what is left at its end is in none.

    Raises:
        ValueError: it is too small for tiles of that size.
    """
    rows, columns = shape[0] // size, shape[1] // size
    apart = 0 if is_test else math.ceil(_APART / size)
    held_out = 0 if is_test else max(1, round(_VAL_SHARE * (rows - apart)))
    first = rows - apart - held_out
    if columns < 1 or first < 1:
        raise ValueError(
            f"image_size must leave tiles of each split in a photograph of {shape[0]} × {shape[1]} "
            f"pixels, got {size}"
        )
    chosen = [("test" if is_test else "train", range(first)), ("val", range(first + apart, rows))]
    return [
        Tile(split, row * size, column * size)
        for split, some in chosen
        for row in some
        for column in range(columns)
    ]


def boxes_of(boxes: NDArray[np.float64], tile: Tile, size: int) -> NDArray[np.float64]:
    """Of boxes [A, 4], left, top, right and bottom, those whose centre is in a tile, cut, in it."""
    moved = boxes - np.array([tile.left, tile.top, tile.left, tile.top])
    centres = (moved[:, :2] + moved[:, 2:]) / 2
    return moved[((centres >= 0) & (centres < size)).all(1)].clip(0, size)


def _annotated(boxes: NDArray[np.float64], image: int, before: int) -> Iterator[dict[str, Any]]:
    for number, (left, top, right, bottom) in enumerate(boxes.tolist(), before + 1):
        width, height = right - left, bottom - top
        yield {
            "id": number,
            "image_id": image,
            "category_id": 1,
            "bbox": [left, top, width, height],
            "area": width * height,
            "iscrowd": 0,
        }


def _empty() -> dict[str, Any]:
    categories = [{"id": 1, "name": CATEGORY, "supercategory": "plant"}]
    return {"images": [], "annotations": [], "categories": categories}


def _opened(origin: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Pixels [H, W, 3] and boxes [A, 4], left, top, right and bottom, as they are annotated."""
    path = origin / f"{name}.xml"
    try:
        with Image.open(origin / f"{name}.png") as opened:
            pixels = np.asarray(opened.convert("RGB"))
        found = [_box(each) for each in ElementTree.parse(path).iter("bndbox")]
        boxes = np.array(found, np.float64).reshape(-1, 4)
    except (OSError, ElementTree.ParseError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} must be a photograph's boxes, and cannot be read: {error}"
        ) from None
    if not len(boxes) or not (boxes[:, 2:] > boxes[:, :2]).all():
        raise ValueError(f"{path} must have boxes with a width and a height each")
    return pixels, boxes


def _box(element: ElementTree.Element) -> list[float]:
    names = ("xmin", "ymin", "xmax", "ymax")
    return [float(element.findtext(name) or "none") for name in names]
