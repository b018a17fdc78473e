"""Annotations in the form of COCO, read once into columns that all trials of a node map."""

# I pictures, A annotations.

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.core.files import whole_folder, written
from trainables.data.cache import identity
from trainables.data.detection.checks import checked
from trainables.data.detection.pictures import wrong_sizes
from trainables.data.files import alone, checksum
from trainables.data.places import CACHE, MANIFEST

_VERSION = "boxes-2"  # of the layout of the files below: another one is another folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Columns:
    """What an annotation file says: of I pictures by ascending number, and of A annotations.

    Those of picture i are `offsets[i]` … `offsets[i + 1]` − 1, in the order of the file: nothing is
    left out, moved or cut off. `file_names` are UTF-8.
    """

    image_ids: NDArray[np.int64]
    """[I]"""
    sizes: NDArray[np.int64]
    """[I, 2], height and width in pixels, as the file says it."""
    file_names: NDArray[np.bytes_]
    """[I]"""
    offsets: NDArray[np.int64]
    """[I + 1]"""
    ids: NDArray[np.int64]
    """[A], from 1."""
    boxes: NDArray[np.float64]
    """[A, 4], left, top, width and height in pixels."""
    classes: NDArray[np.int64]
    """[A], numbers of categories."""
    crowd: NDArray[np.bool_]
    """[A]; False where the file does not say."""
    areas: NDArray[np.float64]
    """[A], square pixels; not a number where the file does not say."""


@dataclass(frozen=True)
class Annotations:
    """Columns, the names of categories by number, and 16 digits of the SHA-256 of the file."""

    columns: Columns
    categories: Mapping[int, str]
    fingerprint: str


def mapped(root: Path, name: str, path: Path, pictures: Path | None = None) -> Annotations:
    """What an annotation file says: mapped from below `root` if it was read before, else read.

    While one process reads it, others wait. `name` is for people, of the folder. Of a folder of
    `pictures` those that are there are looked at when it is read, each at its beginning.

    Raises:
        LookupError: there is no such file.
        ValueError: it is not in the form of COCO, a picture has not the size that is annotated, or
            the columns cannot be written or are damaged.
    """
    if not path.is_file():
        raise LookupError(f"annotations must be a file that is there, got {path}")
    folder = root / CACHE / f"{name}-{path.stem}-{identity([path], _VERSION)}"
    if not (folder / MANIFEST).exists():
        try:
            with alone(root / CACHE / f"{name}-{path.stem}", log.info):
                if not (folder / MANIFEST).exists():
                    _make(folder, path, pictures)
        except OSError as error:
            raise ValueError(
                f"data.root must be a folder that can be written, for the columns made of {path}, "
                f"got {str(root)!r} ({error.strerror or error})"
            ) from None
    return _opened(folder)


def read(raw: bytes, path: Path) -> Annotations:
    """The same of the bytes of a file, in memory. `path` is for what is said.

    Raises:
        ValueError: it is not in the form of COCO; says where.
    """
    whole = checked(raw, path)
    images: Sequence[dict[str, Any]] = sorted(whole["images"], key=lambda one: one["id"])
    numbers = np.array([one["id"] for one in images], np.int64)
    every: Sequence[dict[str, Any]] = whole["annotations"]
    places = np.searchsorted(numbers, np.array([one["image_id"] for one in every], np.int64))
    order = np.argsort(places, kind="stable").tolist()
    chosen = [every[place] for place in order]
    areas = [np.nan if one.get("area") is None else one["area"] for one in chosen]
    columns = Columns(
        image_ids=numbers,
        sizes=_array([[one["height"], one["width"]] for one in images], np.int64, 2),
        file_names=np.array([one["file_name"].encode() for one in images], np.bytes_),
        offsets=np.searchsorted(places[order], np.arange(len(images) + 1)),
        ids=_array([one["id"] for one in chosen], np.int64),
        boxes=_array([one["bbox"] for one in chosen], np.float64, 4),
        classes=_array([one["category_id"] for one in chosen], np.int64),
        crowd=_array([one.get("iscrowd", 0) == 1 for one in chosen], np.bool_),
        areas=_array(areas, np.float64),
    )
    categories = {one["id"]: one["name"] for one in whole["categories"]}
    return Annotations(columns, categories, hashlib.sha256(raw).hexdigest()[:16])


def _array(values: Sequence[Any], kind: type, width: int = 0) -> NDArray[Any]:
    return np.array(values, kind).reshape(-1, width) if width else np.array(values, kind)


def _make(folder: Path, path: Path, pictures: Path | None) -> None:
    found = read(path.read_bytes(), path)
    names = [name.decode() for name in found.columns.file_names] if pictures else []
    for sentence in wrong_sizes(pictures or path, names, found.columns.sizes):
        raise ValueError(f"{path}: {sentence}")
    with whole_folder(folder) as unfinished:  # what is there without a manifest is nobody's
        for field in fields(Columns):
            with written(unfinished / f"{field.name}.npy") as file:
                np.save(file, getattr(found.columns, field.name))
        manifest = {
            "fingerprint": found.fingerprint,
            "categories": [[number, name] for number, name in found.categories.items()],
            "images": len(found.columns.image_ids),
            "annotations": len(found.columns.ids),
            "files": {each.name: checksum(each) for each in sorted(unfinished.iterdir())},
        }
        with written(unfinished / MANIFEST) as file:
            file.write(json.dumps(manifest, indent=1).encode())


def _opened(folder: Path) -> Annotations:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        arrays = {field.name: _mapped(folder / f"{field.name}.npy") for field in fields(Columns)}
        lengths = [len(arrays["image_ids"]), len(arrays["ids"])]
        if lengths != [manifest["images"], manifest["annotations"]]:
            raise ValueError("columns have another length")
        categories = {int(number): str(name) for number, name in manifest["categories"]}
        return Annotations(Columns(**arrays), categories, manifest["fingerprint"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{folder} is damaged ({error}); delete it: it is made again") from None


def _mapped(path: Path) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r"))  # without memmap's bookkeeping
