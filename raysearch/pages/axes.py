"""The axis of a sampled parameter: linear, logarithmic or of choices, where a value lies on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.sweep import bare

Kind = Literal["linear", "log", "choice"]


@dataclass(frozen=True)
class Axis:
    """One parameter by its full name, branch in brackets: that has one distribution.

    `low` and `high` are its ends; of choices, the first and the last index of `choices`.
    """

    name: str
    kind: Kind
    low: float
    high: float
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def has(self, trial: TrialView) -> bool:
        """Whether the trial has this parameter."""
        return self.name in trial.distributions

    def at(self, trial: TrialView) -> float | None:
        """The value of a trial as a number on the axis, or None if it has none."""
        if not self.has(trial):
            return None
        value = trial.params[bare(self.name)]
        return float(_index(self.choices, value)) if self.kind == "choice" else float(value)

    def share(self, position: float) -> float:
        """A number on the axis as a share of its length, 0…1."""
        low, high = self.low, self.high
        if self.kind == "log":
            low, high, position = math.log(low), math.log(high), math.log(position)
        return 0.5 if high == low else (position - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """A few numbers on the axis with their labels."""
        if self.kind == "choice":
            return [(float(index), word(choice)) for index, choice in enumerate(self.choices)]
        if self.low == self.high:
            return [(self.low, brief(self.low))]
        if self.kind == "log":
            return [(value, brief(value)) for value in _decades(self.low, self.high)]
        return [(value, brief(value)) for value in _steps(self.low, self.high, whole=self.whole)]


def varying_axes(view: SearchView) -> list[Axis]:
    """The axes of all parameters that vary, in the order of the sweep."""
    trials = [trial for trial in view.trials.values() if trial.state != "duplicate"]
    names = dict.fromkeys(name for trial in trials for name in trial.distributions)
    varying = set(view.varying())
    return [_axis(name, trials) for name in names if bare(name) in varying]


def _axis(name: str, trials: Sequence[TrialView]) -> Axis:
    own = [trial for trial in trials if name in trial.distributions]
    values = [trial.params[bare(name)] for trial in own]
    distribution = own[0].distributions[name]
    if distribution["type"] in ("choice", "categorical"):
        choices = list(distribution["choices"])
        for value in values:
            if _index(choices, value) < 0:
                choices.append(value)
        return Axis(name, "choice", 0.0, float(len(choices) - 1), choices=tuple(choices))
    low, high = min([distribution["low"], *values]), max([distribution["high"], *values])
    kind: Kind = "log" if distribution.get("log") and low > 0 else "linear"
    return Axis(name, kind, float(low), float(high), whole=distribution["type"] == "int")


def _index(choices: Sequence[Any], value: Any) -> int:
    """Where a choice stands, or -1; True is not 1 here."""
    for index, choice in enumerate(choices):
        if choice == value and type(choice) is type(value):
            return index
    return -1


def _steps(low: float, high: float, *, whole: bool) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between the ends, at most six of them."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((each * power for each in (1, 2, 5) if each * power >= rough), 10 * power)
    step = max(1.0, round(step)) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between the ends, at most six; both ends where there are fewer than two."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = 1 + max(0, last - first) // 6
    powers = [10.0**power for power in range(first, last + 1, every)]
    return powers if len(powers) > 1 else sorted({low, *powers, high})


def brief(value: float) -> str:
    """A number with three digits, as short as it goes: `0.001`, `1e-5`, `2.5e6`, `128`."""
    text = f"{value:.3g}"
    if "e" not in text:
        return text
    digits, _, power = text.partition("e")
    return f"{digits}e{int(power)}"


def word(choice: Any) -> str:
    """A choice as a person writes it."""
    return brief(choice) if isinstance(choice, float) else str(choice)
