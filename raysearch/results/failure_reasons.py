"""Reasons why trials failed or were infeasible, those that failed alike together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from raysearch.errors import NothingCompleted
from raysearch.results.endings import WITHOUT_VALUE, lost
from raysearch.results.view import SearchView, TrialView

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


def refuse_nothing(view: SearchView, folder: Path) -> None:
    """Raises NothingCompleted where trials of a search failed and none completed or was pruned.

    Its sentence is followed by the traceback of the first that failed, if it left one in the
    folder of the search.
    """
    counts = view.counts()
    failed = [trial for _, trial in sorted(view.trials.items()) if trial.state in WITHOUT_VALUE]
    if not failed or counts.get("complete") or counts.get("pruned"):
        return
    first = failed[0]
    files = [one["traceback"] for one in first.failures if one.get("traceback")]
    text = ""
    with suppress(OSError):
        text = "".join((folder / file).read_text(errors="replace") for file in files[:1])
    raise NothingCompleted(
        f"no trial of search {view.search!r} completed: {lost(counts)}; trial {first.number}: "
        f"{first.reason or first.state}" + (f"\n\n{text.rstrip()}" if text else "")
    )
