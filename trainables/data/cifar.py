"""CIFAR-10 and CIFAR-100 in their original layout: pickles of Python 2, in an archive or beside it.

A pickle may name any function and have it called. Here nothing is looked up: the few names that
these files need lead to two small classes that take apart what NumPy wrote; any other name is an
error.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.parts import Bytes, Part

_SIDE = 32
_LABELS = {"cifar10": "labels", "cifar100": "fine_labels"}
_MEMBERS = {
    "cifar10": {
        "train": tuple(f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)),
        "test": ("cifar-10-batches-py/test_batch",),
    },
    "cifar100": {"train": ("cifar-100-python/train",), "test": ("cifar-100-python/test",)},
}


class Type:
    """What a pickle says of the type of an array: its name, such as `u1`."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Byte order and such: bytes have none."""


class Array:
    """An array of unsigned bytes as a pickle holds it."""

    def __init__(self, *_: object) -> None:
        self.values: Bytes = np.zeros(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        """Takes (version, shape, type, is it in Fortran's order, bytes)."""
        _, shape, kind, is_fortran, raw = state
        if not isinstance(kind, Type) or kind.name not in ("u1", "uint8"):
            raise pickle.UnpicklingError("an array must be one of unsigned bytes")
        values = np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, np.uint8)
        self.values = values.reshape(shape, order="F" if is_fortran else "C")


class _Encoded:
    """`_codecs.encode`, by which Python 3 writes bytes for Python 2: Latin-1, nothing else."""

    def __new__(cls, text: str, encoding: str) -> Any:  # noqa: D102
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes must be written in latin1, got {encoding!r}")
        return text.encode("latin1")


_NAMES: dict[tuple[str, str], type] = {
    ("numpy", "dtype"): Type,
    ("numpy", "ndarray"): Array,
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "_reconstruct"): Array,
    ("_codecs", "encode"): _Encoded,
}


class Unpickler(pickle.Unpickler):
    """Reads plain values and arrays of unsigned bytes; calls nothing else."""

    def find_class(self, module: str, name: str, /) -> Any:
        """The class for a name that these files need.

        Raises:
            pickle.UnpicklingError: any other name.
        """
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which has no place in it")
        return _NAMES[module, name]


def read_batch(opened: IO[bytes], name: str, labels: str) -> tuple[Bytes, NDArray[np.uint8]]:
    """Images [N, 3, 32, 32] and labels [N] of one file; `labels` is the key under which they are.

    Raises:
        ValueError: the file, called `name`, is damaged or is no such file.
    """
    try:
        batch: Any = Unpickler(opened, encoding="latin1").load()
        pixels, numbers = batch["data"].values, np.asarray(batch[labels], np.uint8)
        return pixels.reshape(len(numbers), 3, _SIDE, _SIDE), numbers
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to say
        raise ValueError(f"{name} is no file of CIFAR: {type(error).__name__}: {error}") from None


def parts(name: str, files: list[Path]) -> list[Part]:
    """The parts `train` and `test` of `cifar10` or `cifar100`, from the archive or its files."""

    def pieces(part: str) -> Iterator[tuple[Bytes, NDArray[np.uint8]]]:
        for title, opened in _opened(files, _MEMBERS[name][part]):
            yield read_batch(opened, title, _LABELS[name])

    return [Part(part, (3, _SIDE, _SIDE), pieces(part)) for part in _MEMBERS[name]]


def _opened(files: list[Path], members: tuple[str, ...]) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of a part; those in the archive are read where they are, nothing is unpacked."""
    if len(files) > 1:
        for path in files:
            if any(path.match(f"*/{member}") for member in members):
                yield str(path), io.BytesIO(path.read_bytes())
        return
    left = set(members)
    try:
        with tarfile.open(files[0]) as archive:
            for entry in archive:
                if entry.name in left and (opened := archive.extractfile(entry)) is not None:
                    left.remove(entry.name)
                    yield f"{entry.name} in {files[0]}", io.BytesIO(opened.read())
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{files[0]} cannot be read: {error}") from None
    if left:
        raise ValueError(f"{files[0]} must hold {', '.join(sorted(left))}, and does not")
