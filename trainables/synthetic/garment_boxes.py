"""Garments of Fashion-MNIST on canvases, from a few pixels to most of it, as a detection set.

O objects, H × W pixels of a canvas.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.names import FASHION_CLASSES
from trainables.synthetic import garments
from trainables.synthetic.coco import CocoWriter
from trainables.synthetic.draws import draws
from trainables.synthetic.textures import hues

SIZE = 128
"""Pixels of the longest side that a canvas has, unless another is asked for."""
Scene = dict[str, Any]

_SIDES = (0.08, 0.8)  # of a garment's square, of the canvas's shortest side: areas differ 100 ×
_GREYS = (0.0, 0.3)  # of the canvas
_TRIES = 100


def scene(
    seed: int,
    index: int,
    *,
    image_size: int,
    files: tuple[Path, ...],
    least: int = 1,
    most: int = 6,
    shortest: float = 0.75,
    tinted: bool = False,
) -> Scene:
    """Scene `index` of a seed: `image` [H, W, 3], `masks` [O, H, W], `classes` [O] from 1, `split`.

    H and W are uniform between `shortest` and 1 times `image_size`, so that pictures of a batch
    differ in size; O is drawn from `least` … `most`. The logarithm of a garment's side is uniform
    between 0.08 and 0.8 of the shorter side, so that small, medium and large ones are about as
    frequent once the bounds of areas are set at (image_size / 8)² and (image_size / 3)². The
    smallest lie in front; of each at least `garments.MIN_VISIBLE` is seen, and masks are of what is
    seen. Garments are mirrored half of the time, and on a dark grey; `tinted` ones have a colour
    each. Scenes of a split take garments that no other split has: the test those of the test.

    Args:
        files: Those of Fashion-MNIST, in the order of `trainables.data.catalog`.

    Raises:
        ValueError: a number that a scene cannot have.
    """
    if image_size < 32:
        raise ValueError(f"image_size must be at least 32 for garments_boxes, got {image_size}")
    if not 1 <= least <= most:
        raise ValueError(f"least and most must be 1 ≤ least ≤ most, got {least}, {most}")
    if not 0.5 <= shortest <= 1:
        raise ValueError(f"shortest must be in 0.5…1, got {shortest}")
    random = draws("garments_boxes", seed, index)
    height, width = np.rint(image_size * random.uniform(shortest, 1, size=2)).astype(int).tolist()
    pixels, classes = garments.pictures(files)[garments.split(index)]
    count = int(random.integers(least, most + 1))
    chosen = random.choice(len(pixels), size=count, replace=False)
    colors = (
        hues(random, count, saturation=(0.4, 1.0), value=(1.0, 1.0))
        if tinted
        else np.ones((count, 3))
    )
    image = np.full((height, width, 3), random.uniform(*_GREYS))
    owner, layers = _placed(random, pixels[chosen], height, width)
    for number, (layer, color) in enumerate(zip(layers, colors, strict=True), 1):
        image[owner == number] = layer[owner == number, None] * color
    return {
        "image": np.rint(image * 255).astype(np.uint8),
        "masks": owner == np.arange(1, 1 + count)[:, None, None],
        "classes": 1 + classes[chosen].astype(np.int64),
        "split": garments.split(index),
    }


def write(folder: Path, scenes: Iterable[Scene], count: int) -> None:
    """Writes `annotations/instances_<split>.json` and the pictures of each split."""
    writer = CocoWriter(folder, FASHION_CLASSES, description="Garments of Fashion-MNIST")
    for made in scenes:
        writer.add(made["split"], made["image"], made["masks"], made["classes"].tolist())
    writer.finish()


def _placed(
    random: np.random.Generator, pixels: NDArray[np.uint8], height: int, width: int
) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """Which garment one sees [H, W], from 1, and each in a picture of its own [H, W], 0…1.

    All are placed anew until enough is seen of each, and shrunk a little after many tries.
    """
    shorter, tries = min(height, width), 0
    low, high = (math.log(share * shorter) for share in _SIDES)
    while True:
        logs = random.uniform(low, high, size=len(pixels)) - 0.1 * (tries // _TRIES)
        sides = np.maximum(np.rint(np.exp(logs)), 3).astype(int)
        owner = np.zeros((height, width), np.int64)
        areas = np.zeros(len(pixels), np.int64)
        layers = [np.zeros((height, width)) for _ in pixels]
        for number in np.argsort(-sides, kind="stable").tolist():  # the smallest in front
            side = int(sides[number])
            top, left = (int(random.integers(0, full - side + 1)) for full in (height, width))
            picture = pixels[number][:, ::-1] if random.random() < 0.5 else pixels[number]
            grey, inside = garments.resized(picture, side)
            layers[number][top : top + side, left : left + side] = grey
            owner[top : top + side, left : left + side][inside] = number + 1
            areas[number] = inside.sum()
        seen = np.bincount(owner.ravel(), minlength=1 + len(pixels))[1:]
        if (seen >= np.maximum(1, garments.MIN_VISIBLE * areas)).all():
            return owner, layers
        tries += 1
