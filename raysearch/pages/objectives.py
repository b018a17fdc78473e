"""The objectives of a search as the pictures need them: values, labels, the range that is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from raysearch.results.endings import WITHOUT_VALUE
from raysearch.results.view import SearchView, TrialView

T = TypeVar("T")

_FAR = 3.0
"""Tukey's outer fence: values so many quartile ranges below the lower quartile are far out."""
_MARGIN = 0.06
_LARGEST = 1e300
"""Ends of an axis, whose difference and margins are numbers too."""


@dataclass(frozen=True)
class Objective:
    """What is compared: `index` is its place among the values of a trial."""

    index: int
    name: str
    direction: str
    reduce: str

    @property
    def sign(self) -> float:
        """By which a value becomes a cost."""
        return -1.0 if self.direction == "maximize" else 1.0

    @property
    def label(self) -> str:
        """Name and direction, for an axis."""
        arrow = "↑" if self.direction == "maximize" else "↓"
        return f"{self.name}  {arrow} better"

    def value(self, trial: TrialView) -> float | None:
        """The value of a trial so far, if it has one that is finite."""
        values = trial.values or next((r[2] for r in reversed(trial.reports) if r[2]), None)
        if values is None or not math.isfinite(values[self.index]):
            return None
        return values[self.index]

    def shown(self, trial: TrialView) -> float | None:
        """The value that pictures show: of one that completed, was pruned, or has not ended."""
        return None if trial.state in WITHOUT_VALUE else self.value(trial)

    def final(self, trial: TrialView) -> float | None:
        """The value of a trial that completed."""
        return self.value(trial) if trial.is_feasible else None

    def better(self, one: float, other: float) -> bool:
        """Whether the one is better than the other."""
        return self.sign * one < self.sign * other

    def best(self, values: Iterable[float]) -> float:
        """The best of these."""
        return min(values, key=lambda value: self.sign * value)


def objectives(view: SearchView) -> list[Objective]:
    """All objectives of a search, in order."""
    return [
        Objective(index, metric.name, metric.direction, metric.reduce)
        for index, metric in enumerate(view.spec.metrics)
    ]


def drawn(view: SearchView) -> list[TrialView]:
    """The trials that were run, by number: no duplicates."""
    trials = (trial for trial in view.trials.values() if trial.state != "duplicate")
    return sorted(trials, key=lambda trial: trial.number)


def completed(view: SearchView, objective: Objective) -> list[tuple[TrialView, float]]:
    """The completed trials and their values, the best first."""
    pairs = [(trial, objective.final(trial)) for trial in drawn(view)]
    found = [(trial, value) for trial, value in pairs if value is not None]
    return sorted(found, key=lambda pair: (objective.sign * pair[1], pair[0].number))


def winning(view: SearchView, objective: Objective) -> tuple[TrialView, float] | None:
    """The trial that stands for the best configuration, and its own value."""
    best = view.best()
    value = None if best is None else objective.final(best)
    return None if best is None or value is None else (best, value)


def called(view: SearchView) -> str:
    """What that trial is called: with several objectives it is the best in the first one."""
    goals = objectives(view)
    return "winner" if len(goals) == 1 else f"best in {goals[0].name}"


def limits(values: Sequence[float], objective: Objective) -> tuple[float, float]:
    """The range of an axis: the best is always in it, what is far out on the bad side is not."""
    if not values:
        return 0.0, 1.0
    costs = sorted(objective.sign * value for value in values)
    quarter, three = costs[len(costs) // 4], costs[(3 * len(costs)) // 4]
    fence = three + _FAR * (three - quarter)
    inside = [cost for cost in costs if cost <= fence] if three > quarter else costs
    low, high = sorted((objective.sign * inside[0], objective.sign * inside[-1]))
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    pad = _MARGIN * (high - low) or 0.05 * abs(high) or 0.5
    return low - pad, high + pad


def within(value: float, bounds: tuple[float, float]) -> float:
    """The value, or the end of the axis that it lies beyond."""
    return min(max(value, bounds[0]), bounds[1])


def far_out(values: Iterable[float], bounds: tuple[float, float]) -> str:
    """How many values lie beyond an axis, as an end of a caption."""
    count = sum(not bounds[0] <= value <= bounds[1] for value in values)
    if not count:
        return ""
    subject = "1 value lies" if count == 1 else f"{count} values lie"
    return f" {subject} beyond the axis, at its edge here."


def thinned(items: Sequence[T], most: int) -> list[T]:
    """At most so many of these, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(index * step)] for index in range(most)]
