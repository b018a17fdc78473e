"""Images of a split with other labels than it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class _Split(Protocol):
    @property
    def labels(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def take(self, positions: Tensor) -> Tensor: ...

    def pixels(self, positions: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Relabelled:
    """The images of a split at some positions [N], with labels of their own [N], both int64."""

    split: _Split
    positions: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """How many images."""
        return len(self.positions)

    def take(self, positions: Tensor) -> Tensor:
        """Images [B, C, H, W], float32, standardised."""
        return self.split.take(self.positions[positions])

    def pixels(self, positions: Tensor) -> Tensor:
        """The same before that: float32, 0…1."""
        return self.split.pixels(self.positions[positions])
