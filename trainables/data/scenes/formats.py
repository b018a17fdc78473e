"""The records of the multi-object sets (deepmind/multi_object_datasets), made pixels and labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes.examples import Values
from trainables.data.scenes.frames import Frame

Fields = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Piece:
    """Some scenes in a row: images [N, H, W, C], labels [N, H, W] or None, fields [N, …].

    A label is the number of the object at a pixel, from 1, and 0 for the background. The field
    `counts` has the number of objects of each scene.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None
    fields: Fields

    def __len__(self) -> int:
        return len(self.images)

    def part(self, start: int, stop: int) -> Piece:
        """The scenes between two positions of the piece."""
        labels = None if self.labels is None else self.labels[start:stop]
        fields = {name: values[start:stop] for name, values in self.fields.items()}
        return Piece(self.images[start:stop], labels, fields)


@dataclass(frozen=True)
class Schema:
    """What a record holds: E entities, of which the first `num_background` are no objects.

    `image` is stored H × W × `channels`, with W = `aspect` · H and H as long as the feature says;
    `mask` E × H × W, or H × W × E if `mask_is_last`; both as single bytes. `numbers` are float
    features [E, width], [E] where the width is 0; those in `whole` hold codes. `codes` are
    single-byte features [E]. Without a `visibility` it is read off the masks.
    """

    entities: int
    channels: int = 3
    aspect: tuple[int, int] = (1, 1)
    num_background: int = 1
    mask_is_last: bool = False
    numbers: dict[str, int] = field(default_factory=dict)
    whole: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    def size(self, length: int) -> tuple[int, int]:
        """Height and width of a picture with so many values."""
        tall, wide = self.aspect
        height = round(math.sqrt(length / self.channels * tall / wide))
        for rows in (height, height - 1, height + 1):
            columns, rest = divmod(length, max(rows, 1) * self.channels)
            if not rest and rows > 0 and abs(columns * tall - rows * wide) < tall:
                return rows, columns  # the width is a whole number next to the aspect's
        raise ValueError(
            f"feature 'image' must have {self.channels} values for each pixel of a picture whose "
            f"sides are as {tall} to {wide}, got {length} values"
        )


_CLEVR = Schema(
    entities=11,
    aspect=(3, 4),
    numbers={"x": 0, "y": 0, "z": 0, "rotation": 0, "pixel_coords": 3, "visibility": 0},
    codes=("size", "material", "shape", "color"),
)
_TETROMINOES = Schema(
    entities=4,
    numbers={"x": 0, "y": 0, "shape": 0, "color": 3, "visibility": 0},
    whole=("shape",),
)


def _sprites(entities: int, channels: int = 3) -> Schema:
    placed = {"x": 0, "y": 0, "scale": 0, "orientation": 0}
    return Schema(
        entities=entities,
        channels=channels,
        mask_is_last=True,
        numbers=placed | {"shape": 0, "color": channels, "visibility": 0},
        whole=("shape",),
    )


def _room(entities: int) -> Schema:
    return Schema(entities=entities, num_background=4)


SCHEMAS = {
    "clevr_with_masks": _CLEVR,
    "tetrominoes": _TETROMINOES,
    "multi_dsprites_binarized": _sprites(4, 1),
    "multi_dsprites_colored_on_grayscale": _sprites(6),
    "multi_dsprites_colored_on_colored": _sprites(5),
    "objects_room_train": _room(7),
    "objects_room_six_objects": _room(10),
    "objects_room_empty_room": _room(4),
    "objects_room_identical_color": _room(10),
    "garments": Schema(entities=7, numbers={"box": 4, "visibility": 0}, codes=("garment",)),
}
"""By name of the set."""


def scenes(schema: Schema, features: Mapping[str, Values], frame: Frame) -> Piece:
    """Records with features [N, n] as a piece of N scenes.

    Raises:
        ValueError: a predicate without subject: a feature is missing or has another length, or a
            pixel belongs to no entity, or to several.
    """
    image = _values(features, "image", np.uint8)
    number = len(image)
    height, width = schema.size(image.shape[1])
    entities = schema.entities
    mask = _values(features, "mask", np.uint8, entities * height * width)
    if schema.mask_is_last:
        masks = np.moveaxis(mask.reshape(number, height, width, entities), 3, 1)
    else:
        masks = mask.reshape(number, entities, height, width)
    fields = _fields(schema, features)
    if "visibility" not in fields:
        fields["visibility"] = np.asarray(masks.any(axis=(2, 3)))
    objects = fields["visibility"][:, schema.num_background :]
    fields["counts"] = objects.sum(1, dtype=np.uint8)
    labels = _labels(masks, schema.num_background, frame)
    pictures = frame.pictures(image.reshape(number, height, width, schema.channels))
    return Piece(pictures, labels, fields)


def _fields(schema: Schema, features: Mapping[str, Values]) -> Fields:
    found: Fields = {}
    count = schema.entities
    for name, width in schema.numbers.items():
        values = _values(features, name, np.float32, count * max(width, 1))
        found[name] = values.reshape(-1, count, width) if width else values
    for name in schema.whole:
        found[name] = found[name].astype(np.uint8)
    for name in schema.codes:
        found[name] = np.ascontiguousarray(_values(features, name, np.uint8, count))
    if "visibility" in found:
        found["visibility"] = found["visibility"] != 0
    return found


def _values(
    features: Mapping[str, Values], name: str, kind: type, length: int | None = None
) -> NDArray[Any]:
    if name not in features:
        raise ValueError(f"has no feature {name!r}; there are {', '.join(sorted(features))}")
    values = features[name]
    if isinstance(values, list) or values.dtype != kind:
        stored = "single bytes" if kind is np.uint8 else "floats"
        raise ValueError(f"has a feature {name!r} that must be a list of {stored}, and is not")
    if length is not None and values.shape[1] != length:
        raise ValueError(
            f"has a feature {name!r} that must be of {length} values, got {values.shape[1]}"
        )
    return values


def _labels(masks: NDArray[np.uint8], num_background: int, frame: Frame) -> NDArray[np.uint8]:
    """Number of the object at each kept pixel, of masks [N, E, H, W]."""
    labels: Any = np.uint8(0)
    holders: Any = np.uint8(0)
    kept = frame.nearest(masks, 2)
    for entity in range(masks.shape[1]):
        here = (kept[:, entity] != 0).view(np.uint8)
        holders = holders + here
        labels = labels + here * np.uint8(max(0, entity + 1 - num_background))
    if (holders != 1).any():
        number, row, column = np.argwhere(holders != 1)[0]
        raise ValueError(
            "has masks of which exactly one must hold each pixel, and "
            f"{holders[number, row, column]} hold that in row {row}, column {column} of those kept"
        )
    return labels
