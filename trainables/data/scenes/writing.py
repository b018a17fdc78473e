"""Writes a store of scenes shard by shard, and goes on after a kill from the last whole shard."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.core.files import unfinished_of, written
from trainables.data.files import checksum
from trainables.data.scenes.formats import Piece
from trainables.data.scenes.store import MANIFEST, VERSION
from trainables.data.shards import ShardWriter

_PROGRESS = "progress.json"
SHARD = 256 << 20
"""Bytes of pictures in a shard: so much at most is done again after a kill."""
_COORDINATES = ("x", "y", "z")
Divided = Mapping[str, tuple[int, int]]
"""First position and end of each split."""


@dataclass
class _Shard:
    """A shard that is being written, under other names than those of whole ones."""

    number: int
    arrays: dict[str, ShardWriter]
    fields: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many scenes are in it."""
        return self.arrays["images"].count


class StoreWriter:
    """Writes a store at a folder, which appears with all that is in it, or not.

    `settings` say what is written (sources, crop, size): what was begun with others is thrown away.
    Before it is finished all lies in a hidden folder beside it; `done` scenes are in whole shards,
    and the first scene to `add` is the one after those.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *, shard_bytes: int = SHARD
    ) -> None:
        self.folder = folder
        self._unfinished = unfinished_of(folder)
        self._shard_bytes = shard_bytes
        self._settings = json.loads(json.dumps({**settings, "shard_bytes": shard_bytes}))
        self._shards = self._written_before()
        self._open: _Shard | None = None

    @property
    def done(self) -> int:
        """How many scenes are in whole shards."""
        return sum(self._shards)

    @property
    def is_complete(self) -> bool:
        """Whether all was written, and only the folder is not in its place yet."""
        return (self._unfinished / MANIFEST).exists()

    def add(self, piece: Piece) -> None:
        """Adds scenes behind those that are there."""
        start = 0
        while start < len(piece):
            shard = self._open = self._open or self._begin(piece)
            room = max(1, self._shard_bytes // piece.images[0].nbytes) - shard.count
            part = piece.part(start, start + room)
            shard.arrays["images"].add(part.images)
            if part.labels is not None:
                shard.arrays["labels"].add(part.labels)
            shard.fields.append(part.fields)
            start += len(part)
            if len(part) == room:
                self._complete(shard)

    def finish(
        self, splits: Callable[[int], Divided], facts: Callable[[], Mapping[str, Any]]
    ) -> Path:
        """Writes what is left and the manifest, and puts the folder in its place.

        `splits` divides a number of scenes; `facts` are asked for last and go into the manifest.

        Raises:
            ValueError: there are no scenes.
        """
        if not self.is_complete:
            if self._open:
                self._complete(self._open)
            if not self._shards:
                raise ValueError(f"{self.folder.name} must hold scenes, and its files hold none")
            self._write_manifest(splits(self.done), facts())
        for path in [*self._unfinished.glob("fields-*.npz"), self._unfinished / _PROGRESS]:
            path.unlink(missing_ok=True)
        os.replace(self._unfinished, self.folder)
        return self.folder

    def close(self) -> None:
        """Leaves what is written for the next time; throws away a shard that is not whole."""
        for array in self._open.arrays.values() if self._open else ():
            array.give_up()
        for path in self._unfinished.glob("*.partial"):
            path.unlink()
        self._open = None

    def _written_before(self) -> list[int]:
        self._unfinished.mkdir(parents=True, exist_ok=True)
        try:
            known = json.loads((self._unfinished / _PROGRESS).read_text())
            if known["settings"] == self._settings:
                return known["shards"]
        except (OSError, ValueError, KeyError):
            if self.is_complete:
                return []
        shutil.rmtree(self._unfinished)
        self._unfinished.mkdir()
        return []

    def _begin(self, piece: Piece) -> _Shard:
        shapes = {"images": piece.images.shape[1:]}
        if piece.labels is not None:
            shapes["labels"] = piece.labels.shape[1:]
        number = len(self._shards)
        arrays = {
            kind: ShardWriter(self._unfinished / f"{kind}-{number:05d}.npy", np.uint8, shape)
            for kind, shape in shapes.items()
        }
        return _Shard(number, arrays)

    def _complete(self, shard: _Shard) -> None:
        for array in shard.arrays.values():
            array.complete()
        joined = {
            name: np.concatenate([each[name] for each in shard.fields]) for name in shard.fields[0]
        }
        with written(self._unfinished / f"fields-{shard.number:05d}.npz") as file:
            np.savez(file, allow_pickle=False, **joined)
        self._shards.append(shard.count)
        self._open = None
        known = {"settings": self._settings, "shards": self._shards}
        with written(self._unfinished / _PROGRESS) as file:
            file.write(json.dumps(known).encode())

    def _write_manifest(self, splits: Divided, facts: Mapping[str, Any]) -> None:
        fields = self._joined_fields()
        for name, values in fields.items():
            with written(self._unfinished / f"field-{name}.npy") as file:
                np.save(file, values)
        paths = sorted(self._unfinished.glob("*.npy"))
        files = {path.name: checksum(path) for path in paths}
        identity = json.dumps([VERSION, files, splits, facts["num_background"]])
        manifest = {
            "version": VERSION,
            **facts,
            "scenes": self.done,
            "shards": self._shards,
            "image": list(np.load(paths[-1].with_name("images-00000.npy"), "r").shape[1:]),
            "has_labels": (self._unfinished / "labels-00000.npy").exists(),
            "fields": {
                name: [values.dtype.str, *values.shape[1:]] for name, values in fields.items()
            },
            "splits": splits,
            "ranges": _ranges(fields, facts["num_background"]),
            "files": files,
            "fingerprint": hashlib.sha256(identity.encode()).hexdigest()[:16],
        }
        with written(self._unfinished / MANIFEST) as file:
            file.write(json.dumps(manifest, indent=1).encode())

    def _joined_fields(self) -> dict[str, NDArray[Any]]:
        found: dict[str, list[NDArray[Any]]] = {}
        for number in range(len(self._shards)):
            with np.load(self._unfinished / f"fields-{number:05d}.npz") as shard:
                for name in shard:
                    found.setdefault(name, []).append(shard[name])
        return {name: np.concatenate(values) for name, values in sorted(found.items())}


def _ranges(fields: Mapping[str, NDArray[Any]], num_background: int) -> dict[str, list[float]]:
    """Smallest and largest of each coordinate over the objects that are there."""
    if "visibility" not in fields:
        return {}
    seen = fields["visibility"].copy()
    seen[:, :num_background] = False
    found = {name: fields[name][seen] for name in _COORDINATES if name in fields}
    return {
        name: [float(values.min()), float(values.max())]
        for name, values in found.items()
        if len(values)
    }
