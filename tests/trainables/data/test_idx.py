"""IDX files: what was written is read; damage is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets.mnist import read_image_file

from tests.trainables.data import files
from trainables.data.idx import parts, read_idx

NAMES = [
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_what_was_written_is_read(tmp_path: Path, packed: bool) -> None:
    files.write_mnist(tmp_path, packed=packed)
    ending = ".gz" if packed else ""
    train, test = parts([tmp_path / f"{name}{ending}" for name in NAMES])
    for part, (images, labels) in ((train, files.grey(120)), (test, files.grey(40, seed=1))):
        [(pixels, numbers)] = part.pieces
        assert np.array_equal(pixels[:, 0], images) and np.array_equal(numbers, labels)


def test_it_reads_what_torchvision_reads(tmp_path: Path) -> None:
    files.write_mnist(tmp_path, packed=False)
    path = tmp_path / "train-images-idx3-ubyte"
    assert np.array_equal(read_idx(path, 3), read_image_file(str(path)).numpy())


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "begins with"),
        (files.idx(np.zeros(4, np.uint8)), "in 3 dimensions, and begins with 00 00 08 01"),
        (files.idx(np.zeros((2, 3, 3), np.uint8))[:-1], "must hold 2 × 3 × 3 bytes, and holds 17"),
        (files.idx(np.zeros((2, 3, 3), np.uint8)) + b"x", "and holds 19"),
        (b"\0\0\x0d\x03" + bytes(12), "begins with 00 00 0d 03"),
    ],
    ids=["empty", "dimensions", "short", "long", "floats"],
)
def test_damage_is_named(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=words) as error:
        read_idx(path, 3)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("damage", ["short", "changed", "no gzip"])
def test_a_damaged_packed_file_is_named(tmp_path: Path, damage: str) -> None:
    raw = bytearray(gzip.compress(files.idx(files.grey(50)[0])))
    raw[200] ^= 255 if damage == "changed" else 0
    path = tmp_path / "a.gz"
    path.write_bytes(raw[:-9] if damage == "short" else b"<html>" if damage == "no gzip" else raw)
    with pytest.raises(ValueError, match="a.gz cannot be read"):
        read_idx(path, 3)


def test_labels_are_as_many_as_images(tmp_path: Path) -> None:
    files.write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(files.idx(np.zeros(39, np.uint8)))
    )
    with pytest.raises(ValueError, match="must hold 40 labels, as .* has images, and holds 39"):
        parts([tmp_path / f"{name}.gz" for name in NAMES])
