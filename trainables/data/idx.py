"""The IDX files of MNIST and its kin, packed with gzip or not.

A file is: two zero bytes, the type of its numbers (8: unsigned bytes), the number of dimensions,
each dimension as four bytes, the numbers (http://yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.data.parts import Bytes, Part

_UNSIGNED_BYTES = 8
_HEADER = 4


def read_idx(path: Path, dimensions: int) -> Bytes:
    """The array of a file of unsigned bytes.

    Raises:
        ValueError: the file is damaged, or not of so many dimensions; it is named.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    start = _HEADER + 4 * dimensions
    if raw[:_HEADER] != bytes([0, 0, _UNSIGNED_BYTES, dimensions]) or len(raw) < start:
        raise ValueError(
            f"{path} must be an IDX file of unsigned bytes in {dimensions} dimensions, and begins "
            f"with {raw[:_HEADER].hex(' ')}"
        )
    shape = np.frombuffer(raw, ">u4", dimensions, _HEADER).astype(int)
    if len(raw) - start != shape.prod():
        expected = " × ".join(map(str, shape))
        raise ValueError(f"{path} must hold {expected} bytes, and holds {len(raw) - start}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def parts(files: list[Path]) -> list[Part]:
    """The parts `train` and `test`, of the images and labels of each, in the catalogue's order."""
    train_images, train_labels, test_images, test_labels = files
    return [_part("train", train_images, train_labels), _part("test", test_images, test_labels)]


def _part(name: str, images: Path, labels: Path) -> Part:
    numbers = read_idx(labels, 1)
    pixels = read_idx(images, 3)
    if len(numbers) != len(pixels):
        raise ValueError(
            f"{labels} must hold {len(pixels)} labels, as {images} has images, and "
            f"holds {len(numbers)}"
        )

    def pieces() -> Iterator[tuple[Bytes, NDArray[np.uint8]]]:
        yield pixels[:, None], numbers

    return Part(name, (1, *pixels.shape[1:]), pieces())
