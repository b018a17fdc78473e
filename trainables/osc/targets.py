"""Targets of probes: properties of the objects of scenes, and their number."""

# n scenes, E entities, Q questions, V values of a property.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.data.scenes.choosing import Positions
from trainables.data.scenes.store import Scenes, Store
from trainables.metrics.properties import CLEVR_VALUES, combinations, counts, property_targets
from trainables.osc.views import seen_in_middle

MOST = 10
"""More objects are not counted; CLEVR has no more."""
FEWEST = 3
"""Of so many scenes one can be held out from a probe."""
AT_ONCE = 256
"""So many label maps are looked at together."""


@dataclass(frozen=True)
class Targets:
    """What is asked of n scenes: first those that probes learn from, then those that test them."""

    questions: Tensor
    """Bool [n, Q]: is there an object with such a combination of properties? CLEVR's are 96."""
    properties: dict[str, Tensor]
    """Bool [n, V] by property: is there an object with such a value?"""
    counts: Tensor
    """Int64 [n]: how many objects are seen, at most `MOST`."""
    number_fitted: int
    """How many of them, the first, are learned from: three quarters, without a part of a clip."""

    @property
    def fitting(self) -> slice:
        """Those that are learned from."""
        return slice(0, self.number_fitted)

    @property
    def testing(self) -> slice:
        """The others."""
        return slice(self.number_fitted, len(self.counts))


def targets(store: Store, split: str, positions: Positions) -> Targets:
    """Of the properties that the set codes by small integers, and of what is visible."""
    scenes, background = store.splits[split], store.num_background
    visible = _visible(scenes, positions, background)
    codes = {name: torch.from_numpy(scenes.fields[name][positions]) for name in coded(scenes)}
    values = {name: _values(store, name) for name in codes}
    asked: dict[str, Tensor] = {}
    every = torch.zeros(len(positions), 0, dtype=torch.bool)
    if codes:
        asked = property_targets(codes, visible, values, num_background=background)
        every = combinations(codes, visible, values, num_background=background)
    seen = counts(visible, MOST, num_background=background)
    number = _number_fitted(scenes, positions)
    return Targets(every, asked if len(asked) > 1 else {}, seen, number)


def coded(scenes: Scenes) -> list[str]:
    """Fields [N, E] of codes from 1, 0 for none; those of CLEVR in the order of its questions."""
    found = {
        name
        for name, field in scenes.fields.items()
        if field.ndim == 2 and field.dtype == np.uint8 and name != "visibility"
    }
    first = [name for name in CLEVR_VALUES if name in found]
    return [*first, *sorted(found - set(first))]


def _values(store: Store, name: str) -> int:
    """How many values a property has: CLEVR's are known, of others those that occur."""
    if all(one in store.splits["train"].fields for one in CLEVR_VALUES):
        return CLEVR_VALUES[name]
    return max(int(split.fields[name].max(initial=1)) for split in store.splits.values())


def _number_fitted(scenes: Scenes, positions: Positions) -> int:
    """Three quarters; fewer where that would have frames of one clip on both sides, unless too few
    are left.
    """
    number = len(positions) - len(positions) // 4
    if "clip" not in scenes.fields or number == len(positions):
        return number
    clip = scenes.fields["clip"][positions]
    before = np.flatnonzero(clip[:number] != clip[number])
    whole = int(before[-1]) + 1 if len(before) else 0
    return whole if whole >= FEWEST else number


def _visible(scenes: Scenes, positions: Positions, background: int) -> Tensor:
    """Which entities are seen, bool [n, E]: as the set says, else as many as there are objects.

    Of pictures that are no squares, only objects that the square in their middle has left.
    """
    if "visibility" in scenes.fields:
        found = torch.from_numpy(scenes.fields["visibility"][positions].astype(bool))
    else:
        number = torch.from_numpy(scenes.counts[positions].astype(np.int64)) + background
        found = torch.arange(int(number.max())) < number[:, None]
    height, width = scenes.images(positions[:1]).shape[1:3]
    if not scenes.has_labels or height == width:
        return found
    parts = np.array_split(positions, -(-len(positions) // AT_ONCE))
    inside = [
        seen_in_middle(torch.from_numpy(scenes.labels(part)), found.shape[1] - background)
        for part in parts
    ]
    return torch.cat([found[:, :background], found[:, background:] & torch.cat(inside)], 1)
