"""Record files of random scenes, written byte by byte, without TensorFlow."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.scenes.checksums import crc32c, masked
from trainables.data.scenes.formats import SCHEMAS

Features = Mapping[str, Any]


def varint(value: int) -> bytes:
    """A number as the wire has it, seven bits a byte."""
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def feature(values: Any, *, packed: bool = True) -> bytes:
    """A Feature: uint8 as single-byte strings, floats and integers as numbers, a list as it is."""
    if isinstance(values, list):
        return field(1, b"".join(field(1, value) for value in values))
    if values.dtype == np.uint8:
        cells = np.empty((values.size, 3), np.uint8)
        cells[:] = 10, 1, 0
        cells[:, 2] = values.ravel()
        return field(1, cells.tobytes())
    if values.dtype.kind == "f":
        each = [struct.pack("<f", value) for value in values.ravel()]
        tag, number = b"\x0d", 2
    else:
        each = [varint(int(value) % 2**64) for value in values.ravel()]
        tag, number = b"\x08", 3
    content = field(1, b"".join(each)) if packed else b"".join(tag + one for one in each)
    return field(number, content)


def example(features: Features, *, packed: bool = True) -> bytes:
    entries = (
        field(1, field(1, name.encode()) + field(2, feature(values, packed=packed)))
        for name, values in features.items()
    )
    return field(1, b"".join(entries))


def record(data: bytes) -> bytes:
    """A record with its length and the two checksums."""
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", masked(int(crc32c(np.frombuffer(data, np.uint8)[None])[0])))


def write(path: Path, scenes: Iterable[Features], *, packed: bool = True) -> Path:
    """A TFRecord file, gzip as a whole or as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(record(example(scene)) for scene in scenes)
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    return path


def scene(name: str, seed: int = 0, height: int = 12) -> dict[str, Any]:
    """A record of a set with random pixels; each belongs to one of the visible entities."""
    schema, draw = SCHEMAS[name], np.random.default_rng(seed)
    tall, wide = schema.aspect
    width, count = round(height * wide / tall), schema.entities
    least = min(count, schema.num_background + 1)
    visible = int(draw.integers(least, count + 1))
    owner = draw.integers(0, visible, (height, width))
    owner.ravel()[:visible] = range(visible)
    masks = 255 * (owner == np.arange(count)[:, None, None]).astype(np.uint8)
    found: dict[str, Any] = {
        "image": draw.integers(0, 256, (height, width, schema.channels), np.uint8),
        "mask": np.moveaxis(masks, 0, 2) if schema.mask_is_last else masks,
    }
    for number, columns in schema.numbers.items():
        shape = (count, columns) if columns else (count,)
        found[number] = draw.random(shape, np.float32)
    for number in schema.whole:
        found[number] = draw.integers(0, 20, count).astype(np.float32)
    for code in schema.codes:
        found[code] = draw.integers(0, 4, count, np.uint8)
    if "visibility" in found:
        found["visibility"] = (np.arange(count) < visible).astype(np.float32)
    return found


def tetrominoes(root: Path, count: int, height: int = 12, *, packed: bool = True) -> Path:
    """A set of random scenes under the name of the published file; returns that."""
    scenes = (scene("tetrominoes", seed, height) for seed in range(count))
    return write(root / "tetrominoes/tetrominoes_train.tfrecords", scenes, packed=packed)
