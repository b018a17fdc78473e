"""Objects that a crop has left in prepared pictures, found once in their labels and kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.core.files import written
from trainables.data.scenes.shards import Shards

FILE = "left.npy"
"""[N, O], whether a pixel of object 1 … O is in the picture; in the folder of a store, where it is
made when the store is first read, and again if it is not there."""
_AT_ONCE = 16  # pictures: their labels stay in the processor's cache while all objects are sought

log = logging.getLogger(__name__)


def left(labels: Shards, objects: int) -> NDArray[np.bool_]:
    """Whether a pixel of each object is there, [N, O], by the labels from 1 of N pictures."""
    found = np.zeros((len(labels), objects), np.bool_)
    for start in range(0, len(found), _AT_ONCE):
        pixels = labels.take(np.arange(start, min(start + _AT_ONCE, len(found))))
        pixels = pixels.reshape(len(pixels), -1)
        for number in range(objects):
            found[start : start + len(pixels), number] = (pixels == number + 1).any(1)
    return found


def kept_left(folder: Path, labels: Shards, objects: int) -> NDArray[np.bool_]:
    """The same, from the folder of their store, and into it. Raises ValueError if it is damaged."""
    path = folder / FILE
    if path.exists():
        found = np.load(path)
        if found.shape != (len(labels), objects) or found.dtype != np.bool_:
            raise ValueError(f"{FILE} has another shape")
        return found
    found = left(labels, objects)
    try:
        with written(path, is_shared=True, syncs=False) as file:
            np.save(file, found)
    except OSError:  # of another user, or a full disk: each run sees for itself
        log.info("%s cannot be kept", path, exc_info=True)
    return found


def counted(
    fields: dict[str, NDArray[Any]], there: NDArray[np.bool_]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
    """Fields and counts in which an object that is not there any more is not visible.

    Fields without `visibility` stay as they are. The first entities are background: those that are
    in front of the O objects.
    """
    if "visibility" in fields:
        visible = fields["visibility"].copy()
        there = np.logical_and(visible[:, visible.shape[1] - there.shape[1] :], there)
        visible[:, visible.shape[1] - there.shape[1] :] = there
        visible.flags.writeable = False
        fields = {**fields, "visibility": visible}
    counts = there.sum(1, dtype=np.uint8)
    counts.flags.writeable = False
    return fields, counts
