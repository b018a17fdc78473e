"""Names → pruners. They are Optuna's, without hidden state; patience is our own rule.

One of another package is an `optuna.pruners.BasePruner`, made anew whenever a driver begins: what
it decides must follow from the study and the trial alone, or a resumed search would differ.
"""

from __future__ import annotations

import math
import re
from typing import Any

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from raysearch.errors import BadSetting
from raysearch.study.own_parts import Make, is_own, made, own_part
from raysearch.sweeps.arguments import read
from raysearch.sweeps.plugins import PRUNERS as PLUGINS
from raysearch.sweeps.pruners import PRUNERS, PRUNERS_ELSEWHERE
from raysearch.sweeps.sweep import Sweep


def check_pruner(pruner: str, sweep: Sweep) -> None:
    """Refuses pruners that do not exist or cannot serve a sweep.

    Raises:
        ValueError: one sentence that names what is allowed.
    """
    for name, arguments in _read(pruner):
        if name != "none" and len(sweep.metrics) > 1:
            raise BadSetting(
                f"pruner must be none where a sweep has several metrics, got {name!r} for "
                f"{', '.join(metric.name for metric in sweep.metrics)}: no trial is worse in all"
            )
        if name not in PRUNERS:
            made("pruner", name, *_own(name), BasePruner)
        if name == "hyperband":
            _check_lengths(arguments["max"], arguments["min"])
        if name == "threshold":
            _check_bounds(arguments["lower"], arguments["upper"])


def _check_lengths(most: int | str, least: int) -> None:
    if isinstance(most, int) and most < least:
        raise BadSetting(f"max of pruner 'hyperband' must be at least min ({least}), got {most}")


def _check_bounds(lower: float | None, upper: float | None) -> None:
    if lower is None and upper is None:
        raise BadSetting(
            "pruner 'threshold' must be given lower or upper, such as threshold:lower=0.2"
        )
    if lower is not None and upper is not None and lower >= upper:
        raise BadSetting(
            f"upper of pruner 'threshold' must be above lower ({lower:g}), got {upper:g}"
        )


def make_pruner(pruner: str) -> Pruner:
    """A fresh pruner by its name and arguments, as in `median:warmup=2,startup=5`."""
    rules = [_make(name, arguments) for name, arguments in _read(pruner)]
    return rules[0] if len(rules) == 1 else Both(*rules)


def _make(name: str, given: dict[str, Any]) -> Pruner:
    if name == "patient":
        return Patient(**given)
    if name not in PRUNERS:
        return Pruner(made("pruner", name, *_own(name), BasePruner))
    if name == "hyperband":
        return Hyperband(given["max"], given["min"], given["factor"])
    return Pruner(_rule(name, given))


def _rule(name: str, given: dict[str, Any]) -> BasePruner:
    if name == "median":
        return MedianPruner(given["startup"], given["warmup"], given["interval"])
    if name == "percentile":
        return PercentilePruner(given["keep"], given["startup"], given["warmup"], given["interval"])
    if name == "successive-halving":
        return SuccessiveHalvingPruner(given["min"], given["factor"])
    if name == "threshold":
        return ThresholdPruner(given["lower"], given["upper"], given["warmup"], given["interval"])
    return NopPruner()


def _own(pruner: str) -> tuple[Make, dict[str, Any]]:
    return own_part("pruner", pruner, PLUGINS, PRUNERS)


def _rule_of(part: str) -> tuple[str, dict[str, Any]]:
    """A name of ours with its arguments; one of other packages whole, its arguments in it."""
    return (
        (part, {})
        if is_own(part, PRUNERS, PLUGINS)
        else read("pruner", part, PRUNERS, PRUNERS_ELSEWHERE)
    )


def _read(pruner: str) -> list[tuple[str, dict[str, Any]]]:
    """The rule, or two that are joined: patience first."""
    parts = re.split(r"\+(?![\d.])", pruner)  # not the sign of an exponent
    rules = [_rule_of(part) for part in parts]
    rules.sort(key=lambda rule: rule[0] != "patient")
    names = [name for name, _ in rules]
    if len(rules) > 1 and (len(rules) > 2 or names.count("patient") != 1 or "none" in names):
        raise BadSetting(
            f"pruner may join patient with one other pruner, as in median+patient:patience=3, got "
            f"{pruner!r}"
        )
    return rules


class Pruner:
    """One of Optuna's pruners, which hears of each trial that completes."""

    def __init__(self, rule: BasePruner) -> None:
        self._rule = rule

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether a trial should end at its last report."""
        return self._rule.prune(study, trial)

    def completed(self, trial: FrozenTrial) -> None:
        """A trial was told complete."""


class Hyperband(Pruner):
    """Hyperband; with `max` auto it prunes nothing until a trial completes, whose length it takes.

    Optuna's own auto reads the length off whatever has completed when it is first asked after
    some completed trial, which a study rebuilt at another moment would do differently.
    """

    def __init__(self, most: int | str, least: int, factor: int) -> None:
        self._least, self._factor = least, factor
        super().__init__(NopPruner())
        self._known = most != "auto"
        if isinstance(most, int):
            self._rule = HyperbandPruner(least, most, factor)

    def completed(self, trial: FrozenTrial) -> None:
        """Takes the length of the first trial that completes with a report."""
        if self._known or trial.last_step is None:
            return
        self._known = True
        self._rule = HyperbandPruner(self._least, max(trial.last_step, self._least), self._factor)


class Patient(Pruner):
    """Ends a trial that was not better by more than `delta` for `patience` of the fidelity.

    Optuna's own rule waits for values that are worse than before, which those of a metric that is
    reduced to its best never are.
    """

    def __init__(self, patience: int, delta: float) -> None:
        super().__init__(NopPruner())
        self._patience, self._delta = patience, delta

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether it was not better for so long."""
        sign = -1.0 if study.direction == StudyDirection.MINIMIZE else 1.0
        best, at = -math.inf, 0
        for fidelity, value in sorted(trial.intermediate_values.items()):
            if best == -math.inf or sign * value > best + self._delta:
                best, at = sign * value, fidelity
        return trial.last_step is not None and trial.last_step - at >= self._patience


class Both(Pruner):
    """Ends the trials that a patient rule would end, of those that another one would.

    The other one is asked about them only, as Optuna does it: what it keeps with a trial (the rungs
    of halving) is then of such moments.
    """

    def __init__(self, patient: Pruner, other: Pruner) -> None:
        super().__init__(NopPruner())
        self._patient, self._other = patient, other

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether both say so."""
        return self._patient.prune(study, trial) and self._other.prune(study, trial)

    def completed(self, trial: FrozenTrial) -> None:
        """Passes it on."""
        self._other.completed(trial)
