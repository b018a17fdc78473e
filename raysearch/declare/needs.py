"""What a search needs and is not there, such as its data: asked before any trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from raysearch.declare.space import Point, Space
from raysearch.errors import UnknownName

_LOOKED_AT = 64
"""So many points of a space are asked, and besides one for each value of each choice."""


def missing(config: Any) -> str | None:
    """The sentence on what a configuration needs and is not there; None if nothing is.

    A configuration says so by a method `missing()`; one without it needs nothing.
    """
    ask: Callable[[], str | None] | None = getattr(config, "missing", None)
    return None if ask is None else ask()


def refuse_missing(configs: Iterable[Any]) -> None:
    """Raises LookupError with the first of those sentences."""
    for config in configs:
        if sentence := missing(config):
            raise UnknownName(sentence)


def lacks(space: Space) -> str | None:
    """The sentence on what some point of a space needs and is not there."""
    return next((said for point in _points(space) if (said := missing(point.config))), None)


def refuse_lacks(space: Space) -> None:
    """Raises LookupError with that sentence."""
    if sentence := lacks(space):
        raise UnknownName(sentence)


def _points(space: Space) -> Iterator[Point]:
    """Some points, among them one for each value of each parameter with few."""
    yield from space.preview(_LOOKED_AT)
    seen: set[tuple[str, str]] = set()
    for params in space.survey.params:
        new = {
            (name, repr(value))
            for name, value in params.items()
            if space.survey.distributions[name].count is not None
        } - seen
        if new:
            seen |= new
            yield space.point(params)
