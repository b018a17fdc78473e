"""How many clusters are used."""

from __future__ import annotations

import pytest
import torch

from trainables.metrics.cluster_use import cluster_use


@pytest.mark.parametrize(
    ("counts", "used"), [([7, 0, 0], 1.0), ([5, 5, 5, 5], 4.0), ([3, 0, 3], 2.0)]
)
def test_as_many_clusters_are_used_as_have_equal_shares(counts: list[int], used: float) -> None:
    assert cluster_use(torch.tensor(counts)) == pytest.approx(used)


def test_nothing_that_was_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        cluster_use(torch.zeros(3, dtype=torch.int64))
