"""Examples in two splits are found."""

from __future__ import annotations

import torch

from trainables.metrics.leaks import duplicates


def test_a_query_that_is_in_the_bank_is_found_and_one_that_is_almost_is_not() -> None:
    bank = torch.rand(5, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    queries = torch.stack([bank[3], bank[3] + 1e-6, bank[0].flip(-1), bank[4]])
    assert duplicates(bank, queries).tolist() == [True, False, False, True]
    assert duplicates(bank[:0], queries[:1]).tolist() == [False]
    assert duplicates(bank, queries[:0]).tolist() == []
