"""Scenes of an evaluation with what networks found of them."""

# B scenes, S slots.

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from trainables.data.scenes.choosing import Positions
from trainables.osc.model import Outputs


class Look(NamedTuple):
    """Scenes of an evaluation: positions, images [B, 3, S, S] in 0…1, labels, what was found."""

    positions: Positions
    images: Tensor
    labels: Tensor | None
    """[B, S, S] on the side of the images; None for a set without masks."""
    full_labels: Tensor | None
    """[B, H, W] as they are stored."""
    found: Outputs
    maps: Tensor | None
    """[B, S, h, w], what slots look at; None without slots."""
