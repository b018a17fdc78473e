"""Examples that are in two splits."""

from __future__ import annotations

import torch
from torch import Tensor


def duplicates(bank: Tensor, queries: Tensor) -> Tensor:
    """Whether each of the queries [n, …] is in the bank [m, …], value for value: bool [n]."""
    if not len(bank):
        return torch.zeros(len(queries), dtype=torch.bool)
    known = {row.tobytes() for row in bank.flatten(1).contiguous().numpy(force=True)}
    found = [row.tobytes() in known for row in queries.flatten(1).contiguous().numpy(force=True)]
    return torch.tensor(found, dtype=torch.bool)
