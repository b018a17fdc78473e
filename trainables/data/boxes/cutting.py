"""Boxes cut out of pictures and brought to one size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trainables.data.boxes.crops import SPLITS, Box, Crops
from trainables.data.boxes.listing import Corners
from trainables.data.folder import as_bytes, as_counts, opened, rounded
from trainables.data.parts import Part
from trainables.data.published import UNLABELLED

Shape = Literal["warp", "pad"]
_PIECE = 256


def parts(
    found: Crops,
    pictures: Path,
    side: int,
    channels: int,
    bits: Literal[8, 16] = 8,
    *,
    context: float = 0.0,
    shape: Shape = "warp",
) -> list[Part]:
    """The three parts of the boxes of pictures below a folder; each picture is opened once.

    Whole pictures without boxes are a fourth, `unsup`.
    """

    def pieces(boxes: list[Box]) -> Iterator[tuple[Any, NDArray[np.int64]]]:
        images: list[Any] = []
        labels: list[int] = []
        for file, own in groupby(boxes, key=lambda box: box.file):
            picture = opened_picture(pictures / file, channels, bits)
            for box in own:
                images.append(cut(picture, box.corners, side, context=context, shape=shape))
                labels.append(found.classes.index(box.label))
            if len(images) >= _PIECE:
                yield np.stack(images), np.array(labels)
                images, labels = [], []
        if images:
            yield np.stack(images), np.array(labels)

    named = {name: [box for box in found.boxes if box.split == name] for name in SPLITS}
    named |= {UNLABELLED: list(found.empty)} if found.empty else {}
    return [
        Part(name, (channels, side, side), pieces(boxes), bits) for name, boxes in named.items()
    ]


def cut(
    picture: Image.Image, corners: Corners, side: int, *, context: float, shape: Shape
) -> NDArray[Any]:
    """A box [C, side, side] of a picture, bilinear with antialiasing.

    It is larger by `context` of its sides at each side, as far as the picture goes. `warp`: its
    sides become equal; `pad`: its longer one becomes `side`, and black stands beside it.
    """
    left, top, right, bottom = enlarged(corners, context)
    box = (
        left * picture.width,
        top * picture.height,
        right * picture.width,
        bottom * picture.height,
    )
    width, height = box[2] - box[0], box[3] - box[1]
    scale = side / max(width, height)
    size = (side, side)
    if shape == "pad":
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = picture.resize(size, Image.Resampling.BILINEAR, box=box)
    if size != (side, side):
        whole = Image.new(picture.mode, (side, side))
        whole.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
        image = whole
    pixels = rounded(image) if image.mode == "F" else np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def enlarged(corners: Corners, context: float) -> Corners:
    """A box with `context` of its sides more at each side, as far as its picture goes."""
    left, top, right, bottom = corners
    wide, high = (right - left) * context, (bottom - top) * context
    return max(left - wide, 0), max(top - high, 0), min(right + wide, 1), min(bottom + high, 1)


def opened_picture(path: Path, channels: int, bits: int) -> Image.Image:
    """A picture of bytes, or of counts in floats."""
    with opened(path) as found:
        turned = ImageOps.exif_transpose(found)
        image = as_bytes(turned, channels) if bits == 8 else as_counts(turned)
        image.load()
    return image
