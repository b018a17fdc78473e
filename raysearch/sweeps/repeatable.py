"""Repeatability of a sweep: the same values give the same configuration."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from raysearch.errors import BadSetting, RaysearchError
from raysearch.sweeps.space import Point, Space
from raysearch.sweeps.walk import from_params, where

_POINTS = 8
"""So many random points are asked for twice."""
_NO_CHANCE = (
    "leave time, chance and the order of sets out of it: a name, folder or date of a run is made "
    "by the experiment"
)


def refuse_change(space: Space) -> None:
    """Asks for some points twice. Raises BadSetting where something is another the second time."""
    rng = random.Random(0)
    for _ in range(_POINTS):
        point = space.sample(rng)
        try:
            again = space.run(from_params(point.params))
        except RaysearchError as error:
            refuse_other(space, point, {"error": str(error)}, "and then")
        else:
            refuse_other(space, point, facts(again), "and then")


def facts(point: Point) -> dict[str, Any]:
    """What must be the same: canonical form, seed, and what was asked for."""
    asked = {name: each.to_json() for name, each in point.distributions.items()}
    return {
        "key": list(point.key),
        "config": {**point.config.canonical(), "seed": point.seed},
        "asked": asked,
    }


def refuse_other(space: Space, point: Point, again: Mapping[str, Any], then: str) -> None:
    """Raises BadSetting, naming the first value that differs, if the facts are others again.

    `again` may have an `error` instead: why there was no such point.
    """
    if "error" in again:
        raise BadSetting(
            f"sweep {space.sweep.name} must ask for the same parameters each time for the same "
            f"values, got {where(point.params)} {then} {again['error']}; {_NO_CHANCE}"
        )
    here = json.loads(json.dumps(facts(point)))
    there = json.loads(json.dumps(again))
    if here == there:
        return
    path, one, other = (
        _difference(here["config"], there["config"])
        or _difference(here["asked"], there["asked"])
        or ("its digest", *(each["key"][0] for each in (here, there)))
    )
    at = f" at {where(point.params)}" if point.params else ""
    raise BadSetting(
        f"sweep {space.sweep.name} must give the same configuration each time for the same values, "
        f"got {path}={one!r} {then} {other!r}{at}; {_NO_CHANCE}"
    )


def _difference(
    one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = ""
) -> tuple[str, Any, Any] | None:
    """The path of the first value that differs, with both."""
    for name in dict.fromkeys([*one, *other]):
        mine, others = one.get(name), other.get(name)
        if mine == others:
            continue
        if isinstance(mine, Mapping) and isinstance(others, Mapping):
            return _difference(mine, others, f"{prefix}{name}.")
        return f"{prefix}{name}", mine, others
    return None
