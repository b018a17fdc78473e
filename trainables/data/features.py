"""Features of images, computed once by a frozen network and mapped by all trials of a node."""

# N images, P patches, F width of features, B images of a batch.

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import feature_writing
from trainables.data.feature_writing import CHANNELS, MANIFEST, VERSION, Kind, Plan
from trainables.data.files import alone

FOLDER = "features"
"""The folder below the root of data sets in which stores of features lie."""
MOST_ERROR = 0.01
"""The largest relative error of stored features that passes without a warning."""

log = logging.getLogger(__name__)


class Stored(NamedTuple):
    """Features of a batch as they are stored: codes [B, P, F], float16 or int8; scales [B, P].

    There are no scales of float16.
    """

    codes: Tensor
    scales: Tensor | None


@dataclass(frozen=True)
class FeatureStore:
    """The features of N images, mapped from shards.

    `error` is the relative error of what is stored, √(Σ(x − x̂)²/Σx²) over all features of all
    images; `fingerprint` 16 hexadecimal digits of the SHA-256 of all that is stored.
    """

    folder: Path
    kind: Kind
    error: float
    fingerprint: str
    shape: tuple[int, int, int]
    _codes: list[NDArray[Any]]
    _scales: list[NDArray[np.float32]]
    _channels: Tensor

    def __len__(self) -> int:
        """N."""
        return self.shape[0]

    def take(self, rows: NDArray[np.int64]) -> Stored:
        """A copy of some rows, in their order; on the CPU. Raises IndexError."""
        codes = torch.from_numpy(self._gathered(self._codes, rows))
        if self.kind == "float16":
            return Stored(codes, None)
        return Stored(codes, torch.from_numpy(self._gathered(self._scales, rows)))

    def dequantized(self, stored: Stored) -> Tensor:
        """Features [B, P, F], single precision, computed on the device of what is stored."""
        codes, scales = stored
        if scales is None:
            return codes.float()
        mean, deviation = self._channels.to(codes.device)
        return feature_writing.dequantized(codes, scales, mean, deviation)

    def _gathered(self, shards: list[NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[Any]:
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows must be 0…{len(self) - 1}, got {rows.min()}…{rows.max()}")
        found = np.empty((len(rows), *shards[0].shape[1:]), shards[0].dtype)
        a_shard = len(shards[0])
        for number in np.unique(rows // a_shard):
            wanted = np.flatnonzero(rows // a_shard == number)
            found[wanted] = shards[number].take(rows[wanted] - number * a_shard, axis=0)
        return found


def identity(facts: Mapping[str, object]) -> str:
    """16 hexadecimal digits of the SHA-256 of facts: all that the features depend on."""
    text = json.dumps({"version": VERSION, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def store(
    root: Path,
    name: str,
    facts: Mapping[str, object],
    *,
    kind: Literal["float16", "int8"],
    shape: tuple[int, int, int],
    compute: Callable[[NDArray[np.int64]], Tensor],
    shard_bytes: int = feature_writing.SHARD,
) -> FeatureStore:
    """The store of features with these facts: opened if it is there, otherwise built first.

    It lies in `<root>/features/<name>-<identity>`. While one process builds it, others wait; a
    killed build goes on behind the last whole shard, and ends with the same bytes. Progress is
    logged.

    Args:
        root: the folder of data sets.
        name: for people, of the folder.
        facts: all that the features depend on (network, weights, layer, scaling, images), as plain
            JSON; with `kind` they are the key.
        kind: `float16`, or `int8` with a scale for each patch.
        shape: N, P and F.
        compute: the features [n, P, F] of the images at some rows of 0…N − 1.
        shard_bytes: the most a file has.

    Raises:
        ValueError: there is no room on the disk, features are not finite, or a store is damaged.
    """
    key = {**facts, "kind": kind, "shape": list(shape)}
    folder = root / FOLDER / f"{name}-{identity(key)}"
    plan = Plan(kind, shape, shard_bytes)
    if not (folder / MANIFEST).is_file():
        try:
            with alone(folder, log.warning):
                if not (folder / MANIFEST).is_file():
                    feature_writing.build(folder, plan, key, compute)
        except OSError as error:
            raise ValueError(
                f"data.root must be a folder that can be written, for the features of {name}, got "
                f"{str(root)!r} ({error.strerror or error}); or take features.store 'live'"
            ) from None
    return _opened(folder)


def _opened(folder: Path) -> FeatureStore:
    """Raises ValueError if what is there is damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        kind, shape = manifest["facts"]["kind"], tuple(manifest["facts"]["shape"])
        numbers = range(len(manifest["shards"]))
        codes, scales = (
            [_mapped(folder / f"{name}-{number:05d}.npy") for number in numbers]
            if name == "codes" or kind == "int8"
            else []
            for name in ("codes", "scales")
        )
        held = sum(map(len, codes)), *codes[0].shape[1:]
        if held != shape:
            raise ValueError(f"{shape} must be there, got {held}")
        channels = torch.from_numpy(np.load(folder / CHANNELS))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{folder} is damaged ({error}); delete it: it is made again") from None
    error = float(manifest["relative_error"])
    if error > MOST_ERROR:
        log.warning("%s stores features with a relative error of %.1f %%", folder, 100 * error)
    return FeatureStore(
        folder, kind, error, manifest["fingerprint"], shape, codes, scales, channels
    )


def _mapped(path: Path) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r"))  # without memmap's bookkeeping
