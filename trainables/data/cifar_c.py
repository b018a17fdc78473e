"""Folders of corrupted images in the form of CIFAR-10-C, mapped from disk."""

# N images of the test split, C channels, S × S pixels.

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.corruptions.severities import SEVERITIES

LABELS = "labels.npy"


@dataclass(frozen=True)
class CorruptedFiles:
    """`<corruption>.npy`, bytes [5 · N, S, S, C], the test split at severities 1…5 in a row; and
    the labels of all, int64 [N].
    """

    folder: Path
    labels: NDArray[np.int64]

    def take(self, name: str, severity: int, positions: Tensor) -> Tensor:
        """Images [n, C, S, S], float32, 0…1, at positions of the test split; only these are read.

        Raises:
            LookupError: there is no such file. ValueError: no such severity, or it is another
                form.
        """
        if severity not in SEVERITIES:
            raise ValueError(f"severity must be 1…5, got {severity!r}")
        path = self.folder / f"{name}.npy"
        if not path.is_file():
            raise LookupError(f"{path} must be the images corrupted by {name}, and is not there")
        images, count = np.load(path, mmap_mode="r"), len(self.labels)
        if images.ndim != 4 or len(images) != 5 * count or images.dtype != np.uint8:
            raise ValueError(
                f"{path} must hold bytes [{5 * count}, S, S, C], five times as many images as "
                f"there are labels of one severity, got {images.dtype} {list(images.shape)}"
            )
        pixels = images[(severity - 1) * count + positions.numpy()]
        return torch.from_numpy(np.ascontiguousarray(pixels)).movedim(-1, 1).float() / 255


def opened(folder: Path) -> CorruptedFiles:
    """A folder that has `labels.npy` [5 · N], the same labels five times, and images.

    Raises:
        LookupError: there are no labels. ValueError: they are not five times the same.
    """
    path = folder / LABELS
    if not path.is_file():
        raise LookupError(f"{path} must be the labels of corrupted images, and is not there")
    labels = np.load(path).astype(np.int64)
    count, rest = divmod(len(labels), len(SEVERITIES))
    if labels.ndim != 1 or rest or not count or (labels.reshape(-1, count) != labels[:count]).any():
        raise ValueError(f"{path} must hold the labels of the test split five times in a row")
    return CorruptedFiles(folder, labels[:count])
