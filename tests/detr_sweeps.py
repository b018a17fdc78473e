"""The sweeps of the family detr as tests see them, each walked once."""

from __future__ import annotations

from functools import cache
from typing import Any

from raysearch.sweeps import catalog
from raysearch.sweeps.distributions import Choice
from raysearch.sweeps.space import Space

SWEEPS = {
    name: sweep
    for name, sweep in catalog.sweeps(["search_spaces"]).items()
    if name.startswith("detr.") and sweep.tags.get("size") != "small"
}
LOGGED = [name for name in SWEEPS if name.startswith("detr.E")]
OTHERS = [name for name in SWEEPS if name not in LOGGED]


@cache
def space(name: str) -> Space:
    """The space of a sweep, walked once."""
    return Space(SWEEPS[name])


def offered(name: str) -> dict[str, frozenset[Any]]:
    """What a sweep offers, by name."""
    found = space(name).survey.distributions
    return {name: frozenset(d.choices) for name, d in found.items() if isinstance(d, Choice)}


def configurations(name: str) -> list[tuple[dict[str, Any], Any]]:
    """The points of a sweep: parameters and configurations."""
    return [(params, space(name).point(params).config) for params in space(name).survey.params]


def at(config: Any, *paths: str) -> tuple[Any, ...]:
    """The values at these paths."""
    return tuple(config.value_at(path) for path in paths)
