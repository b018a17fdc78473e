"""Prepared scenes as tensors: images in 0…1, whatever their channels, labels and masks."""

# B scenes, E entities, H × W pixels.

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.scenes.store import Scenes


def images(scenes: Scenes, positions: NDArray[np.int64]) -> Tensor:
    """Pictures [B, 3, H, W], float32 in 0…1, channels last in memory; grey ones three times."""
    pixels = torch.from_numpy(scenes.images(positions))
    pixels = pixels.expand(-1, -1, -1, 3).contiguous().permute(0, 3, 1, 2)
    return pixels.to(torch.float32, memory_format=torch.preserve_format).div_(255)


def labels(scenes: Scenes, positions: NDArray[np.int64]) -> Tensor:
    """Number of the object at each pixel [B, H, W], int64; 0 is background.

    Raises:
        ValueError: the set has no masks.
    """
    return torch.from_numpy(scenes.labels(positions)).long()


def masks(labels: Tensor, entities: int) -> tuple[Tensor, Tensor]:
    """Of labels [B, H, W] the mask of each entity [B, E, H, W] and whether it is there [B, E].

    Entity 0 is the background. Bool both; a mask of what is not there is empty.

    Raises:
        ValueError: a label is not below `entities`.
    """
    if labels.numel() and int(labels.max()) >= entities:
        raise ValueError(
            f"entities must be above the highest label, {int(labels.max())}, got {entities}"
        )
    numbers = torch.arange(entities, device=labels.device)
    found = labels[:, None] == numbers[:, None, None]
    return found, found.flatten(2).any(2)
