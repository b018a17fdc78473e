"""How an error falls with a setting, or with the size of a network, over the trials of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysearch.errors import BadSetting, UnknownName
from raysearch.results.factors import paths_of, value_of
from raysearch.results.power_law import PowerLaw, fit
from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.nearest import on_offer

BEYOND = (2, 10)
"""So many times the largest value are looked at too."""


@dataclass(frozen=True)
class Scaling:
    """The law of an error by `setting`: x and errors of trials, and settings that differ beside it.

    `error` says what it is: a metric, or how much it is below its `top`.
    """

    setting: str
    error: str
    x: tuple[float, ...]
    errors: tuple[float, ...]
    others: tuple[str, ...]
    law: PowerLaw

    def rows(self) -> list[dict[str, Any]]:
        """For each x: trials, their mean error, what the law says and its interval; and beyond."""
        found: list[dict[str, Any]] = []
        values = sorted(set(self.x))
        for value in [*values, *(values[-1] * more for more in BEYOND)]:
            own = [e for x, e in zip(self.x, self.errors, strict=True) if x == value]
            said = self.law.at(value)
            mean = math.fsum(own) / len(own) if own else None
            row = {self.setting: value, "trials": len(own), "error": mean, "law": said.value}
            found.append({**row, "low": said.low, "high": said.high})
        return found


def scaling(
    view: SearchView, setting: str, metric: str | None = None, top: float | None = None
) -> Scaling:
    """The law of a metric (None: the first objective) of the completed trials.

    A setting is a path of the configuration or a parameter, a fact such as `parameters`, or what
    was reported last, such as `progress/samples`. An objective to maximise is an error as far as it
    is below `top` (None: 1, as of an accuracy); any other metric is one as it is, unless there is a
    `top`.

    Raises:
        UnknownName: no completed trial has such a setting or metric.
        BadSetting: values are no numbers above 0, or too few for a law.
    """
    trials = [one for one in view.trials.values() if one.is_feasible]
    goals = {goal.name: (k, goal.direction) for k, goal in enumerate(view.spec.metrics)}
    name = metric or next(iter(goals))
    place, direction = goals.get(name, (None, "minimize"))
    limit = 1.0 if top is None and direction == "maximize" else top
    found: list[tuple[float, float]] = []
    for trial in trials:
        x, value = _number(trial, setting), _measured(trial, name, place)
        if x is not None and value is not None:
            found.append((x, value if limit is None else limit - value))
    if not found:
        raise _missing(view, trials, setting, name)
    said = name if limit is None else f"{limit:g} - {name}"
    x, errors = zip(*found, strict=True)
    try:
        law = fit(x, errors)
    except BadSetting as error:
        raise BadSetting(f"{said} by {setting}: {error}") from None
    others = tuple(one for one in view.varying() if one != setting)
    return Scaling(setting, said, x, errors, others, law)


def _number(trial: TrialView, setting: str) -> float | None:
    """The value of a setting, a fact or a reported metric of a trial, if that is a number."""
    last: Mapping[str, Any] = trial.reports[-1][3] if trial.reports else {}
    for value in (value_of(trial, setting), trial.facts.get(setting), last.get(setting)):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _measured(trial: TrialView, name: str, place: int | None) -> float | None:
    """An objective as it counts, or what was reported last of another metric."""
    if place is not None:
        return None if trial.values is None else trial.values[place]
    return next((found[name] for *_, found in reversed(trial.reports) if name in found), None)


def _missing(
    view: SearchView, trials: list[TrialView], setting: str, metric: str
) -> UnknownName | BadSetting:
    """Why no trial has both."""
    if not trials:
        return BadSetting(f"search {view.search!r} has no completed trial to find a law of")
    metrics = {one for trial in trials for *_, found in trial.reports for one in found}
    metrics |= {goal.name for goal in view.spec.metrics}
    if metric not in metrics:
        return UnknownName(
            f"no completed trial of {view.search!r} has a metric {metric!r}"
            f"{on_offer(metric, metrics)}"
        )
    known = {
        one
        for trial in trials
        for one in (*trial.params, *paths_of(trial.config), *trial.facts)
        if _number(trial, one) is not None
    }
    return UnknownName(
        f"no completed trial of {view.search!r} has a number as {setting!r}"
        f"{on_offer(setting, known)}"
    )
