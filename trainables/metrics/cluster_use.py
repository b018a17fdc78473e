"""How clusters are used where no class is known: how near codes are to them, and how evenly."""

# K clusters.

from __future__ import annotations

import torch
from torch import Tensor


def cluster_use(counts: Tensor) -> float:
    """How many clusters are used: e to the entropy of shares of counts [K], in 1…K.

    1: all is in one cluster; K: as much in each. Counts are of at least one pixel.

    Raises:
        ValueError: there is nothing that was counted.
    """
    total = counts.sum()
    if not int(total):
        raise ValueError(f"counts must be of at least one pixel, got {counts.tolist()}")
    shares = counts.double() / total
    return float(torch.special.entr(shares).sum().exp())
