"""The functions of Hydra's override grammar: sweeps, casts, tags, orders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fnmatch import fnmatch
from typing import Any

from raysearch.errors import BadSetting
from raysearch.sweeps.nearest import on_offer

_MOST = 1_000_000
"""A longer range is none that anybody ran."""
_TOO_LARGE = 2**63


class Quoted(str):
    """A text that was quoted."""


@dataclass(frozen=True)
class Call:
    """A function with its arguments, evaluated."""

    name: str
    positional: Sequence[Any]
    named: dict[str, Any]


@dataclass(frozen=True)
class Choices:
    """`a,b,c` (simple) or `choice(a,b,c)`: each in turn."""

    values: tuple[Any, ...]
    simple: bool = False
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Range:
    """`range(start, stop, step)`: start, start + step, … before stop."""

    start: float
    stop: float
    step: float = 1
    tags: frozenset[str] = frozenset()

    def values(self) -> Iterator[Any]:
        """All of them; Hydra adds floats up as decimals of all their digits.

        Raises:
            ValueError: the step is 0.
        """
        if self.step == 0:
            raise BadSetting("the step of range must not be 0")
        if all(type(each) is int for each in (self.start, self.stop, self.step)):
            yield from range(int(self.start), int(self.stop), int(self.step))
            return
        value, stop, step = (Decimal(each) for each in (self.start, self.stop, self.step))
        while value < stop if step > 0 else value > stop:
            yield float(value)
            value += step


@dataclass(frozen=True)
class Interval:
    """`interval(low, high)`: a continuous range; integers if it was cast to them."""

    low: float
    high: float
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Glob:
    """`glob(include, exclude)`: the options of a config group whose names match."""

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()

    def among(self, names: Sequence[str]) -> list[str]:
        """Those of the names that match."""

        def is_in(name: str, patterns: Sequence[str]) -> bool:
            return any(fnmatch(name, pattern) for pattern in patterns)

        return [
            name for name in names if is_in(name, self.include) and not is_in(name, self.exclude)
        ]


_List = list
"""The type, where an argument of Hydra's has its name."""
Swept = Choices | Range | Interval | Glob


def evaluate(call: Call) -> Any:
    """What a function gives.

    Raises:
        ValueError: there is no such function, or not with these arguments.
    """
    function = _FUNCTIONS.get(call.name)
    if function is None:
        raise BadSetting(f"{call.name!r} is no function of Hydra{on_offer(call.name, _FUNCTIONS)}")
    try:
        return function(*call.positional, **call.named)
    except TypeError as error:
        raise BadSetting(f"{call.name}(): {error}") from None


def _simple_choice(*values: Any) -> Choices:
    for value in values:
        if isinstance(value, Swept):
            raise BadSetting("a choice must not hold another sweep")
    return Choices(tuple(map(_unquoted, values)), simple=True)


def _choice(*values: Any) -> Choices:
    if not values:
        raise BadSetting("a choice must not be empty")
    if len(values) == 1 and isinstance(values[0], Choices):
        if not values[0].simple:
            raise BadSetting("a choice must not hold another one")
        return replace(values[0], simple=False)
    return replace(_simple_choice(*values), simple=False)


def _unquoted(value: Any) -> Any:
    if isinstance(value, Quoted):
        return str(value)
    return [_unquoted(each) for each in value] if isinstance(value, list) else value


def _range(start: Any, stop: Any = None, step: Any = 1) -> Range:
    bounds = (0, start) if stop is None else (start, stop)
    for each in (*bounds, step):
        if not _is_finite(each):
            raise BadSetting(f"range must have finite numbers, got {each!r}")
    if step and (bounds[1] - bounds[0]) / step > _MOST:
        raise BadSetting(f"range must have at most {_MOST:,} values, got {bounds} by {step}")
    return Range(*bounds, step)


def _is_finite(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) < _TOO_LARGE if isinstance(value, int) else math.isfinite(value)


def _interval(start: Any, end: Any) -> Interval:
    for each in (start, end):
        if not _is_finite(each):
            raise BadSetting(f"interval must have finite numbers, got {each!r}")
    return Interval(float(start), float(end))


def _tag(*values: Any, sweep: Any = None) -> Any:
    *tags, last = (*values, sweep) if sweep is not None else values or (None,)
    if not isinstance(last, Swept) or not all(isinstance(tag, str) for tag in tags):
        raise BadSetting("tag must have words and then a sweep, such as tag(log, interval(1, 9))")
    return replace(last, tags=frozenset(tags))


def _shuffle(*values: Any, sweep: Any = None, list: Any = None) -> Any:
    """In the order given: for what is searched here it does not matter."""
    given = next((each for each in (list, sweep) if each is not None), None)
    arguments = (given,) if given is not None else values
    if len(arguments) == 1:
        one = arguments[0]
        return one if isinstance(one, (Choices, Range, _List)) else [one]
    return _simple_choice(*arguments)


def _sort(*values: Any, sweep: Any = None, list: Any = None, reverse: bool = False) -> Any:
    given = next((each for each in (list, sweep) if each is not None), None)
    arguments = (given,) if given is not None else values
    if len(arguments) > 1:
        return replace(_simple_choice(*arguments), values=tuple(sorted(arguments, reverse=reverse)))
    if not arguments:
        raise BadSetting("sort must have something to sort")
    one = arguments[0]
    if isinstance(one, Choices):
        return replace(one, values=tuple(sorted(one.values, reverse=reverse)))
    if isinstance(one, Range) and (one.start > one.stop) != reverse and one.start != one.stop:
        return _turned(one)
    return sorted(one, reverse=reverse) if isinstance(one, _List) else one


def _turned(range: Range) -> Range:
    """The range from its other end, as Hydra computes that."""
    size = abs(range.step) if range.start > range.stop else -abs(range.step)
    return replace(range, start=range.stop + size, stop=range.start + size, step=-range.step)


def _glob(include: Any, exclude: Any = None) -> Glob:
    def several(given: Any) -> tuple[str, ...]:
        if isinstance(given, str):
            return (given,)
        if not isinstance(given, list):
            raise BadSetting(f"glob must have patterns, got {given!r}")
        return tuple(map(str, given))

    return Glob(several(include), several([] if exclude is None else exclude))


def _cast(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    def cast(*values: Any, value: Any = None) -> Any:
        if value is None and not values:
            raise BadSetting("there is nothing to cast")
        given = value if value is not None else values[0]
        return _as(kind, given if len(values) < 2 else _simple_choice(*values))

    return cast


def _as(kind: Callable[[Any], Any], given: Any) -> Any:
    """A value, or all of a sweep, in another type."""
    if isinstance(given, Choices):
        return Choices(tuple(_as(kind, each) for each in given.values), given.simple)
    if isinstance(given, Range) and kind in (int, float):
        return Range(kind(given.start), kind(given.stop), kind(given.step))
    if isinstance(given, Interval) and kind in (int, float):
        return replace(given, low=kind(given.low), high=kind(given.high))
    if isinstance(given, Swept):
        raise BadSetting(f"{type(given).__name__.lower()} cannot be cast to that")
    if isinstance(given, list):
        return [_as(kind, each) for each in given]
    if isinstance(given, dict):
        return {key: _as(kind, each) for key, each in given.items()}
    try:
        return kind(given)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadSetting(f"{given!r} cannot be cast: {error}") from None


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, str):
        return bool(value)
    if value.lower() not in ("true", "false"):
        raise BadSetting(f"{value!r} is neither true nor false")
    return value.lower() == "true"


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "simple choice": _simple_choice,  # no name that a line could have
    "choice": _choice,
    "range": _range,
    "interval": _interval,
    "tag": _tag,
    "shuffle": _shuffle,
    "sort": _sort,
    "glob": _glob,
    "int": _cast(int),
    "float": _cast(float),
    "str": _cast(_word),
    "bool": _cast(_truth),
}
