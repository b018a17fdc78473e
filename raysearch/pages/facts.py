"""Facts of a report in words: savings by early stopping, failures, commands to repeat it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from raysearch.pages.objectives import drawn
from raysearch.results.failure_reasons import failed_alike, reason_of, without_numbers
from raysearch.results.flat import flat
from raysearch.results.view import SearchView, TrialView
from raysearch.settings import EXPERIMENTS
from raysearch.texts import one_line


@dataclass(frozen=True)
class Savings:
    """What the trials that were pruned did not cost.

    `taken` is how far they came, added up, in `unit`; a `full` trial comes so far (the median of
    those that completed). `all_taken` is that of all trials; `seconds` is what the rest of the
    pruned ones would have lasted, each at its own pace.
    """

    trials: int
    taken: float
    full: float
    unit: str
    all_taken: float
    seconds: float

    @property
    def saved(self) -> float:
        """What was not run, in `unit`."""
        return self.trials * self.full - self.taken

    @property
    def share(self) -> float:
        """What was saved of what the search would have cost without early stopping."""
        return self.saved / (self.all_taken + self.saved)


def savings(view: SearchView) -> Savings | None:
    """What early stopping saved; None if nothing was pruned, or nothing completed to compare with.

    What its user stopped is not counted; of a trial that came further than a full one nothing was
    saved.
    """
    trials = [trial for trial in drawn(view) if trial.reports]
    by_step = any(trial.reports[-1][1] is None for trial in trials)
    ends = [(trial.number, trial.reports[-1]) for trial in trials]
    reached = {number: float(last[0] if by_step else last[1] or 0) for number, last in ends}
    whole = [reached[trial.number] for trial in trials if trial.state == "complete"]
    pruned = [trial for trial in trials if trial.state == "pruned" and not trial.was_stopped]
    if not whole or not pruned:
        return None
    full = median(whole)
    seconds = sum(
        seconds_of(t) / reached[t.number] * max(full - reached[t.number], 0.0)
        for t in pruned
        if reached[t.number]
    )
    taken = sum(min(reached[trial.number], full) for trial in pruned)
    unit = "steps" if by_step else view.spec.fidelity
    return Savings(len(pruned), taken, full, unit, sum(reached.values()), seconds)


def seconds_of(trial: TrialView) -> float:
    """From its start to its end; 0 if it has not ended."""
    return (trial.ended - trial.started) / 1000 if trial.ended and trial.started else 0.0


@dataclass(frozen=True)
class Failures:
    """Trials, or attempts at them, that failed alike: by the same kind and, numbers aside, words.

    `state` is that of the trials; `tried again` where the attempt was not the last one.
    """

    kind: str
    reason: str
    state: str
    trials: tuple[int, ...]
    command: str


def failures(view: SearchView, folder: Path) -> list[Failures]:
    """Why trials failed or were infeasible, and why attempts were followed by another one.

    The most frequent first, with the command for the log of the first.
    """
    command = f"raysearch logs {view.search}"
    found: list[Failures] = []
    for own in failed_alike(drawn(view)):
        kind, words = _parted(reason_of(own))
        numbers = tuple(trial.number for trial in own)
        log = f"{command} {numbers[0]}{runs_option(folder)}"
        found.append(Failures(kind or own[0].state, words, own[0].state, numbers, log))
    for (kind, _), pairs in _tried_again(view).items():
        numbers = tuple(dict.fromkeys(number for number, _ in pairs))
        log = f"{command} {numbers[0]}{runs_option(folder)}"
        found.append(Failures(kind, pairs[0][1], "tried again", numbers, log))
    return found


def _parted(reason: str) -> tuple[str, str]:
    """The kind of a failure and its words: `exception`, `KeyError: 'labels'`."""
    before = "for example: " if reason.startswith("for example: ") else ""
    kind, colon, words = reason.removeprefix(before).partition(": ")
    if not colon or not kind.replace(" ", "").isalpha():
        return "", reason
    return kind, before + words


def _tried_again(view: SearchView) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """Number and words of attempts that were followed by another, by kind and words."""
    groups: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for trial in drawn(view):
        for failure in trial.failures:
            if failure["again"]:
                words = one_line(failure["message"])
                key = str(failure["kind"]), without_numbers(words)
                groups.setdefault(key, []).append((trial.number, words))
    return dict(sorted(groups.items(), key=lambda pair: -len(pair[1])))


def runs_option(folder: Path) -> str:
    """` --runs …` where searches do not lie in a folder `runs`, as commands expect."""
    runs = folder.parent
    return "" if runs.name == "runs" else f" --runs {shlex.quote(str(runs))}"


def is_own(view: SearchView) -> bool:
    """Whether the experiment is its user's, which no name leads to, rather than one of ours."""
    return view.spec.experiment.partition(".")[0] not in EXPERIMENTS


def repeat_command(view: SearchView, trial: TrialView, folder: Path) -> list[str]:
    """The words of the command that runs a trial again.

    All of its configuration is spelt out, for one of our experiments; one that only evaluates
    another trial names that one's checkpoint, and what differs from it. Of people's own
    experiments the search knows configuration and code: `repro` runs those.
    """
    if is_own(view):
        here = [] if view.spec.code else ["--here"]
        option = shlex.split(runs_option(folder))
        return ["raysearch", "repro", view.search, str(trial.number), *here, *option]
    words = ["raysearch", "train", view.spec.family]
    leaves = flat(trial.config)
    if trial.evaluates is not None:
        words += ["--evaluate-only", str(trial.evaluates["checkpoint"])]
        known = flat(_evaluated(view, trial.evaluates))
        leaves = {path: value for path, value in leaves.items() if known.get(path, words) != value}
    return [*words, *(f"{path}={_argument(value)}" for path, value in leaves.items())]


def _evaluated(view: SearchView, link: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of the finished trial that an evaluating one stands on."""
    evaluates = view.spec.evaluates
    for trial in evaluates.trials if evaluates is not None else ():
        if (trial.search, trial.trial) == (link["search"], link["trial"]):
            return trial.config
    return {}


def _argument(value: Any) -> str:
    """A value as `path=value` arguments are read: a word if that is no JSON, else JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except json.JSONDecodeError:
            return value
    return json.dumps(value)


def shell(words: list[str], width: int = 58) -> str:
    """A command to paste, on lines of at most about so many letters."""
    lines, line = [], ""
    for text in map(shlex.quote, words):
        if line and len(line) + len(text) > width:
            lines.append(line)
            line = "   "
        line = f"{line} {text}" if line else text
    return " \\\n".join([*lines, line])
