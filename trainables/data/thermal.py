"""Counts of 16 bits, such as those of infrared cameras, as numbers in 0…1."""

# B images, C channels, H × W pixels.

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.core.files import written
from trainables.data.cache import Mapped

Scale = Literal["window", "percentiles", "whole"]

_AT_ONCE = 512
"""So many images are read together for their statistics."""


def window(
    counts: Tensor, *, low: float, high: float, coldest: float, hottest: float, largest: float
) -> Tensor:
    """clip((T − low) / (high − low), 0, 1), T = coldest + count · (hottest − coldest) / largest.

    Temperatures in °C: `coldest` is that of count 0, `hottest` that of the `largest` count.
    """
    degrees = coldest + counts.double() * ((hottest - coldest) / largest)
    return ((degrees - low) / (high - low)).clamp(0, 1).float()


def percentiles(counts: Tensor, *, lower: float, upper: float) -> Tensor:
    """Each image [C, H, W] of [B, C, H, W] from its own percentiles, in 0…100, to 0…1; clipped.

    An image whose percentiles are equal is 0 all over.
    """
    flat = counts.float().flatten(1)
    shares = torch.tensor([lower / 100, upper / 100])
    low, high = flat.quantile(shares, dim=1)[..., None, None, None]
    span = torch.where(high > low, high - low, torch.inf)
    return ((counts.float() - low) / span).clamp(0, 1)


@dataclass(frozen=True)
class Reading:
    """How counts become 0…1: by `window` in °C, `percentiles` of each image, or the `whole` range,
    count / largest.
    """

    scale: Scale
    low: float = 10.0
    high: float = 50.0
    coldest: float = -80.0
    hottest: float = 2000.0
    largest: float = 65535.0
    lower: float = 1.0
    upper: float = 99.0

    def __call__(self, counts: Tensor) -> Tensor:
        """Counts [B, C, H, W] → float32, 0…1."""
        if self.scale == "percentiles":
            return percentiles(counts, lower=self.lower, upper=self.upper)
        if self.scale == "whole":
            return (counts.float() / self.largest).clamp(0, 1)
        return window(
            counts,
            low=self.low,
            high=self.high,
            coldest=self.coldest,
            hottest=self.hottest,
            largest=self.largest,
        )


@dataclass(frozen=True)
class CountsSplit:
    """Some of the images of a mapped part of 16 bits, or of 8; `indices` are theirs there.

    `mean` and `deviation` [C, 1, 1] are those of the training split after the reading.
    """

    part: Mapped
    indices: NDArray[np.int64]
    labels: Tensor
    mean: Tensor
    deviation: Tensor
    reading: Reading

    def __len__(self) -> int:
        """How many images."""
        return len(self.indices)

    def take(self, positions: Tensor) -> Tensor:
        """Images [B, C, H, W], float32, standardised; only these are read."""
        return self.pixels(positions).sub_(self.mean).div_(self.deviation)

    def pixels(self, positions: Tensor) -> Tensor:
        """Images [B, C, H, W], float32, 0…1; only these are read."""
        return read(self.part, self.indices[positions.numpy()], self.reading)

    def at(self, positions: NDArray[np.int64]) -> CountsSplit:
        """Those at these positions alone."""
        return replace(self, indices=self.indices[positions], labels=self.labels[positions])


def read(part: Mapped, indices: NDArray[np.int64], reading: Reading) -> Tensor:
    """Images [B, C, H, W] of a part, float32, 0…1."""
    counts = np.asarray(part.images[indices]).astype(np.float32)
    return reading(torch.from_numpy(counts))


def statistics(
    folder: Path, part: Mapped, indices: NDArray[np.int64], reading: Reading
) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel [C, 1, 1] of some images, as they are read.

    They are found once and kept beside the arrays, in `statistics-<which>.json`; no deviation is 0.
    """
    facts = json.dumps([asdict(reading), len(part.images)]).encode()
    which = hashlib.sha256(facts + indices.tobytes() + part.labels.tobytes()).hexdigest()[:16]
    path = folder / f"statistics-{which}.json"
    if not path.exists():
        total, squares, pixels = 0.0, 0.0, 0
        for start in range(0, len(indices), _AT_ONCE):
            images = read(part, indices[start : start + _AT_ONCE], reading).double()
            total, squares = total + images.sum((0, 2, 3)), squares + (images**2).sum((0, 2, 3))
            pixels += images[:, 0].numel()
        mean = torch.as_tensor(total) / pixels
        deviation = (torch.as_tensor(squares) / pixels - mean**2).clamp(min=0).sqrt()
        deviation[deviation == 0] = 1.0
        found = {"mean": mean.tolist(), "deviation": deviation.tolist(), "images": len(indices)}
        with written(path) as file:
            file.write(json.dumps({**found, "reading": asdict(reading)}, indent=1).encode())
    found = json.loads(path.read_text())
    mean, deviation = (torch.tensor(found[name]).float() for name in ("mean", "deviation"))
    return mean[:, None, None], deviation[:, None, None]
