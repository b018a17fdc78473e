"""Small sets in their original formats, written as their authors wrote them."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Bytes = Any


def grey(count: int, side: int = 28, classes: int = 10, seed: int = 0) -> tuple[Bytes, Bytes]:
    """Images [N, side, side] whose brightness says their class, and labels [N]."""
    draw = np.random.RandomState(seed)
    labels = np.arange(count) % classes
    noise = draw.randint(0, 30, (count, side, side))
    return (labels[:, None, None] * 20 + noise).astype(np.uint8), labels.astype(np.uint8)


def idx(array: Bytes) -> bytes:
    """An IDX file of unsigned bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder: Path, train: int = 120, test: int = 40, *, packed: bool = True) -> None:
    """The four files of a set like MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in (("train", train, 0), ("t10k", test, 1)):
        images, labels = grey(count, seed=seed)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{name}-{kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))


_Pickler: Any = vars(pickle)["_Pickler"]  # the one in Python: its parts can be replaced


class _Python2(_Pickler):
    """Writes text as Python 2 did: as a string of bytes."""

    dispatch: Any = dict(_Pickler.dispatch)

    def _save_text(self, text: str | bytes) -> None:
        raw = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = _save_text


def python2_pickle(value: object) -> bytes:
    """A pickle as Python 2 with an old NumPy wrote it: protocol 2, strings of bytes."""
    file = io.BytesIO()
    _Python2(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")


def cifar_files(name: str, count: int = 20) -> dict[str, tuple[bytes, Bytes, Bytes]]:
    """For each file of a CIFAR set its bytes, its pixels [N, 3072] and its labels."""
    inside = {
        "cifar10": [f"cifar-10-batches-py/{one}" for one in _BATCHES],
        "cifar100": ["cifar-100-python/train", "cifar-100-python/test"],
    }[name]
    found: dict[str, tuple[bytes, Bytes, Bytes]] = {}
    for number, path in enumerate(inside):
        draw = np.random.RandomState(number)
        pixels = draw.randint(0, 256, (count, 3072)).astype(np.uint8)
        labels = (np.arange(count) + number) % 10
        key = "labels" if name == "cifar10" else "fine_labels"
        batch = {"data": pixels, key: labels.tolist(), "batch_label": "testing", "filenames": ["a"]}
        found[path] = python2_pickle(batch), pixels, labels
    return found


_BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def write_cifar(folder: Path, name: str, *, packed: bool) -> dict[str, tuple[bytes, Bytes, Bytes]]:
    """A CIFAR set in a folder: its archive, or the folder that is in it."""
    found = cifar_files(name)
    folder.mkdir(parents=True, exist_ok=True)
    if packed:
        archive = {"cifar10": "cifar-10", "cifar100": "cifar-100"}[name] + "-python.tar.gz"
        with tarfile.open(folder / archive, "w:gz", compresslevel=1) as opened:
            for path, (raw, _, _) in found.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(raw)
                opened.addfile(entry, io.BytesIO(raw))
        return found
    for path, (raw, _, _) in found.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)
    return found


def write_images(folder: Path, each: int = 12, classes: tuple[str, ...] = ("cat", "dog")) -> None:
    """A folder of images: for each class a sub-folder with images of one colour."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(each):
            colour = (50 * number + index, 100, 200 - 50 * number)
            Image.new("RGB", (12, 10), colour).save(folder / name / f"{index:02d}.png")
