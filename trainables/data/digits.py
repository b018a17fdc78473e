"""The 1,797 handwritten digits of scikit-learn, 8 × 8 pixels, in seeded splits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from trainables.data.catalog import DIGITS


@dataclass(frozen=True)
class Split:
    """Images [N, 1, 8, 8], float, standardised with the training split, and labels [N].

    `grey` [N, 1, 8, 8] is what they were before, 0…1.
    """

    images: Tensor
    labels: Tensor
    grey: Tensor

    def __len__(self) -> int:
        """How many images."""
        return len(self.labels)

    def take(self, positions: Tensor) -> Tensor:
        """The images at these positions."""
        return self.images[positions]

    def pixels(self, positions: Tensor) -> Tensor:
        """What they show, [B, 1, 8, 8], 0…1: sixteenths, as in the file."""
        return self.grey[positions]

    def at(self, positions: NDArray[np.int64]) -> Split:
        """Those at these positions alone."""
        return Split(self.images[positions], self.labels[positions], self.grey[positions])


@dataclass(frozen=True)
class Digits:
    """The three splits, the value of an empty pixel, and the SHA-256 of pixels and labels.

    Of the hash there are 16 hexadecimal digits. `mean` and `deviation` are what images were
    standardised with, in units in which pixels are 0…1. Where training images have no labels (−1),
    `with_unlabelled` are those of `train` and these, and `truth` are their labels.
    """

    train: Split
    val: Split
    test: Split
    background: float
    fingerprint: str
    mean: float
    deviation: float
    with_unlabelled: Split | None = None
    truth: Tensor | None = None


def load(seed: int = 0) -> Digits:
    """The digits in stratified splits of 1,197, 300 and 300 images, drawn from `seed`."""
    found: Any = load_digits(return_X_y=True)
    pixels, labels = found
    pixels = pixels.reshape(-1, 8, 8).astype(np.float32) / 16
    train, val, test = divided(labels, seed).values()
    mean, deviation = float(pixels[train].mean()), float(pixels[train].std())
    digest = hashlib.sha256()

    def split(drawn: NDArray[np.int64]) -> Split:
        indices = np.sort(drawn)
        digest.update(pixels[indices].tobytes() + labels[indices].astype(np.int64).tobytes())
        grey = pixels[indices]
        images = torch.from_numpy((grey - mean) / deviation)[:, None]
        numbers = torch.from_numpy(labels[indices].astype(np.int64))
        return Split(images, numbers, torch.from_numpy(grey)[:, None])

    sets = split(train), split(val), split(test)
    return Digits(*sets, -mean / deviation, digest.hexdigest()[:16], mean, deviation)


def divided(labels: NDArray[Any], seed: int) -> dict[str, NDArray[np.int64]]:
    """Positions of train, val and test as they were drawn from `seed`, stratified."""
    sizes = DIGITS.splits
    everything = np.arange(len(labels))
    first: Any = train_test_split(
        everything, test_size=sizes["test"], stratify=labels, random_state=seed
    )
    rest, test = first
    second: Any = train_test_split(
        rest, test_size=sizes["val"], stratify=labels[rest], random_state=seed
    )
    train, val = second
    return {"train": train, "val": val, "test": test}
