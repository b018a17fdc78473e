"""Shares scenes out to splits, in their order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_PERIOD = 10


def counts(count: int, shares: Mapping[str, int]) -> dict[str, int]:
    """How many of `count` scenes each split gets; at least one.

    Raises:
        ValueError: there are fewer scenes than splits.
    """
    total = sum(shares.values())
    first, *others = shares
    found = {name: max(1, round(count * shares[name] / total)) for name in others}
    if (rest := count - sum(found.values())) < 1:
        raise ValueError(f"scenes must be at least {len(shares)}, one for each split, got {count}")
    return {first: rest, **found}


def split_of(index: int) -> str:
    """The split of a scene by its number alone: of ten in a row 1 is validation and 2 test."""
    return {1: VALIDATION, 2: TEST}.get(index % _PERIOD, TRAIN)


def shared_out(
    scenes: Iterable[T], count: int, shares: Mapping[str, int]
) -> Iterator[tuple[str, Iterator[T]]]:
    """Each split with its scenes, which have to be used up before the next split."""
    every = iter(scenes)
    for split, number in counts(count, shares).items():
        yield split, itertools.islice(every, number)
