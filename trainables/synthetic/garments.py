"""Scenes of real garments of Fashion-MNIST that hide one another, with exact masks and boxes.

O objects, E entities.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.data.idx import read_idx
from trainables.data.names import FASHION_CLASSES
from trainables.synthetic import records
from trainables.synthetic.coco import CocoWriter
from trainables.synthetic.draws import draws
from trainables.synthetic.rays import Floats
from trainables.synthetic.records import Scene
from trainables.synthetic.splits import VALIDATION, split_of
from trainables.synthetic.textures import hues

SIZE = 64
"""Pixels of an image's side unless another is asked for."""
SPLITS = ("train", "val", "test")
MOST = 6
"""Garments that a scene has at most."""
MIN_VISIBLE = 0.3
"""Share of its pixels that a garment shows at least."""

_INK = 16  # of 255: what is less is noise around the photographs
_SIDES = (0.35, 0.55)  # of a garment's square, of the image's side
_GREYS = (0.0, 0.3)  # of the background
_HELD_OUT = 6  # one in so many training pictures is for validation
Pictures = NDArray[np.uint8]


def scene(
    seed: int,
    index: int,
    *,
    image_size: int,
    files: tuple[Path, ...],
    least: int = 2,
    most: int = 5,
    tinted: bool = False,
) -> Scene:
    """Scene `index` of a seed: image [S, S, 3] and masks [E, S, S, 1] 0/255, E = 1 + `MOST`.

    O is drawn from `least` … `most`. Garments are enlarged or reduced without being turned, half
    of them mirrored, and lie wholly within the image; a later one hides earlier ones, but for at
    least `MIN_VISIBLE` of their pixels. A garment's pixels are its silhouette: wherever there is
    something, and all that this surrounds. They are grey on a dark grey, `tinted` ones of a colour
    each. Scenes of a split take garments that no other split has: the test those of the test.

    Entity 0 is the background. `garment` [E] is its class counted from 1, `box` [E, 4] centre,
    width and height in 0…1 of what one sees of it; both are 0 for the background and for missing
    ones. `visibility` is 1 where the mask is not empty.

    Args:
        files: Those of Fashion-MNIST, in the order of `trainables.data.catalog`.

    Raises:
        ValueError: a number that a scene cannot have.
    """
    if image_size < 28:
        raise ValueError(f"image_size must be at least 28 for garments, got {image_size}")
    if not 1 <= least <= most <= MOST:
        raise ValueError(f"least and most must be 1 ≤ least ≤ most ≤ {MOST}, got {least}, {most}")
    random = draws("garments", seed, index)
    pixels, classes = pictures(files)[split(index)]
    count = int(random.integers(least, most + 1))
    chosen = random.choice(len(pixels), size=count, replace=False)
    layers, owner = _placed(random, pixels[chosen], image_size)
    white = np.ones((count, 3))
    colors = hues(random, count, saturation=(0.4, 1.0), value=(1.0, 1.0)) if tinted else white
    image = np.full((image_size, image_size, 3), random.uniform(*_GREYS))
    for number, (layer, color) in enumerate(zip(layers, colors, strict=True), 1):
        image[owner == number] = layer[owner == number, None] * color
    mask = owner == np.arange(1 + MOST)[:, None, None]
    garment = np.zeros(1 + MOST, np.uint8)
    garment[1 : 1 + count] = 1 + classes[chosen]
    return {
        "image": np.rint(image * 255).astype(np.uint8),
        "mask": mask[..., None].astype(np.uint8) * np.uint8(255),
        "garment": garment,
        "box": boxes(mask[1:]),
        "visibility": mask.any((1, 2)).astype(np.float32),
        "metadata/split": [split(index).encode()],
    }


def boxes(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A row of zeros for the background, then for masks [O, S, S] their boxes, [1 + O, 4].

    Centre (column, row), width and height in 0…1; zeros for an empty mask.
    """
    found = np.zeros((1 + len(masks), 4), np.float32)
    for box, mask in zip(found[1:], masks, strict=True):
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            (top, bottom), (left, right) = (rows[[0, -1]] + [0, 1]), (columns[[0, -1]] + [0, 1])
            box[:] = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    return found / np.float32(masks.shape[-1])


def write(folder: Path, scenes: Iterable[Scene], count: int, *, coco: bool = False) -> None:
    """Writes `garments-<split>.tfrecords`; with `coco` the same scenes below `coco/`, too."""
    also = CocoWriter(folder / "coco", FASHION_CLASSES, description="Scenes of Fashion-MNIST")
    with ExitStack() as files:
        add = {
            split: files.enter_context(records.opened(folder / f"garments-{split}.tfrecords"))
            for split in SPLITS
        }
        for made in scenes:
            name = made["metadata/split"][0].decode()
            add[name](made)
            if coco:
                image, mask, classes = map(np.asarray, map(made.get, ("image", "mask", "garment")))
                there = np.flatnonzero(classes)
                also.add(name, image, mask[there, ..., 0] > 0, classes[there].tolist())
    if coco:
        also.finish()


def split(index: int) -> str:
    """The split of a scene by its number: train, val or test."""
    found = split_of(index)
    return "val" if found == VALIDATION else found


@functools.lru_cache(maxsize=1)
def pictures(files: tuple[Path, ...]) -> dict[str, tuple[Pictures, Pictures]]:
    """By split the garments [N, 28, 28], 0…255, and their classes [N]."""
    train, train_classes = read_idx(files[0], 3), read_idx(files[1], 1)
    start = len(train) - len(train) // _HELD_OUT
    return {
        "train": (train[:start], train_classes[:start]),
        "val": (train[start:], train_classes[start:]),
        "test": (read_idx(files[2], 3), read_idx(files[3], 1)),
    }


def _placed(
    random: np.random.Generator, pixels: Pictures, side: int
) -> tuple[list[Floats], NDArray[np.int64]]:
    """Each garment in a picture of its own [S, S], 0…1, and which of them one sees [S, S] from 1.

    All are placed anew until enough is seen of each.
    """
    while True:
        layers: list[Floats] = []
        owner, sizes = np.zeros((side, side), np.int64), [0]
        for number, garment in enumerate(pixels, 1):
            size = round(side * random.uniform(*_SIDES))
            top, left = random.integers(0, side - size + 1, size=2)
            picture = garment[:, ::-1] if random.random() < 0.5 else garment
            grey, inside = resized(picture, size)
            layer = np.zeros((side, side))
            layer[top : top + size, left : left + size] = grey
            layers.append(layer)
            owner[top : top + size, left : left + size][inside] = number
            sizes.append(int(inside.sum()))
        shown = np.bincount(owner.ravel(), minlength=len(sizes))
        if (shown[1:] >= np.maximum(1, MIN_VISIBLE * np.array(sizes[1:]))).all():
            return layers, owner


def resized(picture: Pictures, size: int) -> tuple[Floats, NDArray[np.bool_]]:
    """A garment [28, 28] of another size, 0…1, and its silhouette."""
    from scipy.ndimage import binary_fill_holes

    filled = binary_fill_holes(picture >= _INK)
    silhouette = Image.fromarray(np.asarray(filled, np.uint8) * np.uint8(255))
    grey, inside = (
        np.asarray(one.resize((size, size), Image.Resampling.BILINEAR))
        for one in (Image.fromarray(np.ascontiguousarray(picture)), silhouette)
    )
    return grey / 255, inside >= 128
