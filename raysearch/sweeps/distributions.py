"""The three kinds of range that a sweep may ask for, without Optuna."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, cast

from raysearch.errors import BadSetting

Scalar = str | int | float | bool | None
_TOLERANCE = 1e-9
"""The share by which a number of steps may miss a whole one, by rounding, as that of π/2 in 4π."""
_MOST_STEPS = 1e7
"""With more of them a float cannot say, to Optuna's 1e-8 of a step, which one it is."""
_NARROWEST = 1e-290
"""Closer floats lose their digits where they are squared or divided."""
_LARGEST = 2**63 - 1
"""What a database, NumPy and the samplers hold."""


def plain(value: object) -> object:
    """NumPy's scalars, arrays and tensors without dimensions, and enumerations, as Python's own.

    A member of an enumeration is its value. Anything else stays as it is.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if type(value) in (bool, int, float, str):
        return value
    item: Any = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        value = item()
    own = next((kind for kind in (int, float, str) if isinstance(value, kind)), None)
    return value if own is None or isinstance(value, bool) else own(cast("Any", value))


def same(one: object, other: object) -> bool:
    """Whether two scalars are equal and of one type: 1, 1.0 and True are three."""
    return type(one) is type(other) and one == other


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold; True and False are none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max  # of an integer too, which isfinite may not take


def _check_range(low: object, high: object, log: bool, step: object) -> None:
    if not (is_number(low) and is_number(high)):
        raise BadSetting(f"must have finite numbers as low and high, got {low!r} and {high!r}")
    bottom, top = cast("tuple[float, float]", (low, high))
    if bottom > top:
        raise BadSetting(f"must have low at most high, got {_shown(low)} and {_shown(high)}")
    if log and bottom <= 0:
        raise BadSetting(f"must have low above 0 on a log scale, got {_shown(low)}")
    if step is None:
        return
    if not is_number(step) or cast("float", step) <= 0:
        raise BadSetting(f"must have a step above 0, got {step!r}")
    size = cast("float", step)
    if not isinstance(size, int) and max(abs(bottom), abs(top)) > _MOST_STEPS * size:
        raise BadSetting(
            f"must have a step of at least {1 / _MOST_STEPS:g} of its ends, got {_shown(low)} to "
            f"{_shown(high)} by {_shown(step)}"
        )
    _check_steps(bottom, top, size)


def _check_steps(low: float, high: float, step: float) -> None:
    """High is a whole number of steps above low: as a person writes it, or but for rounding."""
    start, size = Decimal(str(low)), Decimal(str(step))
    count = (Decimal(str(high)) - start) // size
    last = start + count * size
    if last != Decimal(str(high)) and steps_between(low, high, step) is None:
        is_whole = isinstance(low, int) and isinstance(step, int)
        raise BadSetting(
            f"must have high a whole number of steps above low, got {_shown(low)} to "
            f"{_shown(high)} by {_shown(step)}; try high={int(last) if is_whole else float(last)}"
        )


def steps_between(low: float, high: float, step: float) -> int | None:
    """How many steps lead from low to high, rounding aside; None if that is no whole number."""
    ratio = (high - low) / step
    if not math.isfinite(ratio):
        return None
    missed = abs(ratio - round(ratio))
    return round(ratio) if missed <= min(_TOLERANCE * ratio, 1e-3) else None


@dataclass(frozen=True)
class Float:
    """Floats in low…high, both included: continuous, on a log scale, or low, low + step, …."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a range that cannot be."""
        for name in ("low", "high", "step"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        _check_range(self.low, self.high, self.log, self.step)
        if self.log and self.step is not None:
            raise BadSetting("must have either log or a step, got both")
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        if not self.log and 0 < self.high - self.low < _NARROWEST:
            raise BadSetting(
                f"must have low and high at least {_NARROWEST:g} apart unless on a log scale, got "
                f"{self.low!r} and {self.high!r}"
            )
        if not math.isfinite(self.high - self.low):
            raise BadSetting(
                f"must have low and high less than {sys.float_info.max:g} apart, got "
                f"{_shown(self.low)} and {_shown(self.high)}"
            )

    @property
    def count(self) -> int | None:
        """How many values there are; None if it is continuous."""
        if self.low == self.high:
            return 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def value(self, index: int) -> float:
        """The value at an index from 0, with the digits a person would write."""
        if self.step is None:
            return self.low
        if index + 1 == self.count:
            return self.high
        return float(Decimal(str(self.low)) + index * Decimal(str(self.step)))

    def snap(self, value: Any) -> float:
        """The value as the range writes it: 0.30000000000000004 is 0.3 in steps of 0.1."""
        if self.step is None:
            return float(value)
        return self.value(round((float(value) - self.low) / self.step))

    def contains(self, value: object) -> bool:
        """Whether the range has this value; of steps one that rounding has moved is the same."""
        near = _TOLERANCE * (self.step or 0.0)
        if not is_number(value):
            return False
        if not self.low - near <= cast("float", value) <= self.high + near:
            return False
        return math.isclose(self.snap(value), cast("float", value), rel_tol=1e-9, abs_tol=near)

    def draw(self, rng: random.Random) -> float:
        """A random value, uniform on its scale; each end has a chance of its own."""
        if self.count is not None:
            return self.value(rng.randrange(self.count))
        share = rng.random()
        if self.log:
            value = math.exp(
                math.log(self.low) + share * (math.log(self.high) - math.log(self.low))
            )
        else:
            value = self.low + share * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def edge(self, rng: random.Random) -> float:
        """One of the two ends."""
        return rng.choice((self.low, self.high))

    def some(self) -> list[float]:
        """A few values that differ, to see whether anything depends on them."""
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return list(dict.fromkeys((self.low, self.high, self.snap(middle))))

    def to_json(self) -> dict[str, Any]:
        """A plain dict, read by `distribution_from_json`."""
        return {
            "type": "float",
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "step": self.step,
        }

    def __str__(self) -> str:
        how = " (log)" if self.log else "" if self.step is None else f" by {self.step:g}"
        return f"{self.low:g} … {self.high:g}{how}"


@dataclass(frozen=True)
class Int:
    """Integers low, low + step, … high; on a log scale small ones are drawn more often."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a range that cannot be."""
        for name in ("low", "high", "step"):
            value = plain(getattr(self, name))
            if type(value) is not int:
                raise BadSetting(f"must have an integer as {name}, got {value!r}")
            if abs(value) > _LARGEST:
                raise BadSetting(f"must have {name} within 64 bits (±{_LARGEST}), got {value}")
            object.__setattr__(self, name, value)
        _check_range(self.low, self.high, self.log, self.step)
        if self.log and self.step != 1:
            raise BadSetting(f"must have either log or a step, got log and step {self.step}")

    @property
    def count(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // self.step + 1

    def value(self, index: int) -> int:
        """The value at an index from 0."""
        return self.low + index * self.step

    def snap(self, value: Any) -> int:
        """The value as a plain integer."""
        return int(value)

    def contains(self, value: object) -> bool:
        """Whether the range has this value."""
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def draw(self, rng: random.Random) -> int:
        """A random value, uniform on its scale."""
        if not self.log:
            return self.value(rng.randrange(self.count))
        bottom, top = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return min(max(round(math.exp(rng.uniform(bottom, top))), self.low), self.high)

    def edge(self, rng: random.Random) -> int:
        """One of the two ends."""
        return rng.choice((self.low, self.high))

    def some(self) -> list[int]:
        """A few values that differ."""
        return list(dict.fromkeys((self.low, self.high, self.value(self.count // 2))))

    def to_json(self) -> dict[str, Any]:
        """A plain dict, read by `distribution_from_json`."""
        return {
            "type": "int",
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "step": self.step,
        }

    def __str__(self) -> str:
        how = " (log)" if self.log else "" if self.step == 1 else f" by {self.step}"
        return f"{self.low} … {self.high}{how}"


def _check_choice(choice: object) -> None:
    if choice is not None and not isinstance(choice, (str, int, float)):
        raise BadSetting(
            f"must have strings, numbers, truth values or None as choices, got {choice!r}; "
            f"make it a `choice.<name>` with labels"
        )
    if isinstance(choice, int) and abs(choice) > _LARGEST:
        raise BadSetting(f"must have choices within 64 bits (±{_LARGEST})")
    if isinstance(choice, float) and not math.isfinite(choice):
        raise BadSetting(f"must have finite numbers as choices, got {choice!r}")
    if isinstance(choice, str) and not _is_text(choice):
        raise BadSetting(f"must have texts of Unicode as choices, got {choice!r}")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: no database takes it
        return False
    return True


@dataclass(frozen=True)
class Choice:
    """One of some words, numbers, truth values or None."""

    choices: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for choices that are none, equal, or no JSON scalars."""
        object.__setattr__(self, "choices", tuple(map(plain, self.choices)))
        if not self.choices:
            raise BadSetting("must have at least one choice, got none")
        for index, choice in enumerate(self.choices):
            _check_choice(choice)
            if choice in self.choices[:index]:
                known = self.choices[self.choices.index(choice)]
                got = f"{choice!r} twice"
                if type(known) is not type(choice):
                    got = f"{known!r} and {choice!r}, which are equal"
                raise BadSetting(f"must have choices that differ, got {got}")

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.choices)

    def value(self, index: int) -> Scalar:
        """The value at an index from 0."""
        return self.choices[index]

    def snap(self, value: Any) -> Scalar:
        """The value as it is declared."""
        return self.choices[self.choices.index(value)]

    def contains(self, value: object) -> bool:
        """Whether this is one of the choices, of the same type."""
        return any(same(value, choice) for choice in self.choices)

    def draw(self, rng: random.Random) -> Scalar:
        """A random choice."""
        return self.choices[rng.randrange(len(self.choices))]

    def edge(self, rng: random.Random) -> Scalar:
        """Choices have no ends: a random one."""
        return self.draw(rng)

    def some(self) -> list[Scalar]:
        """All of them."""
        return list(self.choices)

    def to_json(self) -> dict[str, Any]:
        """A plain dict, read by `distribution_from_json`."""
        return {"type": "choice", "choices": list(self.choices)}

    def __str__(self) -> str:
        return " | ".join(_shown(choice) for choice in self.choices)


Distribution = Float | Int | Choice


def distribution_from_json(data: Mapping[str, Any]) -> Distribution:
    """The inverse of `to_json`."""
    arguments = {key: value for key, value in data.items() if key != "type"}
    if data["type"] == "choice":
        return Choice(tuple(arguments["choices"]))
    return Float(**arguments) if data["type"] == "float" else Int(**arguments)
