"""Test scores over the seeds of the winner and of the default configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from raysearch.results.intervals import Interval, interval
from raysearch.results.ranking import winner
from raysearch.results.view import SearchView, TrialView

MOST_WINNERS = 8
"""With several objectives: how many of the Pareto front are evaluated on the test split."""


@dataclass(frozen=True)
class Tested:
    """One configuration on the test split: `scores` by metric, over the `trials` that count.

    `role` is `winner`, `default`, `winner and default`, or `former winner` where the search went on
    and another won. `errors` has, by trial, why an evaluation failed.
    """

    role: str
    trials: tuple[int, ...]
    scores: dict[str, Interval]
    errors: dict[int, str]


def winners(view: SearchView) -> dict[str, tuple[TrialView, ...]]:
    """The runs that count of each winner, by the digest of its configuration.

    With several objectives each of the Pareto front is one, at most `MOST_WINNERS`, at equal steps
    along the front, both its ends included.
    """
    won = winner(view)
    if won is None:
        return {}
    front = won.front
    if len(front) > MOST_WINNERS:
        last = MOST_WINNERS - 1
        front = tuple(front[round(i * (len(front) - 1) / last)] for i in range(MOST_WINNERS))
    return {each.trial.digest: each.runs for each in front}


def default_runs(view: SearchView) -> tuple[TrialView, ...]:
    """The runs that count of the default configuration; none if it did not complete."""
    digests = {trial.digest for trial in view.trials.values() if trial.origin == "default"}
    runs = (each.runs for each in view.ranking() if each.trial.digest in digests)
    return next(runs, ())


def on_test_split(view: SearchView) -> list[Tested]:
    """What was evaluated on the test split, winners first, the default configuration last."""
    groups: dict[str, list[TrialView]] = {}
    for trial in view.trials.values():
        if trial.tested:
            groups.setdefault(trial.digest, []).append(trial)
    won, default = winners(view), {run.digest for run in default_runs(view)}
    counted = {each.trial.digest: {run.number for run in each.runs} for each in view.ranking()}
    found: list[tuple[int, Tested]] = []
    for digest, trials in groups.items():
        count = [trial for trial in trials if trial.number in counted.get(digest, ())] or trials
        role = _role(digest in won, digest in default, trials)
        place = list(won).index(digest) if digest in won else len(won) + (digest in default)
        found.append((place, _tested(role, count)))
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def _role(is_winner: bool, is_default: bool, trials: Iterable[TrialView]) -> str:
    if is_winner:
        return "winner and default" if is_default else "winner"
    if is_default or any(trial.tested["role"] == "default" for trial in trials):
        return "default"
    return "former winner"


def _tested(role: str, trials: Iterable[TrialView]) -> Tested:
    values: dict[str, list[float]] = {}
    errors: dict[int, str] = {}
    numbers: list[int] = []
    for trial in trials:
        if trial.tested.get("error"):
            errors[trial.number] = trial.tested["error"]
            continue
        numbers.append(trial.number)
        for name, value in (trial.tested.get("metrics") or {}).items():
            if not math.isfinite(value):
                errors[trial.number] = f"{name} is {value}"
            elif name.startswith("test/") and name.count("/") == 1:
                values.setdefault(name, []).append(value)
    return Tested(role, tuple(numbers), {key: interval(v) for key, v in values.items()}, errors)
