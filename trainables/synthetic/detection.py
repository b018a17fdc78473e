"""A few pictures of shapes on textures in which all is that detection data goes wrong with.

H × W pixels of a picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic.coco import Annotation, CocoWriter, instance
from trainables.synthetic.draws import draws
from trainables.synthetic.rays import Floats
from trainables.synthetic.textures import hues, waves

SIZE = 160
"""Pixels of the longest side of a picture unless another is asked for."""
CATEGORIES = {1: "disc", 2: "square", 44: "cross", 90: "triangle"}
"""By number; crosses are in the validation split alone."""
FOREIGN = "foreign.json"
"""The file with the boxes of the test split under names that are not those of the categories."""
FOREIGN_NAMES = {1: "ball", 2: "building", 44: "hat", 90: "bike"}

Scene = dict[str, Any]


class Shape(NamedTuple):
    """A shape: its category, and left, top, width and height in pixels of a picture of 160."""

    category: int
    left: float
    top: float
    width: float
    height: float


class Case(NamedTuple):
    """A picture by height and width of 160, its shapes, and what is special of it.

    `crowd` is a box of many shapes that are annotated as one; `bare` annotations have neither area
    nor `iscrowd`; `besides` are boxes that are annotated and not drawn.
    """

    split: str
    height: int
    width: int
    shapes: tuple[Shape, ...] = ()
    crowd: Shape | None = None
    is_grey: bool = False
    is_bare: bool = False
    besides: tuple[Shape, ...] = ()


_ROW = tuple(Shape((1, 90)[place % 2], 4 + 17 * place, 50, 14, 14 + place) for place in range(7))
CASES = (
    # Two of one class, portrait.
    Case("train", 160, 112, (Shape(1, 10, 20, 40, 40), Shape(1, 60, 90, 30, 34))),
    # Neither area nor iscrowd is said; landscape.
    Case("train", 101, 150, (Shape(90, 30, 20, 60, 50), Shape(1, 110, 60, 25, 25)), is_bare=True),
    Case("train", 96, 128),  # nothing is annotated
    Case("train", 117, 160, crowd=Shape(1, 20, 20, 110, 70)),  # a crowd alone
    Case("train", 160, 143, (Shape(90, 5, 5, 45, 45),), crowd=Shape(1, 40, 70, 90, 80)),
    # A box without width, and a grey picture.
    Case(
        "train",
        130,
        97,
        (Shape(90, 20, 30, 50, 60),),
        is_grey=True,
        besides=(Shape(1, 40, 40, 0, 20),),
    ),
    # A box that leaves the picture at the left and top, one above 96² pixels.
    Case("train", 150, 160, (Shape(1, 40, 38, 112, 108), Shape(90, -12, -9, 50, 44))),
    Case("train", 128, 128, _ROW),  # more objects than five queries
    # A class that training does not have, and a grey picture.
    Case("val", 110, 157, (Shape(44, 20, 20, 60, 60), Shape(90, 90, 30, 50, 50)), is_grey=True),
    # Below a cell of 32 pixels, and below a pixel.
    Case(
        "val", 96, 96, (Shape(1, 20, 20, 10, 10),), besides=(Shape(90, 60.25, 50.25, 0.5, 0.375),)
    ),
    Case("val", 149, 120),  # nothing is annotated
    Case("val", 160, 99, (Shape(2, 10, 20, 70, 50),), crowd=Shape(90, 5, 90, 90, 60)),
    Case("test", 120, 160, (Shape(1, 20, 20, 60, 60), Shape(90, 100, 60, 40, 40))),
    Case("test", 135, 135, (Shape(2, 10, 10, 30, 40),), crowd=Shape(1, 60, 50, 70, 70)),
    Case("test", 99, 140, (Shape(90, 15, 10, 100, 80), Shape(1, 120, 70, 16, 16))),
    Case("test", 160, 128, (Shape(1, 0, 0, 50, 50), Shape(2, 60, 100, 64, 58))),
)
"""What there is, in the order of the pictures; after the last it begins anew with other draws."""


def scene(seed: int, index: int, *, image_size: int) -> Scene:
    """Picture `index` of a seed, case `index` modulo 16: `image`, `annotations`, `split`.

    `image` is [H, W, 3], or [H, W] if it is grey; the longest side of any is `image_size`, and
    boxes shrink and grow with it. Where shapes lie is told by the case; colours, the texture behind
    them, and the shapes of a crowd are drawn. Annotations are as COCO has them, unnumbered; their
    boxes are those of the shapes, also where these leave the picture.

    Raises:
        ValueError: a size below 32.
    """
    if image_size < 32:
        raise ValueError(f"image_size must be at least 32 for tiny, got {image_size}")
    case, scale = CASES[index % len(CASES)], image_size / SIZE
    random = draws("tiny", seed, index)
    height, width = round(case.height * scale), round(case.width * scale)
    image = _texture(random, height, width)
    annotations: list[Annotation] = []
    if case.crowd is not None:
        box = _scaled(case.crowd, scale)
        annotations.append(_crowd(random, image, box))
    for shape in case.shapes:
        box = _scaled(shape, scale)
        mask = _mask(box, height, width)
        image[mask] = hues(random, 1, saturation=(0.7, 1.0), value=(0.8, 1.0))[0]
        fields = {} if case.is_bare else {"area": float(mask.sum()), "iscrowd": 0}
        annotations.append({"category_id": box.category, "bbox": [*box[1:]], **fields})
    for shape in case.besides:
        box = _scaled(shape, scale)
        area = box.width * box.height
        about = {"category_id": box.category, "bbox": [*box[1:]]}
        annotations.append({**about, "area": area, "iscrowd": 0})
    pixels = np.rint(image * 255).astype(np.uint8)
    if case.is_grey:
        pixels = np.rint(pixels.mean(-1)).astype(np.uint8)
    return {"image": pixels, "annotations": annotations, "split": case.split}


def write(folder: Path, scenes: Iterable[Scene], count: int) -> None:
    """Writes the pictures and a JSON for each split, and `foreign.json` with the test's boxes.

    The latter has them as UnRel does: for each picture `filename`, `im_id` and `objects`, each a
    `category` and a `box` of left, top, right and bottom; their names are `FOREIGN_NAMES`.
    """
    writer = CocoWriter(folder, CATEGORIES, description="Shapes on textures")
    foreign: list[dict[str, Any]] = []
    for made in scenes:
        writer.add_annotated(made["split"], made["image"], made["annotations"])
        if made["split"] == "test":
            foreign.append(_foreign(len(foreign) + 1, made["annotations"]))
    writer.finish()
    (folder / FOREIGN).write_text(json.dumps(foreign))


def _foreign(number: int, annotations: Sequence[Annotation]) -> dict[str, Any]:
    objects: list[dict[str, Any]] = []
    for one in annotations:
        left, top, width, height = one["bbox"]
        name = FOREIGN_NAMES[one["category_id"]]
        objects.append({"category": name, "box": [left, top, left + width, top + height]})
    return {"filename": f"{number:012d}.png", "im_id": number, "objects": objects}


def _scaled(shape: Shape, scale: float) -> Shape:
    return Shape(shape.category, *(scale * value for value in shape[1:]))


def _texture(random: np.random.Generator, height: int, width: int) -> Floats:
    """Clouds of two dark colours, [H, W, 3] in 0…1."""
    colors = hues(random, 2, saturation=(0.2, 0.6), value=(0.1, 0.5))
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([columns.ravel(), rows.ravel(), np.zeros(height * width)], 1)
    texture = waves(random, colors, longest=max(height, width) / 2)
    return texture(places.astype(np.float64)).reshape(height, width, 3)


def _crowd(random: np.random.Generator, image: Floats, box: Shape) -> Annotation:
    """Draws many small shapes within a box into a picture; what is annotated of them together."""
    height, width = image.shape[:2]
    whole = np.zeros((height, width), np.bool_)
    side = max(3.0, min(box.width, box.height) / 6)
    for _ in range(25):
        left = box.left + random.uniform(0, box.width - side)
        top = box.top + random.uniform(0, box.height - side)
        mask = _mask(Shape(box.category, left, top, side, side), height, width)
        image[mask] = hues(random, 1, saturation=(0.7, 1.0), value=(0.8, 1.0))[0]
        whole |= mask
    return {"category_id": box.category, **instance(whole), "iscrowd": 1}


def _mask(shape: Shape, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels [H, W] whose centres a shape covers, which touches all four sides of its box."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    x = (columns - shape.left) / shape.width * 2 - 1  # −1…1 within the box
    y = (rows - shape.top) / shape.height * 2 - 1
    inside = (abs(x) <= 1) & (abs(y) <= 1)
    if shape.category == 1:
        return x**2 + y**2 <= 1
    if shape.category == 44:
        return inside & ((abs(x) < 1 / 3) | (abs(y) < 1 / 3))
    if shape.category == 90:
        return inside & (abs(x) <= (y + 1) / 2)
    return inside
