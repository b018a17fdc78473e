"""Compares what is recorded of a search in events, Optuna study, trackers and folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from raysearch.events.log import Store
from raysearch.events.schema import (
    Asked,
    Decided,
    Recoded,
    Reported,
    Requested,
    Retried,
    Told,
    Unknown,
)
from raysearch.provenance.snapshot import damage
from raysearch.results.curve import curve_of
from raysearch.results.finding import Finding
from raysearch.results.saved_checkpoints import damage_of
from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.search_spec import CodeState, read_part
from raysearch.sweeps.sweep import bare
from raysearch.tracking.registry import cursor_name, made, places, tracked
from raysearch.tracking.tracker import Place

__all__ = ["Finding", "StudyTrial", "audit"]

_STUDY_STATE = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "infeasible": "PRUNED",  # with a constraint
    "failed": "FAIL",
    "known": "COMPLETE",
    "waiting": "RUNNING",
    "running": "RUNNING",
}


class StudyTrial(Protocol):
    """What is compared of a trial of the Optuna study; a FrozenTrial is one."""

    @property
    def number(self) -> int:
        """Its number."""
        ...

    @property
    def params(self) -> dict[str, Any]:
        """The sampled values by Optuna's names."""
        ...

    @property
    def intermediate_values(self) -> dict[int, float]:
        """What was reported, by fidelity."""
        ...

    @property
    def state(self) -> Any:
        """Optuna's state."""
        ...

    @property
    def values(self) -> list[float] | None:
        """The values told."""
        ...


def audit(
    store: Store, search: str, folder: Path, uri: str, study: Sequence[StudyTrial]
) -> list[Finding]:
    """Everything that disagrees, trial by trial; empty when all is well.

    `study` is the trials of the Optuna study rebuilt from the events. A search that still runs is
    compared as far as its trackers have written it.
    """
    view = SearchView.read(store, search)
    found = [Finding(None, "store", what) for what in store.damage()]
    found += _check_events(store, view)
    found += _check_study(view, study, _decided(store, search))
    found += _check_folders(view, folder)
    found += _check_code(store, view, folder)
    place = Place(search, folder, store.url, uri)
    for name in places(tracked(view.begun), place):
        cursor = store.cursor(search, cursor_name(name, place))
        found += made(name, place).check(store, view, cursor)
    return found


def _check_events(store: Store, view: SearchView) -> list[Finding]:
    found: list[Finding] = []
    last, steps, told = 0, dict[int, tuple[int, set[str]]](), set[int]()
    for event in store.events(view.search):
        if event.seq != last + 1:
            found.append(Finding(None, "events", f"{last + 1} to {event.seq - 1} are missing"))
        last = event.seq
        if isinstance(event.body, Unknown):
            text = f"event {event.seq} is of the kind {event.kind!r}, which this version lacks"
            found.append(Finding(event.trial, "events", text))
        if event.trial is None or isinstance(event.body, Requested):
            continue
        if not isinstance(event.body, Asked) and event.trial not in view.trials:
            found.append(Finding(event.trial, "events", f"{event.kind} but never asked"))
        if isinstance(event.body, Reported):
            found += _check_report(steps, event.trial, event.body)
        if isinstance(event.body, Told):
            if event.trial in told:
                found.append(Finding(event.trial, "events", "told twice"))
            told.add(event.trial)
    if view.state == "finished":
        for trial in view.trials.values():
            if trial.ended is None and not view.reason:  # whose time was up leaves trials waiting
                found.append(
                    Finding(trial.number, "events", "the search is finished, it is not told")
                )
        again = {event.trial or 0 for event in store.events(view.search, kinds=[Retried])}
        for number in sorted(again & set(view.trials)):
            if view.trials[number].retried_by is None:
                found.append(Finding(number, "events", "was to be run again, and was not"))
    return found + _check_twice(view)


def _check_report(
    steps: dict[int, tuple[int, set[str]]], number: int, fact: Reported
) -> list[Finding]:
    """Steps go on, and what is said of one in several reports is said once."""
    step, metrics = fact.step, set(fact.metrics)
    last, names = steps.get(number, (step - 1, set[str]()))
    steps[number] = (step, metrics | (names if step == last else set()))
    if step < last:
        return [Finding(number, "events", f"step {step} reported after step {last}")]
    if step == last and metrics & names:
        return [Finding(number, "events", f"step {step} reported twice")]
    return []


def _check_twice(view: SearchView) -> list[Finding]:
    first: dict[tuple[str, int], int] = {}
    found: list[Finding] = []
    for trial in view.trials.values():
        if trial.duplicate_of is not None or trial.retry_of is not None:
            continue
        other = first.setdefault((trial.digest, trial.seed), trial.number)
        if other != trial.number:
            found.append(
                Finding(trial.number, "events", f"runs the configuration of trial {other}")
            )
    return found


def _decided(store: Store, search: str) -> dict[int, float]:
    """The last fidelity of each trial when its end was decided: the study is told of no later one.

    A trial that is to stop may report once more before it hears so.
    """
    last, decided = dict[int, float](), dict[int, float]()
    for event in store.events(search, kinds=[Reported, Decided, Requested]):
        number, fact = event.trial, event.body
        if number is None:
            continue
        if isinstance(fact, Reported):
            if fact.fidelity is not None and fact.values is not None:
                last[number] = max(fact.fidelity, last.get(number, fact.fidelity))
        elif isinstance(fact, Decided) or (isinstance(fact, Requested) and fact.action == "stop"):
            decided.setdefault(number, last.get(number, float("-inf")))
    return decided


def _check_study(
    view: SearchView, study: Sequence[StudyTrial], decided: Mapping[int, float]
) -> list[Finding]:
    found: list[Finding] = []
    by_number = {trial.number: trial for trial in study}
    for number in sorted(set(view.trials) ^ set(by_number)):
        where = "is missing" if number in view.trials else "is there, the events do not know it"
        found.append(Finding(number, "study", where))
    for number in sorted(set(view.trials) & set(by_number)):
        trial, other = view.trials[number], by_number[number]
        is_twin = trial.state == "duplicate"
        runs = view.trials[trial.duplicate_of or 0] if is_twin else trial
        state = runs.state
        expected = _STUDY_STATE.get(state)
        if expected is not None and other.state.name != expected:
            found.append(Finding(number, "study", f"state {other.state.name}, events say {state}"))
        params = {bare(name): value for name, value in other.params.items()}
        if params != trial.params:
            found.append(
                Finding(number, "study", f"parameters {params}, events say {trial.params}")
            )
        curve = curve_of(runs) if len(view.spec.metrics) == 1 else {}
        until = decided.get(runs.number, float("inf"))
        curve = {fidelity: value for fidelity, value in curve.items() if fidelity <= until}
        if other.intermediate_values != curve:
            found.append(
                Finding(number, "study", f"curve {other.intermediate_values}, events say {curve}")
            )
        if state in ("complete", "known") and other.values != trial.values:
            found.append(
                Finding(number, "study", f"values {other.values}, events say {trial.values}")
            )
    return found


def _check_code(store: Store, view: SearchView, folder: Path) -> list[Finding]:
    """Whether all code that the search ran from is kept as it was."""
    events = store.events(view.search, kinds=[Recoded])
    later = [event.body.code for event in events if isinstance(event.body, Recoded)]
    codes = [read_part(CodeState, code, "code") for code in later]
    codes += [view.begun.code] if view.begun.code is not None else []
    return [
        Finding(None, "code", f"{code.snapshot}: {what}")
        for code in codes
        for what in damage(folder, code.snapshot)
    ]


def _check_folders(view: SearchView, folder: Path) -> list[Finding]:
    found: list[Finding] = []
    for trial in view.trials.values():
        if trial.duplicate_of is not None:
            continue
        known = {attempt["folder"] for attempt in trial.attempts}
        for path in sorted((folder / f"{trial.number:04d}").glob("attempt-*")):
            name = str(path.relative_to(folder))
            if name not in known:
                found.append(Finding(trial.number, "folders", f"{name} belongs to no attempt"))
        found += _check_checkpoints(view, trial, folder)
    return found


def _check_checkpoints(view: SearchView, trial: TrialView, folder: Path) -> list[Finding]:
    """Whether each one that is there is as it was when it was reported, and none is missing.

    Those of a trial that runs come and go: only its last one is looked at, if it is there.
    """
    if trial.state == "running" and view.state == "running":
        path = trial.last_checkpoint
        what = damage_of(path, trial.checkpoints, folder) if path else ""
        is_there = path is not None and (folder / path).exists()
        return [Finding(trial.number, "folders", what)] if what and is_there else []
    if trial.removed or trial.state in ("pruned", "failed", "infeasible"):
        return _check_removals(trial, folder)
    must = {trial.last_checkpoint: "last checkpoint", trial.best_checkpoint: "best checkpoint"}
    found: list[str] = []
    for path in dict.fromkeys([*must, *trial.checkpoints]):
        if path is None:
            continue
        if not (folder / path).exists():
            found += [f"{must[path]} {path} is missing"] if path in must else []
            continue
        what = damage_of(path, trial.checkpoints, folder)
        found += [what] if what else []
    return [Finding(trial.number, "folders", text) for text in found]


def _check_removals(trial: TrialView, folder: Path) -> list[Finding]:
    whose = f"a {trial.state} trial" if not trial.removed else "a removed checkpoint"
    shown = {folder / path for path in trial.artifacts.values()}
    shown |= {parent for path in shown for parent in path.parents}
    named = {folder / (saved.source or path) for path, saved in trial.checkpoints.items()}
    attempts = folder / f"{trial.number:04d}"
    found = [*attempts.glob("attempt-*/checkpoints/*"), *attempts.glob("attempt-*/kept/*")]
    return [
        Finding(trial.number, "folders", f"{path.relative_to(folder)} of {whose} was not deleted")
        for path in sorted(found)
        if path not in shown and (not trial.removed or path.parent.name == "kept" or path in named)
    ]
