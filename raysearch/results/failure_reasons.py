"""Reasons why trials failed or were infeasible, those that failed alike together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from raysearch.results.endings import WITHOUT_VALUE
from raysearch.results.view import TrialView

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def failed_alike(trials: Iterable[TrialView]) -> list[list[TrialView]]:
    """Trials whose reasons differ in nothing but numbers, the most frequent first.

    One that diverged at step 12 and one at step 13 have failed alike.
    """
    groups: dict[tuple[str, str], list[TrialView]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.state in WITHOUT_VALUE:
            reason = without_numbers(trial.reason or trial.state)
            groups.setdefault((reason, trial.state), []).append(trial)
    return sorted(groups.values(), key=lambda own: (-len(own), own[0].number))


def without_numbers(reason: str) -> str:
    """The same for all reasons that differ in nothing but numbers."""
    return _NUMBER.sub("#", reason)


def reason_of(alike: Sequence[TrialView]) -> str:
    """The reason of trials that failed alike; where theirs differ in numbers, the first's."""
    reasons = [trial.reason or trial.state for trial in alike]
    return f"for example: {reasons[0]}" if len(set(reasons)) > 1 else reasons[0]
