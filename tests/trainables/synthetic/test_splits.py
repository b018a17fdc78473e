"""Shares of splits."""

from __future__ import annotations

import pytest

from trainables.synthetic.splits import counts, shared_out

SHARES = {"train": 70, "val": 15, "test": 15}


@pytest.mark.parametrize(
    ("count", "expected"), [(100, (70, 15, 15)), (3, (1, 1, 1)), (10, (6, 2, 2))]
)
def test_splits_get_their_shares_and_at_least_one(count: int, expected: tuple) -> None:
    assert tuple(counts(count, SHARES).values()) == expected


def test_fewer_scenes_than_splits_are_refused() -> None:
    with pytest.raises(ValueError, match="scenes must be at least 3, one for each split, got 2"):
        counts(2, SHARES)


def test_scenes_are_shared_out_in_their_order() -> None:
    found = {name: list(own) for name, own in shared_out(range(10), 10, SHARES)}
    assert found == {"train": [0, 1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9]}
