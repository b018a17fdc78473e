"""Requirements of a search that are not met, such as data or a metric, before any trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from raysearch.errors import BadSetting, UnknownName
from raysearch.sweeps.space import Point, Space
from raysearch.sweeps.sweep import Metric

_LOOKED_AT = 64
"""So many points of a space are asked, and besides one for each value of each choice."""


def missing(config: Any) -> str | None:
    """The sentence on what a configuration needs and is not there; None if nothing is.

    A configuration says so by a method `missing()`; one without it needs nothing.
    """
    ask: Callable[[], str | None] | None = getattr(config, "missing", None)
    return None if ask is None else ask()


def unreported(config: Any, metrics: Iterable[Metric]) -> str | None:
    """The sentence on a metric that a run of a configuration never reports; None if there is none.

    A configuration says so by a method `unreported(name)`; one without it may report anything.
    """
    ask: Callable[[str], str | None] | None = getattr(config, "unreported", None)
    if ask is None:
        return None
    return next((sentence for metric in metrics if (sentence := ask(metric.name))), None)


def refuse_unreported(configs: Iterable[Any], metrics: Sequence[Metric]) -> None:
    """Raises ValueError with the first of those sentences."""
    for config in configs:
        if sentence := unreported(config, metrics):
            raise BadSetting(sentence)


def refuse_missing(configs: Iterable[Any]) -> None:
    """Raises LookupError with the first of those sentences."""
    for config in configs:
        if sentence := missing(config):
            raise UnknownName(sentence)


def missing_at_a_point(space: Space) -> str | None:
    """The sentence on what some point of a space needs and is not there."""
    return next((sentence for point in _points(space) if (sentence := missing(point.config))), None)


def withholds(space: Space) -> str | None:
    """The sentence on a metric of its sweep that some point of a space never reports."""
    metrics = space.sweep.metrics
    configs = (point.config for point in _points(space))
    return next((sentence for config in configs if (sentence := unreported(config, metrics))), None)


def refuse_lacks(space: Space) -> None:
    """Raises ValueError with the sentence on a metric, where no data would help, else LookupError
    with that on what is missing.
    """
    if sentence := withholds(space):
        raise BadSetting(sentence)
    if sentence := missing_at_a_point(space):
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
