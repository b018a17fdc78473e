"""Overrides of Hydra's command line, read by the parser of hydra-core."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    QuotedString,
    RangeSweep,
)
from hydra.core.override_parser.types import Override as Parsed
from hydra.errors import HydraException

from raysearch.errors import BadSetting

_MOST = 1_000_000
"""A longer range is none that anybody ran."""
_TOO_LARGE = 2**63
_DEEPEST = 32
"""Levels of brackets: the parser's own recursion ends in other words, some hundreds deeper."""
_SIGNS = {"CHANGE": "", "ADD": "+", "FORCE_ADD": "++", "DEL": "~"}
SWEPT = (ChoiceSweep, RangeSweep, IntervalSweep, Glob)
"""What a value is that stands for several."""


@dataclass(frozen=True)
class Override:
    """`key=value` with its sign (`+`, `++`, `~` or none) and package.

    The value is a plain one, or one of Hydra's sweeps, in which texts are plain too.
    """

    key: str
    value: Any
    sign: str = ""
    package: str | None = None


def read_override(text: str) -> Override:
    """One override.

    Raises:
        ValueError: it is none, or one that Hydra would fail on later; says why.
        RecursionError: it is nested too deeply.
    """
    if _depth(text) > _DEEPEST:
        raise RecursionError
    try:
        found = _parser().parse_overrides([text])[0]
    except (HydraException, AssertionError) as error:
        raise BadSetting(f"{text!r} cannot be read: {_words(error)}") from None
    if not found.key_or_group:
        raise BadSetting(f"{text!r} must have the form key=value, as Hydra wants it")
    try:
        value = _checked(_value(found))
    except BadSetting as error:
        raise BadSetting(f"{text!r} cannot be read: {error}") from None
    return Override(found.key_or_group, value, _SIGNS[found.type.name], found.package)


def range_values(value: RangeSweep) -> Iterator[Any]:
    """All values of a range in order; Hydra adds floats up as decimals of all their digits."""
    return iter(value.range())


def bounds(value: IntervalSweep) -> tuple[float, float]:
    """Both ends of an interval; integers if it was cast to them."""
    assert value.start is not None and value.end is not None  # what is read has both
    return value.start, value.end


@functools.cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def _depth(text: str) -> int:
    """At most so deeply are brackets within one another."""
    steps = ({"[": 1, "{": 1, "(": 1, "]": -1, "}": -1, ")": -1}.get(each, 0) for each in text)
    return max(itertools.accumulate(steps, initial=0))


def _words(error: Exception) -> str:
    """What Hydra says, without the line itself and the address of its manual."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    reasons = [
        line
        for line in lines
        if line and line != "^" and not line.startswith(("Error parsing override", "See https:"))
    ]
    return re.sub(r"^\w+ while evaluating '.*?': ", "", "; ".join(reasons)) or type(error).__name__


def _value(found: Parsed) -> Any:
    value = found.value()
    if isinstance(value, ChoiceSweep):
        value.list = [_plain(each) for each in value.list]
    return value


def _plain(value: Any) -> Any:
    """A value with quoted texts as plain ones, inside too."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return value


def _checked(value: Any) -> Any:
    """The value, unless it is a sweep on which Hydra itself fails when it runs it."""
    if isinstance(value, ChoiceSweep):
        if any(isinstance(each, SWEPT) for each in value.list):
            raise BadSetting("a choice must not hold another sweep")
    elif isinstance(value, RangeSweep):
        _check_range(value.start, value.stop, value.step)
    elif isinstance(value, IntervalSweep):
        for bound in (value.start, value.end):
            if not _is_finite(bound):
                raise BadSetting(f"interval must have finite numbers, got {bound!r}")
    return value


def _check_range(start: Any, stop: Any, step: Any) -> None:
    for each in (start, stop, step):
        if not _is_finite(each):
            raise BadSetting(f"range must have finite numbers, got {each!r}")
    if step == 0:
        raise BadSetting("the step of range must not be 0")
    if (stop - start) / step > _MOST:
        raise BadSetting(f"range must have at most {_MOST:,} values, got {start}…{stop} by {step}")


def _is_finite(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) < _TOO_LARGE if isinstance(value, int) else math.isfinite(value)
