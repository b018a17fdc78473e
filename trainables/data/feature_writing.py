"""Writes stores of features shard by shard, and goes on after a kill behind the last whole one."""

# n images of a piece, P patches, F width of features.

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.core.files import unfinished_of, written
from trainables.data.files import checksum, need_space
from trainables.data.shards import ShardWriter

Kind = Literal["float16", "int8"]

VERSION = 1
"""Of the layout of a store's files: `manifest.json`; `codes-NNNNN.npy` [n, P, F], float16 or int8,
of so many images each but for the last; of int8 `scales-NNNNN.npy` [n, P], float32; and
`channels.npy` [2, F], float32, mean and deviation of each channel (0 and 1 of float16)."""
MANIFEST, CHANNELS = "manifest.json", "channels.npy"
SHARD = 256 << 20
"""Bytes of a file at most: as much is lost when a build is killed."""
PIECE = 32
"""Images of which features are computed at once."""
_LEVELS = 127
_SMALLEST = 1e-6  # deviation of a channel that is always the same
_SMALLEST_SCALE = 1e-30  # times 127, of a patch whose features are all those of the mean
_SAY_EVERY = 60.0  # seconds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is to be written: of which kind, how many images, patches and channels, how cut."""

    kind: Kind
    shape: tuple[int, int, int]
    shard_bytes: int

    @property
    def image_bytes(self) -> int:
        """Of the codes and scales of one image."""
        _, patches, width = self.shape
        return patches * (2 * width if self.kind == "float16" else width + 4)

    @property
    def shards(self) -> list[tuple[int, int]]:
        """First row and end of each."""
        count, rows = self.shape[0], max(1, self.shard_bytes // self.image_bytes)
        return [(start, min(start + rows, count)) for start in range(0, count, rows)]


def quantized(features: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """int8 codes [n, P, F] and scales [n, P] of features [n, P, F].

    With z = (x − μ)/σ, μ and σ of each channel, the scale of a patch is max|z|/127 and the code
    z/scale, rounded: channels that are large in all patches take no levels from the others.
    """
    standard = (features - mean) / deviation
    scales = standard.abs().amax(-1).clamp_min(_SMALLEST_SCALE) / _LEVELS
    return (standard / scales[..., None]).round().to(torch.int8), scales


def dequantized(codes: Tensor, scales: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """The features μ + σ · scale · code [n, P, F] of int8 codes; single precision."""
    return codes.float().mul_(scales[..., None]).mul_(deviation).add_(mean)


def build(
    folder: Path,
    plan: Plan,
    facts: Mapping[str, object],
    compute: Callable[[NDArray[np.int64]], Tensor],
) -> None:
    """Computes and writes what is missing of a store; it appears at its place when it is whole.

    Raises:
        ValueError: there is no room, or features are not finite or of another shape.
    """
    unfinished = unfinished_of(folder)
    unfinished.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)  # without a manifest it is nobody's
    if not (unfinished / MANIFEST).is_file():
        _write_shards(unfinished, plan, compute)
        _write_manifest(unfinished, plan, facts)
    for path in [*unfinished.glob("whole-*.json"), *unfinished.glob("*.partial")]:
        path.unlink()
    os.replace(unfinished, folder)


def _write_shards(folder: Path, plan: Plan, compute: Callable[[NDArray[np.int64]], Tensor]) -> None:
    """Those that are missing."""
    done = [_side_file(folder, number).is_file() for number in range(len(plan.shards))]
    left = sum(b - a for (a, b), is_done in zip(plan.shards, done, strict=True) if not is_done)
    need_space(folder, plan.image_bytes * left)
    log.warning("features of %d images are computed, for good, into %s", left, folder.parent)
    channels = _channels(folder / CHANNELS, plan, compute)
    began = reported = time.monotonic()
    computed = 0
    for number, (start, stop) in enumerate(plan.shards):
        if done[number]:
            continue
        _write_shard(folder, number, plan, channels, compute)
        computed, now = computed + stop - start, time.monotonic()
        if now - reported > _SAY_EVERY:
            speed, reported = computed / (now - began), now
            log.warning("features of %d of %d images, %.3g a second", computed, left, speed)


def _channels(
    path: Path, plan: Plan, compute: Callable[[NDArray[np.int64]], Tensor]
) -> tuple[Tensor, Tensor]:
    """Mean and deviation [F] of each channel over the first images; 0 and 1 of float16."""
    if not path.is_file():
        count, _, width = plan.shape
        found = torch.stack([torch.zeros(width), torch.ones(width)])
        if plan.kind == "int8":
            seen = _computed(plan, compute, 0, min(PIECE, count)).flatten(0, 1)
            deviation, mean = torch.std_mean(seen.double(), 0, correction=0)
            found = torch.stack([mean, deviation.clamp_min(_SMALLEST)]).float().cpu()
        with written(path) as file:
            np.save(file, found.numpy())
    mean, deviation = torch.from_numpy(np.load(path))
    return mean, deviation


def _write_shard(
    folder: Path,
    number: int,
    plan: Plan,
    channels: tuple[Tensor, Tensor],
    compute: Callable[[NDArray[np.int64]], Tensor],
) -> None:
    """Codes and scales of a shard, then a file that says that they are whole, and their errors."""
    start, stop = plan.shards[number]
    sums, scales = np.zeros(2), []
    with ShardWriter(folder / f"codes-{number:05d}.npy", plan.kind, plan.shape[1:]) as writer:
        for first in range(start, stop, PIECE):
            features = _computed(plan, compute, first, min(first + PIECE, stop))
            mean, deviation = (one.to(features.device) for one in channels)
            if plan.kind == "float16":
                codes = features.half()
                again = codes.float()
            else:
                codes, of_patches = quantized(features, mean, deviation)
                again = dequantized(codes, of_patches, mean, deviation)
                scales.append(of_patches.cpu().numpy())
            writer.add(codes.cpu().numpy())
            wrong = (again - features).double().square().sum()
            sums += [float(wrong), float(features.double().square().sum())]
    if plan.kind == "int8":
        with written(folder / f"scales-{number:05d}.npy") as file:
            np.save(file, np.concatenate(scales))
    with written(_side_file(folder, number)) as file:
        file.write(json.dumps({"rows": stop - start, "sums": sums.tolist()}).encode())


def _computed(
    plan: Plan, compute: Callable[[NDArray[np.int64]], Tensor], start: int, stop: int
) -> Tensor:
    features = compute(np.arange(start, stop))
    expected = (stop - start, *plan.shape[1:])
    if tuple(features.shape) != expected:
        raise ValueError(f"features must be {expected}, got {tuple(features.shape)}")
    largest = float(features.abs().max())
    limit = float(torch.finfo(torch.float16).max)
    if not largest <= limit:  # nor if it is not a number
        raise ValueError(f"features must be finite and at most {limit:g}, got {largest:g}")
    return features.float()


def _side_file(folder: Path, number: int) -> Path:
    return folder / f"whole-{number:05d}.json"


def _write_manifest(folder: Path, plan: Plan, facts: Mapping[str, object]) -> None:
    sides = [_side_file(folder, number) for number in range(len(plan.shards))]
    known: list[dict[str, Any]] = [json.loads(side.read_text()) for side in sides]
    wrong, whole = np.array([each["sums"] for each in known]).sum(0)
    files = {path.name: checksum(path) for path in sorted(folder.glob("*.npy"))}
    identity = json.dumps([VERSION, files])
    manifest = {
        "version": VERSION,
        "facts": dict(facts),
        "relative_error": float(np.sqrt(wrong / max(whole, np.finfo(float).tiny))),
        "shards": [each["rows"] for each in known],
        "files": files,
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest()[:16],
    }
    with written(folder / MANIFEST) as file:
        file.write(json.dumps(manifest, indent=1).encode())
