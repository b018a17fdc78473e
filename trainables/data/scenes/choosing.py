"""The choice of scenes of a split, and their pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.scenes.store import Scenes, positions_with

Positions = NDArray[np.int64]

MANY = 255
"""More objects than the labels of a scene can tell apart."""


def most(objects: int | None) -> int:
    """A highest number of objects, or one that no scene exceeds."""
    return MANY if objects is None else objects


def chosen(
    scenes: Scenes,
    *,
    min_objects: int,
    max_objects: int | None,
    frames: int | None,
    limit: int | None,
    draw: torch.Generator,
) -> Positions:
    """Ascending positions of scenes with so many objects, at most so many of them, by draw.

    Of clips, at most the first `frames` frames of each; None stands for all there are.
    """
    found = positions_with(scenes, min_objects, most(max_objects))
    if frames is not None:
        found = found[scenes.fields["frame"][found] < frames]
    if limit is not None and limit < len(found):
        kept = torch.randperm(len(found), generator=draw)[:limit]
        found = np.sort(found[kept.numpy()])
    return found


def pixels(scenes: Scenes, positions: Positions) -> Tensor:
    """Images [B, 3, H, W] in 0…1, float32, channels last in memory; grey ones three times."""
    found = torch.from_numpy(scenes.images(positions)).expand(-1, -1, -1, 3)
    found = found.contiguous().permute(0, 3, 1, 2)
    return found.to(torch.float32, memory_format=torch.preserve_format).div_(255)


def clips(scenes: Scenes, positions: Positions) -> Positions:
    """The scenes of each clip among some positions, frame after frame, [clips, frames].

    Raises:
        ValueError: clips differ in their number of frames, or have a single one.
    """
    number, frame = (scenes.fields[name][positions] for name in ("clip", "frame"))
    order = np.lexsort((frame, number))
    _, counts = np.unique(number, return_counts=True)
    if not len(counts) or counts.min() != counts.max() or counts[0] < 2:
        shown = sorted(set(counts.tolist()))
        raise ValueError(f"clips must have equally many frames, at least 2, got {shown}")
    return positions[order].reshape(len(counts), -1)
