"""Arrays on disk that are one array together, taken by position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


class Shards:
    """Arrays [n, …] that are one array [N, …] together."""

    def __init__(self, arrays: list[NDArray[np.uint8]]) -> None:
        self._arrays = arrays
        self._ends = np.cumsum([len(array) for array in arrays])

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._arrays else 0

    def take(self, positions: Positions) -> NDArray[np.uint8]:
        """A copy of the rows at some positions, in their order. Raises IndexError."""
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(self):
            raise IndexError(f"positions must be 0…{len(self) - 1}")
        if len(self._arrays) == 1:
            return self._arrays[0].take(positions, axis=0)
        found = np.empty((len(positions), *self._arrays[0].shape[1:]), np.uint8)
        of_shard = np.searchsorted(self._ends, positions, side="right")
        for shard in np.unique(of_shard):
            wanted = np.flatnonzero(of_shard == shard)
            array = self._arrays[shard]
            found[wanted] = array.take(positions[wanted] - (self._ends[shard] - len(array)), axis=0)
        return found
