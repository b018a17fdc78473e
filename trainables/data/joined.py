"""Images of two splits as if they were of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

NO_LABEL = -1
"""What stands in place of the class of an image that has none."""


class _Split(Protocol):
    @property
    def labels(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def take(self, positions: Tensor) -> Tensor: ...

    def pixels(self, positions: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Joined:
    """The images of a split, and behind them those of another one."""

    first: _Split
    second: _Split

    @property
    def labels(self) -> Tensor:
        """Those of both, int64 [N]."""
        return torch.cat([self.first.labels, self.second.labels])

    def __len__(self) -> int:
        """How many images."""
        return len(self.first) + len(self.second)

    def take(self, positions: Tensor) -> Tensor:
        """Images [B, C, H, W], float32, standardised."""
        return self._of(positions, "take")

    def pixels(self, positions: Tensor) -> Tensor:
        """The same before that: float32, 0…1."""
        return self._of(positions, "pixels")

    def _of(self, positions: Tensor, what: str) -> Tensor:
        is_first, size = positions < len(self.first), len(self.first)
        pieces = (
            (is_first, getattr(self.first, what), positions[is_first]),
            (~is_first, getattr(self.second, what), positions[~is_first] - size),
        )
        parts = [(mask, read(own)) for mask, read, own in pieces if len(own)]
        found = parts[0][1].new_empty(len(positions), *parts[0][1].shape[1:])
        for mask, images in parts:
            found[mask] = images
        return found
