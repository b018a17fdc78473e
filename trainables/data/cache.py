"""Arrays made of a set once, by one process, and mapped by all: N trials share one copy."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.core.files import whole_folder, written
from trainables.data.copying import copied
from trainables.data.files import alone, checksum
from trainables.data.parts import Bytes, Counts, Part
from trainables.data.places import CACHE, MANIFEST
from trainables.data.shards import ShardWriter

log = logging.getLogger(__name__)

_VERSION = 1  # of the layout of the files below: another one is another folder


@dataclass(frozen=True)
class Mapped:
    """A part of a set: images [N, C, H, W], mapped from their file, 0…255 or, of 16 bits, 0…65535;
    labels [N].

    `sums` [N, C, 2] has the sum over the pixels of each image and channel, and that of their
    squares: mean and deviation of any split are exact without a look at its pixels.
    """

    images: Bytes | Counts
    labels: NDArray[np.int64]
    sums: NDArray[np.int64]


@dataclass(frozen=True)
class Cached:
    """The parts of a set by name, and 16 hexadecimal digits of the SHA-256 of what is in them."""

    folder: Path
    fingerprint: str
    parts: dict[str, Mapped]


def identity(paths: Sequence[Path], *facts: object) -> str:
    """A hash of which files these are: where they lie, how long they are, when last written."""
    digest = hashlib.sha256(json.dumps([_VERSION, *facts]).encode())
    for path in paths:
        stat = path.stat()
        digest.update(f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def cached(
    root: Path, name: str, print_: str, classes: int, parts: Callable[[], Sequence[Part]]
) -> Cached:
    """The arrays of a set with an identity: mapped if they are there, otherwise made first.

    While one process makes them, others wait. The folder appears with all that is in it, or not.

    Raises:
        ValueError: the files of the set are damaged, or the arrays cannot be written.
    """
    folder = root / CACHE / f"{name}-{print_}"
    if not (folder / MANIFEST).exists():
        try:
            with alone(root / CACHE / name, log.info):
                if not (folder / MANIFEST).exists():
                    _make(folder, classes, parts())
        except OSError as error:
            raise ValueError(
                f"data.root must be a folder that can be written, for the arrays made of {name}, "
                f"got {str(root)!r} ({error.strerror or error})"
            ) from None
    return _open(folder)


def beside(made: Cached, to: str | Path | None) -> Cached:
    """The same arrays, copied to the own disk of the node below `to` if there is one.

    Raises:
        ValueError: as `copying.copied`.
    """
    if to is None:
        return made
    files = _manifest(made.folder)["files"]
    return _open(copied(made.folder, [*files, MANIFEST], to, files))


def _make(folder: Path, classes: int, parts: Sequence[Part]) -> None:
    with whole_folder(folder) as unfinished:  # what is there without a manifest is nobody's
        digest = hashlib.sha256()
        shapes = {part.name: _write_part(unfinished, part, classes, digest) for part in parts}
        manifest = {
            "fingerprint": digest.hexdigest()[:16],
            "parts": shapes,
            "files": {path.name: checksum(path) for path in sorted(unfinished.iterdir())},
        }
        with written(unfinished / MANIFEST) as file:
            file.write(json.dumps(manifest, indent=1).encode())


def _write_part(folder: Path, part: Part, classes: int, digest: Any) -> list[int]:
    """Writes the three arrays of a part, piece by piece, and adds them to the digest.

    Returns the shape of its images.
    """
    labels: list[NDArray[np.int64]] = []
    sums: list[NDArray[np.int64]] = []
    kind = np.uint8 if part.bits == 8 else np.dtype("<u2")
    with ShardWriter(folder / f"{part.name}-images.npy", kind, part.shape) as writer:
        for images, numbers in part.pieces:
            if not len(numbers):
                continue
            writer.add(images)
            digest.update(np.ascontiguousarray(images).data)
            labels.append(numbers.astype(np.int64))
            sums.append(_sums(images))
        if not writer.count:
            raise ValueError(f"part {part.name!r} must hold images, and holds none")
    numbers = np.concatenate(labels)
    if not 0 <= numbers.min() <= numbers.max() < classes:
        raise ValueError(
            f"labels of part {part.name!r} must be 0…{classes - 1}, got {numbers.min()}…"
            f"{numbers.max()}"
        )
    digest.update(numbers.tobytes())
    for name, array in (("labels", numbers), ("sums", np.concatenate(sums))):
        with written(folder / f"{part.name}-{name}.npy") as file:
            np.save(file, array)
    return [len(numbers), *part.shape]


def _sums(images: Bytes | Counts, piece: int = 1024) -> NDArray[np.int64]:
    """Sums over the pixels of each image and channel, and over their squares: [N, C, 2]."""
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(images), piece):
        pixels = images[start : start + piece].reshape(*images[start : start + piece].shape[:2], -1)
        squares = np.square(pixels, dtype=np.uint16 if pixels.dtype == np.uint8 else np.int64)
        found.append(np.stack([pixels.sum(2, np.int64), squares.sum(2, np.int64)], 2))
    return np.concatenate(found)


def _manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_text())


def _open(folder: Path) -> Cached:
    try:
        manifest = _manifest(folder)
        parts = {
            name: Mapped(
                np.load(folder / f"{name}-images.npy", mmap_mode="r"),
                np.load(folder / f"{name}-labels.npy"),
                np.load(folder / f"{name}-sums.npy", mmap_mode="r"),
            )
            for name in manifest["parts"]
        }
        for name, shape in manifest["parts"].items():
            if list(parts[name].images.shape) != shape:
                raise ValueError(f"{name}-images.npy has another shape")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{folder} is damaged ({error}); delete it: it is made again") from None
    return Cached(folder, manifest["fingerprint"], parts)
