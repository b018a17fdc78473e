"""Forecast of the time and disk that a search will take, from the trials that were measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.search_spec import SearchSpec

_ENOUGH = 2
"""Trials that must have ended before anything is forecast."""


@dataclass(frozen=True)
class Forecast:
    """What is expected of a search: None while it is not known.

    `rate` in trials a second, `seconds` to its end; `disk` in bytes of checkpoints at its end,
    `used` now. `trials` are those that were measured.
    """

    trials: int
    rate: float | None = None
    seconds: float | None = None
    used: int = 0
    disk: int | None = None


def expected_runs(spec: SearchSpec) -> int | None:
    """How many trials a search will run, repeats included; None if only its time ends it.

    Of a grid those that were known before are not run; of a finite space no sampler runs more than
    its `distinct` points, and no more of them are repeated.
    """
    repeats = spec.repeats
    trials, points = spec.trials, spec.points
    if spec.evaluates is not None:
        points = (points or 0) * len(spec.evaluates.trials)
    if points is not None:
        known = len(spec.known.trials) if spec.known is not None else 0
        runs = points * repeats - known
        return runs if trials is None else min(trials, runs)
    distinct, finalists = spec.distinct, spec.finalists + 1
    if distinct is not None and trials is not None:
        trials, finalists = min(trials, distinct), min(finalists, distinct)
    if trials is None or repeats < 2:
        return trials
    return trials + repeats * finalists


def total_runs(view: SearchView) -> int | None:
    """How many trials a search will have run at its end, as far as it can be told by now.

    One that is finished, as planned, has run all. Repeats come last: once each of the best, and the
    default configuration if it is none of them, has had its first one, their number is known. None
    if only its time ends it.
    """
    if view.state == "finished" and not view.reason:
        return view.done()
    total = expected_runs(view.spec)
    again = [trial for trial in view.trials.values() if trial.repeat_of is not None]
    finalists = {trial.repeat_of for trial in again}
    if total is None or view.spec.points is not None or len(again) <= len(finalists):
        return total
    others = len(view.trials) - len(again)
    others -= sum(trial.state in ("duplicate", "known") for trial in view.trials.values())
    return others + view.spec.repeats * len(finalists)


def forecast(view: SearchView) -> Forecast:
    """What is to be expected of a running search.

    The time between a kill and the resume is not counted; what remains is taken to last, and to
    leave behind, what the trials did that ended so far, pruned ones too.
    """
    used = disk_used(view)
    done, total = view.done(), total_runs(view)
    ended = [trial.ended for trial in view.trials.values() if trial.ended is not None]
    started = [trial.started for trial in view.trials.values() if trial.started is not None]
    seconds = view.seconds(min(started), max(ended)) if started and ended else 0.0
    if done < _ENOUGH or seconds <= 0:
        return Forecast(done, used=used)
    rate = done / seconds
    if total is None or view.state != "running":
        return Forecast(done, rate, used=used)
    left = max(total - done, 0)
    kept = sum(bytes_of(trial) for trial in view.trials.values() if trial.ended is not None)
    return Forecast(done, rate, left / rate, used, round(kept + left * kept / done))


def expected(spec: SearchSpec, measured: Iterable[SearchView]) -> Forecast:
    """What is to be expected of a search that has not begun, from searches of the same sweep.

    A trial of it takes what one took there in the mean, pruned ones too; as many at once run side
    by side.
    """
    trials = [
        trial
        for view in measured
        for trial in view.trials.values()
        if trial.state in ("complete", "pruned") and trial.started and trial.ended
    ]
    runs = expected_runs(spec)
    if len(trials) < _ENOUGH:
        return Forecast(len(trials))
    mean = sum(_seconds(trial) for trial in trials) / len(trials)
    rate = spec.concurrent / mean if mean else None
    if runs is None or rate is None:
        return Forecast(len(trials), rate)
    disk = round(runs * sum(map(bytes_of, trials)) / len(trials))
    return Forecast(len(trials), rate, runs / rate, 0, disk)


def _seconds(trial: TrialView) -> float:
    return ((trial.ended or 0) - (trial.started or 0)) / 1000


def disk_used(view: SearchView) -> int:
    """Bytes of all checkpoints of a search that are kept."""
    return sum(bytes_of(trial) for trial in view.trials.values())


def bytes_of(trial: TrialView) -> int:
    """Bytes of a trial's checkpoints: the last and the best one.

    While it is not told both are counted, and the file that they were copied from, if they were.
    """
    if trial.removed or trial.state not in ("complete", "running", "waiting"):
        return 0
    if trial.state != "complete":
        last = trial.checkpoints.get(trial.last_checkpoint or "")
        return 0 if last is None else (3 if last.copied else 2) * (last.bytes or 0)
    paths = {path for path in (trial.best_checkpoint, trial.last_checkpoint) if path}
    found = (trial.checkpoints.get(path) for path in paths)
    return sum(saved.bytes or 0 for saved in found if saved is not None)
