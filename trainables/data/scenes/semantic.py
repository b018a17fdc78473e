"""Classes of the pixels of scenes, of the numbers of their objects and what is known of these."""

# B scenes, E entities, H × W pixels.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes.classes import ANY
from trainables.data.scenes.store import Positions, Scenes


def class_maps(
    scenes: Scenes, positions: Positions, by: str, *, num_background: int, are_classes: bool = False
) -> NDArray[np.uint8]:
    """The class of each pixel [B, H, W], with 0 for the background.

    `by` a property it is the code of the object there, from 1, as the field of that name has it;
    by `any` 1 for all objects. Where labels `are_classes` they are taken as they are.

    Raises:
        LookupError: there is no such field.
    """
    labels = scenes.labels(positions)
    if are_classes:
        return labels
    if by == ANY:
        return (labels > 0).astype(np.uint8)
    if by not in scenes.fields:
        raise LookupError(f"property must be a field of the scenes, got {by!r}")
    codes = scenes.fields[by][positions][:, num_background:]
    table = np.concatenate([np.zeros((len(codes), 1), np.uint8), codes.astype(np.uint8)], 1)
    return np.take_along_axis(table, labels.reshape(len(labels), -1).astype(np.int64), 1).reshape(
        labels.shape
    )
