"""Folders in the form of CIFAR-10-C, made of any images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainables.data.cifar_c import LABELS
from trainables.data.corruptions.corrupt import corrupt
from trainables.data.corruptions.noise import Draws
from trainables.data.corruptions.severities import NAMES, SEVERITIES, Table

_ROUNDING = 1e-3
"""Of bytes that were made floats a product with 255 may fall short by less than this."""


def write_corrupted(
    folder: Path,
    pixels: Tensor,
    labels: Tensor,
    draws: Callable[[str, int], Draws],
    *,
    names: Sequence[str] = NAMES,
    table: Table = "cifar",
) -> Path:
    """Writes `<corruption>.npy`, bytes [5 · N, S, S, C], and `labels.npy`; returns the folder.

    Values are cut off to bytes, as the published code does. As in CIFAR-10-C, images are those of
    severity 1, of 2, … in the same order.

    Args:
        folder: appears if it is not there.
        pixels: [N, C, S, S], float, 0…1.
        labels: [N].
        draws: what the draws of a corruption and severity come from.
        names: of corruptions.
        table: whose constants.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        made = [corrupt(pixels, name, one, draws(name, one), table=table) for one in SEVERITIES]
        values = torch.cat(made).movedim(1, -1) * 255 + _ROUNDING
        np.save(folder / f"{name}.npy", values.floor().clamp(0, 255).byte().numpy())
    np.save(folder / LABELS, np.tile(labels.numpy().astype(np.uint8), len(SEVERITIES)))
    return folder
