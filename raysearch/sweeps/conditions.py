"""Conditions of parameters, read off the points that were seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

_MOST_VALUES = 32
Condition = dict[str, Any]


def conditions(seen: Sequence[dict[str, Any]]) -> dict[str, list[Condition]]:
    """For each parameter that only some points have: the values of its parents when they have it.

    A parent is asked for earlier, has few values, and with at most one other decides by its value
    whether the parameter is there. A parameter for which no such parent was seen has an empty list.
    """
    names = list(dict.fromkeys(name for params in seen for name in params))
    return {
        name: _of(name, names, seen) for name in names if any(name not in params for params in seen)
    }


def _of(name: str, names: Sequence[str], seen: Sequence[dict[str, Any]]) -> list[Condition]:
    earlier = _asked_before(name, names, seen)
    for size in (1, 2):
        for parents in combinations(earlier, size):
            found = _decided_by(parents, name, seen)
            if found is not None:
                return found
    return []


def _asked_before(name: str, names: Sequence[str], seen: Sequence[dict[str, Any]]) -> list[str]:
    """Names that precede it in each point with both, and have few values; the nearest first."""
    after: set[str] = set()
    for params in seen:
        if name in params:
            order = list(params)
            after.update(order[order.index(name) :])
    few = [
        other
        for other in names
        if other not in after
        and len({params[other] for params in seen if other in params}) <= _MOST_VALUES
    ]
    return list(reversed(few))


def _decided_by(
    parents: Sequence[str], name: str, seen: Sequence[dict[str, Any]]
) -> list[Condition] | None:
    """The combinations of the parents' values with the parameter; None if they do not decide."""
    there: dict[tuple[Any, ...], bool] = {}
    for params in seen:
        present = name in params
        if not all(parent in params for parent in parents):
            if present:
                return None
            continue
        values = tuple(params[parent] for parent in parents)
        if there.setdefault(values, present) != present:
            return None
    if all(there.values()):
        return None  # it is there whenever they are: both have another parent
    return [dict(zip(parents, values, strict=True)) for values, present in there.items() if present]
