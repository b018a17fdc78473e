"""Prepared scenes: bytes mapped from shards, taken by position; all trials of a node share them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.copying import copied
from trainables.data.files import checksum
from trainables.data.scenes.facts import UNCUT
from trainables.data.scenes.left import FILE, counted, kept_left, left
from trainables.data.scenes.shards import Positions, Shards

MANIFEST = "manifest.json"
SPLITS = ("train", "val", "test")
VERSION = 1
"""Of the layout of a store's files: `manifest.json`, `images-NNNNN.npy` [n, H, W, C] and
`labels-NNNNN.npy` [n, H, W] with the same scenes, and `field-NAME.npy` [N, …] with those of all, as
the files of the set say it. What a crop has left of them is seen when it is opened."""


@dataclass(frozen=True)
class Scenes:
    """A split of N scenes, positions 0…N − 1.

    `fields` by name [N, …]: what the records say of each entity, entity 0 first. Of pictures that
    were cropped, objects of which no pixel is left are neither in `counts` nor in the field
    `visibility`; without labels that is not known, and these are of whole pictures.
    """

    fields: Mapping[str, NDArray[Any]]
    counts: NDArray[np.uint8]
    _images: Shards
    _labels: Shards | None
    _start: int

    def __len__(self) -> int:
        """How many scenes."""
        return len(self.counts)

    @property
    def has_labels(self) -> bool:
        """Whether it is known which object each pixel belongs to."""
        return self._labels is not None

    def images(self, positions: Positions) -> NDArray[np.uint8]:
        """Pictures [B, H, W, C], 0…255."""
        return self._images.take(self._inner(positions))

    def labels(self, positions: Positions) -> NDArray[np.uint8]:
        """Number of the object at each pixel [B, H, W], from 1; 0 is background.

        Raises:
            ValueError: the set has no masks.
        """
        if self._labels is None:
            raise ValueError("labels must be of a set with masks, and this one has none")
        return self._labels.take(self._inner(positions))

    def _inner(self, positions: Positions) -> Positions:
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(self):
            raise IndexError(f"positions must be 0…{len(self) - 1}, got {positions.tolist()}")
        return positions + self._start


@dataclass(frozen=True)
class Store:
    """A prepared set: `splits` by name (train, val, test), and what `manifest` says of it.

    `fingerprint`: 16 hexadecimal digits of the SHA-256 of all that is in it.
    """

    folder: Path
    manifest: dict[str, Any]
    splits: dict[str, Scenes]

    @property
    def fingerprint(self) -> str:
        """Of all pixels, labels and fields, and of how they are divided."""
        return self.manifest["fingerprint"]

    @property
    def num_background(self) -> int:
        """How many of the first entities in the fields are no objects."""
        return self.manifest["num_background"]


def open_store(folder: Path, copy_to: str | None = None) -> Store:
    """A prepared set, mapped; copied below `copy_to` first, as `copying.copied` does it.

    Raises:
        LookupError: there is none.
        ValueError: it is damaged, or cannot be copied.
    """
    if not (folder / MANIFEST).is_file():
        raise LookupError(f"no prepared set is at {folder}")
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["version"] != VERSION:
            raise ValueError(f"its version is {manifest['version']}, and {VERSION} is read")
        files = dict(manifest["files"])
        store = _opened(folder, manifest) if copy_to is None else None
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{folder} is damaged ({error}); delete it and prepare it again") from None
    if store is not None:
        return store
    besides = [FILE] if (folder / FILE).exists() else []
    return open_store(copied(folder, [*files, *besides, MANIFEST], copy_to, files))


def _opened(folder: Path, manifest: dict[str, Any]) -> Store:
    numbers = range(len(manifest["shards"]))
    images = Shards([_mapped(folder / f"images-{number:05d}.npy") for number in numbers])
    labels = None
    if manifest["has_labels"]:
        labels = Shards([_mapped(folder / f"labels-{number:05d}.npy") for number in numbers])
    fields = {name: _mapped(folder / f"field-{name}.npy") for name in manifest["fields"]}
    counts = fields.pop("counts")
    for whole in (images, labels, *fields.values(), counts):
        if whole is not None and len(whole) != manifest["scenes"]:
            raise ValueError(f"{manifest['scenes']} scenes must be there, got {len(whole)}")
    if labels is not None and _is_cropped(manifest):
        objects = _objects(manifest, fields, counts)
        fields, counts = counted(fields, kept_left(folder, labels, objects))
    splits = {
        name: Scenes(
            {field: values[start:stop] for field, values in fields.items()},
            counts[start:stop],
            images,
            labels,
            start,
        )
        for name, (start, stop) in manifest["splits"].items()
    }
    return Store(folder, manifest, splits)


def _is_cropped(manifest: dict[str, Any]) -> bool:
    """Whether a part of the pictures was cut off: then objects may be gone with it."""
    return manifest.get("settings", {}).get("crop", "none") not in UNCUT


def _objects(
    manifest: dict[str, Any], fields: Mapping[str, NDArray[Any]], counts: NDArray[np.uint8]
) -> int:
    """How many objects a scene may have."""
    if "visibility" in fields:
        return fields["visibility"].shape[1] - manifest["num_background"]
    return int(counts.max(initial=0))


def _mapped(path: Path) -> NDArray[Any]:
    found = np.load(path, mmap_mode="r")
    return np.asarray(found)  # a view of the same pages without memmap's bookkeeping


def positions_with(scenes: Scenes, min_objects: int, max_objects: int) -> Positions:
    """Positions of the scenes with so many objects, ascending."""
    counts = scenes.counts
    return np.flatnonzero((counts >= min_objects) & (counts <= max_objects))


def check(folder: Path) -> Iterator[str]:
    """What is wrong with a prepared set: a sentence each; none if all its bytes are right."""
    advice = f"delete {folder} and prepare it again"
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError) as error:
        yield f"{folder / MANIFEST} cannot be read ({error}); {advice}"
        return
    is_right = True
    for name, expected in files.items():
        try:
            if checksum(folder / name) == expected:
                continue
            yield f"{folder / name} was changed; {advice}"
        except OSError as error:
            yield f"{folder / name} cannot be read ({error.strerror}); {advice}"
        is_right = False
    if is_right and (folder / FILE).exists() and not _is_left_right(folder):
        yield f"{folder / FILE} was changed; delete it: it is made again"


def _is_left_right(folder: Path) -> bool:
    """Whether what is kept of the labels is what they say."""
    labels = Shards([_mapped(path) for path in sorted(folder.glob("labels-*.npy"))])
    try:
        found = np.load(folder / FILE)
        return np.array_equal(found, left(labels, found.shape[1]))
    except (OSError, ValueError, EOFError, IndexError):
        return False
