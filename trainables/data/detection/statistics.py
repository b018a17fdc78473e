"""Statistics of a split of pictures with boxes: counts and sizes by class, boxes a picture."""

# E examples of a split, A boxes of them all.

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.data.detection.store import Indices, Split, within

BOUNDS = (32**2, 96**2)
"""Square pixels from which a box is medium, and large (Lin et al. 2014)."""


class Boxes(NamedTuple):
    """All boxes that a detector is to find in a split, [A] each.

    `areas` in square pixels are as annotated, width times height where that is not said.
    """

    examples: Indices
    classes: Indices
    areas: NDArray[np.float64]


class Statistics(NamedTuple):
    """How many pictures there are, without boxes too; boxes by class; and so on.

    `sizes` are the shares of small, medium and large boxes, 1 together (0 each without boxes);
    `per_picture` [n + 1] how many pictures have 0 … n boxes; `crowds` how many annotations are
    crowds.
    """

    pictures: int
    boxes: Mapping[int, int]
    sizes: tuple[float, float, float]
    per_picture: Indices
    crowds: int


def boxes_of(split: Split) -> Boxes:
    """The targets of all pictures at once."""
    columns = split.columns
    first, last = columns.offsets[split.rows], columns.offsets[split.rows + 1]
    counts = last - first
    examples = np.repeat(np.arange(len(split)), counts)
    starts = np.repeat(first - np.cumsum(counts) + counts, counts)
    places = starts + np.arange(len(examples))
    heights, widths = columns.sizes[split.rows[examples]].T
    boxes = columns.boxes[places]
    _, kept = within(boxes, columns.crowd[places], heights, widths)
    areas = columns.areas[places]
    areas = np.where(np.isnan(areas), boxes[:, 2] * boxes[:, 3], areas)
    return Boxes(examples[kept], columns.classes[places][kept], areas[kept])


def statistics(split: Split, *, bounds: tuple[float, float] = BOUNDS) -> Statistics:
    """Of a split; `bounds` are the areas in square pixels from which boxes are medium, and large.

    Raises:
        ValueError: bounds are not ascending.
    """
    if not 0 < bounds[0] < bounds[1]:
        raise ValueError(f"bounds must be ascending and above 0, got {bounds}")
    examples, classes, areas = boxes_of(split)
    numbers, times = np.unique(classes, return_counts=True)
    of_size = np.bincount(np.searchsorted(bounds, areas, side="right"), minlength=3)
    small, medium, large = (of_size / max(1, len(areas))).tolist()
    columns = split.columns
    ends = columns.offsets[split.rows], columns.offsets[split.rows + 1]
    crowds = np.concatenate([[0], np.cumsum(columns.crowd)])
    return Statistics(
        len(split),
        dict(zip(numbers.tolist(), times.tolist(), strict=True)),
        (small, medium, large),
        np.bincount(np.bincount(examples, minlength=len(split))),
        int((crowds[ends[1]] - crowds[ends[0]]).sum()),
    )
