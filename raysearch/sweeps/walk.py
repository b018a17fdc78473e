"""The trial that a sweep's function gets: records what is asked, and answers from anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, cast

from raysearch.errors import BadSetting
from raysearch.sweeps.distributions import Choice, Distribution, Float, Int, is_number, plain, same
from raysearch.sweeps.sweep import Trial, bare

Source = Callable[[str, Distribution], object]
"""Answers a suggestion: the value for a name and its distribution."""


class AskedTrial:
    """The trial that a sweep's function gets.

    A name whose bare path is in `fixed` is answered from there and not recorded; every other one by
    the source, once: the same name again with the same distribution has the same value.
    """

    def __init__(self, source: Source, fixed: Mapping[str, object]) -> None:
        self._source = source
        self._fixed = fixed
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, Distribution] = {}
        self.answered: dict[str, tuple[object, Distribution]] = {}
        """The fixed values that were asked for, and what was offered instead, by full name."""

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        """A float in low…high, both included."""
        return self._ask(name, lambda: Float(low, high, log, step))

    def suggest_int(
        self, name: str, low: int, high: int, *, log: bool = False, step: int = 1
    ) -> int:
        """An integer in low…high, both included."""
        return self._ask(name, lambda: Int(low, high, log, step))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices; what is recorded of a member of an enumeration is its value."""
        if isinstance(choices, (set, frozenset)):
            raise BadSetting(
                f"{name} must have choices in an order, such as a list or sorted(…), got a "
                f"{type(choices).__name__}, which has another one in each process"
            )
        offered = tuple(choices)
        value = self._ask(name, lambda: Choice(offered))
        members = (each for each in offered if isinstance(each, Enum))
        return next((each for each in members if same(plain(each), value)), value)

    def _ask(self, name: str, declare: Callable[[], Distribution]) -> Any:
        try:
            distribution = declare()
        except ValueError as error:
            raise BadSetting(f"{name} {error}") from None
        path = bare(name)
        if path in self._fixed:
            value = legal(name, distribution, self._fixed[path])
            self.answered[name] = value, distribution
            return value
        known = self.distributions.get(name)
        if known is None:
            value = distribution.snap(self._source(name, distribution))
            self.params[name], self.distributions[name] = value, distribution
        elif known != distribution:
            raise BadSetting(
                f"{name} must have one distribution, got {known} and then {distribution} in one "
                f"configuration"
            )
        return self.params[name]


def legal(name: str, distribution: Distribution, value: object) -> object:
    """A fixed value in the parameter's own type; it may lie outside of the range.

    Raises:
        GivenError: the value has another type, or is no label of a `choice.<name>`.
    """
    if isinstance(distribution, Float):
        if is_number(value):
            return float(cast("float", value))
        raise GivenError(f"{bare(name)} must be a number, got {value!r}")
    if isinstance(distribution, Int):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise GivenError(f"{bare(name)} must be an integer, got {value!r}")
    if distribution.contains(value):
        return value
    offered = ", ".join(repr(choice) for choice in distribution.choices)
    types = {type(choice) for choice in distribution.choices}
    if bare(name).startswith("choice.") or type(value) not in types:
        raise GivenError(f"{bare(name)} must be one of {offered}, got {value!r}")
    return value


def from_trial(trial: Trial) -> Source:
    """Answers by another trial, such as Optuna's."""

    def answer(name: str, distribution: Distribution) -> object:
        if isinstance(distribution, Float):
            low, high = distribution.low, distribution.high
            return trial.suggest_float(
                name, low, high, log=distribution.log, step=distribution.step
            )
        if isinstance(distribution, Int):
            low, high = distribution.low, distribution.high
            return trial.suggest_int(name, low, high, log=distribution.log, step=distribution.step)
        return trial.suggest_categorical(name, distribution.choices)

    return answer


def from_params(params: Mapping[str, object], rest: Source | None = None) -> Source:
    """Answers by given values; what they lack, or have out of range, by `rest`, else ValueError."""

    def answer(name: str, distribution: Distribution) -> object:
        if name in params and distribution.contains(params[name]):
            return params[name]
        if rest is not None:
            return rest(name, distribution)
        if name in params:
            raise BadSetting(f"{name} must be in {distribution}, got {params[name]!r}")
        raise BadSetting(f"{name} must be given here: it is in {distribution}")

    return answer


def from_rng(rng: random.Random, edges: float = 0.0) -> Source:
    """Answers at random; a share of the answers are ends of their ranges."""

    def answer(name: str, distribution: Distribution) -> object:
        if edges and rng.random() < edges:
            return distribution.edge(rng)
        return distribution.draw(rng)

    return answer


def where(params: Mapping[str, object]) -> str:
    """A point in words: `depth=2, optimizer.lr=0.01`."""
    return ", ".join(f"{name}={value!r}" for name, value in params.items())


class Odometer:
    """Answers with all combinations, depth first: call `advance` after each until it is False.

    Raises ContinuousError, on being asked for a continuous parameter.
    """

    def __init__(self) -> None:
        self._digits: list[tuple[int, int]] = []  # index and count of each suggestion, in order
        self._position = 0

    def __call__(self, name: str, distribution: Distribution) -> object:
        """The value at this suggestion's digit."""
        count = distribution.count
        if count is None:
            raise ContinuousError(name)
        if self._position == len(self._digits):
            self._digits.append((0, count))
        index, _ = self._digits[self._position]
        self._position += 1
        return distribution.value(index)

    def advance(self) -> bool:
        """Moves to the next combination; False when all have been."""
        self._position = 0
        while self._digits:
            index, count = self._digits.pop()
            if index + 1 < count:
                self._digits.append((index + 1, count))
                return True
        return False


class GivenError(BadSetting):
    """A value given by the user cannot be one of its parameter."""


class ContinuousError(Exception):
    """A continuous parameter was met where all combinations are wanted."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
