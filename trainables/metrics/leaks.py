"""Examples that are in two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor


def duplicates(bank: Tensor, queries: Tensor) -> Tensor:
    """Whether each of the queries [n, …] is in the bank [m, …], value for value: bool [n]."""
    if not len(bank):
        return torch.zeros(len(queries), dtype=torch.bool)
    known = set(_digests(bank))
    return torch.tensor([one in known for one in _digests(queries)], dtype=torch.bool)


def _digests(rows: Tensor) -> Iterator[bytes]:
    """What stands for each, since the rows themselves would be as large again."""
    for row in rows.flatten(1).contiguous().numpy(force=True):
        yield hashlib.blake2b(row.tobytes(), digest_size=16).digest()
