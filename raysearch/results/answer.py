"""The answer of a search: who won, how sure that is, and what the test split said."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from raysearch.errors import UnknownName
from raysearch.results.averaged import long_means
from raysearch.results.endings import lost
from raysearch.results.failure_reasons import failed_alike, reason_of
from raysearch.results.intervals import Interval, mean
from raysearch.results.ranking import Rank, winner
from raysearch.results.references import below, ordered, reference_rows
from raysearch.results.saved_checkpoints import damage_of
from raysearch.results.spent import search_spent
from raysearch.results.test_scores import MOST_WINNERS, Tested, on_test_split, winners
from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.sweep import bare
from raysearch.texts import decimals, one_line, plural, shown

_NOTICES = 5
_REASONS = 3


def summary(view: SearchView) -> dict[str, Any]:
    """Counts, the best configuration, the seconds that the search has taken, and its resources."""
    won = winner(view)
    best = None
    if won is not None:
        trial = won.rank.trial
        best = {"trial": trial.number, "values": trial.values, **_rank(won.rank)}
    resources = {"at_once": _at_once(view.spec, view.at_once), "threads": view.spec.threads}
    return {"counts": view.counts(), "best": best, "seconds": view.seconds(), **resources}


def answer(view: SearchView, folder: Path) -> dict[str, Any]:
    """The winner as a record: the run that stands for it, its mean and interval, what ties with it.

    `low` and `high` are None with one seed. `damage` says what is wrong with the checkpoint, which
    is read for that; None if it is as it was when it was reported, or if there is none. With
    several objectives `front` has a record for each configuration of the Pareto front, with the
    means of all objectives.

    Raises:
        LookupError: no trial has completed.
    """
    won = winner(view)
    if won is None:
        raise UnknownName(f"search {view.search!r} has no completed trial yet")
    best = won.rank.trial
    record = {
        "trial": best.number,
        "values": best.values,
        **_rank(won.rank),
        "ties": [each.trial.number for each in won.ties],
        "references": {name: dict(rows) for name, rows in references(view).items()},
        "below_blind": {one.metric: one.row for one in won.blind if not one.is_equal},
        "equal_to_blind": {one.metric: one.row for one in won.blind if one.is_equal},
        "test": _strict(best.tested.get("metrics")),
        "test_means": _test_means(on_test_split(view), best.number),
        "seed": best.seed,
        "checkpoint": _path(best, folder),
        "damage": _damage(best, folder),
        "config": best.config,
        "cost": search_spent(view).record(),
    }
    if len(won.metrics) > 1:
        record["front"] = [_member(each, won.metrics, folder) for each in won.front]
    return record


def answer_lines(view: SearchView) -> list[str]:
    """The winner with its interval, what ties with it, and the scores on the test split."""
    won = winner(view)
    if won is None:
        return []
    if view.spec.evaluates is not None:
        return _setting_lines(view)
    lines = [f"winner     {won}", *_reference_lines(view)]
    if won.rank.is_incomplete:
        lines.append("           of its seeds some were lost: the mean is of those that survived")
    elif won.rank.seeds == 1:
        lines.append("           it may be chance: --repeats 3 runs the best with further seeds")
    if len(won.metrics) == 1 and won.rank.seeds > 1:
        runs = ", ".join(str(run.number) for run in won.rank.runs)
        lines.append(f"           mean and 95 % interval of trials {runs}, a seed each")
    lines += [f"           {sentence}" for sentence in long_means(view)]
    if len(won.front) > MOST_WINNERS and any(trial.tested for trial in view.trials.values()):
        tested = len(winners(view))
        lines.append(f"           {tested} of the {len(won.front)} on the front were tested")
    return [*lines, *(line for each in on_test_split(view) for line in _test_lines(each))]


def references(view: SearchView) -> dict[str, Mapping[str, float]]:
    """What learns nothing scores at the winner's settings, by metric, each best first: on the
    objectives, and on the values of the test split that are called alike.
    """
    won = winner(view)
    found: dict[str, Mapping[str, float]] = {}
    for metric in view.spec.metrics if won is not None else ():
        for name in (metric.name, f"test/{metric.name.partition('/')[2]}"):
            rows = reference_rows(won.rank.runs if won else (), name)
            if rows:
                found[name] = ordered(rows, metric.direction)
    return found


def _reference_lines(view: SearchView) -> list[str]:
    return [
        f"blind      {name}: "
        + ", ".join(f"{row} {decimals(value)}" for row, value in rows.items())
        for name, rows in references(view).items()
    ]


def _setting_lines(view: SearchView) -> list[str]:
    """Of a search that evaluates finished trials: what each setting does to them on average."""
    evaluates = view.spec.evaluates
    own = {bare(name) for trial in evaluates.trials for name in trial.params} if evaluates else ()
    found: dict[str, list[TrialView]] = {}
    for trial in view.trials.values():
        if trial.is_feasible and trial.values:
            setting = {name: value for name, value in trial.params.items() if name not in own}
            named = ", ".join(f"{shown(name)}={_as_is(v)}" for name, v in setting.items())
            found.setdefault(named or "as trained", []).append(trial)
    lines: list[str] = []
    metric = view.spec.metric
    for setting, trials in found.items():
        values = [(trial.values or [math.nan])[0] for trial in trials]
        middle = mean(values)
        blind = below(middle, trials, metric.name, metric.direction)
        head = f"mean {decimals(middle)}" + (f", {blind.place} ({blind})" if blind else "")
        text = (
            f"{head}, {decimals(min(values))} to {decimals(max(values))}, of {len(values)} trials"
        )
        lines.append(f"{'' if lines else 'settings':10} {setting}: {text}")
    return lines


def damage_lines(view: SearchView) -> list[str]:
    """The checkpoints that were met and were not as they were when they were reported."""
    found = [
        f"trial {trial.number}: checkpoint {path} {what}"
        for trial in view.trials.values()
        for path, what in trial.damaged.items()
    ]
    more = [f"and {len(found) - 3} more: raysearch check {view.search}"] if len(found) > 3 else []
    return [f"{'' if row else 'damaged':10} {text}" for row, text in enumerate(found[:3] + more)]


def fixed_lines(spec: SearchSpec) -> list[str]:
    """The values that were given, and where one lies outside of what the sweep offers."""
    outside = spec.outside
    found = [
        f"{shown(path, 80)}={_as_is(value)}"
        + (f" (the sweep says {shown(outside[path], 80)})" if path in outside else "")
        for path, value in spec.fixed.items()
    ]
    return [f"fixed      {', '.join(found)}"] if found else []


def _as_is(value: object) -> str:
    """A value that a person gave, with all of its digits, cut if it is long."""
    return shown(str(value))


def warning_lines(spec: SearchSpec) -> list[str]:
    """What is doubtful of a search before it begins."""
    return [f"warning    {sentence}" for sentence in spec.warnings]


def resource_lines(spec: SearchSpec, at_once: int | None = None) -> list[str]:
    """How many trials run at once, and with how many threads: the last bits depend on those.

    `at_once` is how many there are where the search went on with others than it began with.
    """
    if not spec.threads:
        return []  # nothing of it can be read
    threads, workers = spec.threads, spec.workers
    each = f"{threads} thread{'s' if threads != 1 else ''} each"
    group = f" of {workers} workers" if workers > 1 else ""
    return [f"at once    {_at_once(spec, at_once)} trials{group}, {each}"]


def _at_once(spec: SearchSpec, at_once: int | None) -> int | None:
    return spec.concurrent if at_once is None else at_once


def unfinished_lines(view: SearchView) -> list[str]:
    """How far the trials are that have not ended."""
    open_trials = [trial for trial in view.trials.values() if trial.ended is None]
    found = [f"trial {trial.number} at {_reached(trial, view)}" for trial in open_trials]
    return [f"unfinished {', '.join(found)}"] if found else []


def _reached(trial: TrialView, view: SearchView) -> str:
    fidelity = next((report[1] for report in reversed(trial.reports) if report[1]), None)
    return "its start" if fidelity is None else f"{fidelity} {view.spec.fidelity}"


def failure_lines(view: SearchView) -> list[str]:
    """Why most trials failed or were infeasible, each reason with the command for its log."""
    alike = failed_alike(view.trials.values())
    lines = [
        f"{own[0].state:10} {_times(len(own))}: {one_line(reason_of(own), 300)}  "
        f"(raysearch logs {view.search} {own[0].number})"
        for own in alike[:_REASONS]
    ]
    others = Counter(trial.state for own in alike[_REASONS:] for trial in own)
    if others:
        lines.append(f"{'':10} {plural(len(alike) - _REASONS, 'other reason')}: {lost(others)}")
    return lines


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def trial_notices(view: SearchView) -> list[str]:
    """What was seen of trials that are not what they should be, the first few of each kind."""
    noticed = [(trial, text) for trial in view.trials.values() for text in trial.notices]
    noticed += [(trial, trial.differed) for trial in view.trials.values() if trial.differed]
    lines = [f"trial {trial.number}: {text}" for trial, text in noticed[:_NOTICES]]
    more = len(noticed) - _NOTICES
    return [*lines, *([f"{more} more notices like these"] if more > 0 else [])]


def _rank(rank: Rank) -> dict[str, Any]:
    return {
        **_interval(rank.intervals[0]),
        "runs": [run.number for run in rank.runs],
        **doubts(rank),
    }


def doubts(rank: Rank) -> dict[str, Any]:
    """How all its seeds ended, and why equal ones are suspicious (None if they are not)."""
    return {
        "outcomes": {"complete": rank.complete, **rank.others},
        "suspicious": rank.suspicion or None,
    }


def _interval(found: Interval) -> dict[str, Any]:
    several = found.count > 1
    return {
        "mean": found.mean,
        "low": found.low if several else None,
        "high": found.high if several else None,
        "seeds": found.count,
    }


def _member(rank: Rank, metrics: Iterable[str], folder: Path) -> dict[str, Any]:
    means = zip(metrics, rank.intervals, strict=True)
    return {
        "trial": rank.trial.number,
        "means": {name: _interval(found) for name, found in means},
        **doubts(rank),
        "checkpoint": _path(rank.trial, folder),
        "damage": _damage(rank.trial, folder),
        "config": rank.trial.config,
    }


def _strict(metrics: Mapping[str, float] | None) -> dict[str, float | None] | None:
    """Strict JSON: what is not finite is None."""
    if metrics is None:
        return None
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def _path(trial: TrialView, folder: Path) -> str | None:
    return str(folder / trial.best_checkpoint) if trial.best_checkpoint else None


def _damage(trial: TrialView, folder: Path) -> str | None:
    if not trial.best_checkpoint:
        return None
    return damage_of(trial.best_checkpoint, trial.checkpoints, folder) or None


def _test_means(found: Iterable[Tested], number: int) -> Mapping[str, dict[str, Any]] | None:
    scores = next((each.scores for each in found if number in each.trials), None)
    return None if scores is None else {name: _interval(s) for name, s in scores.items()}


def _test_lines(found: Tested) -> list[str]:
    lines: list[str] = []
    if found.scores:
        scores = ", ".join(f"{shown(name)} {_score(score)}" for name, score in found.scores.items())
        seeds = f", {len(found.trials)} seeds" if len(found.trials) > 1 else ""
        lines.append(f"test       {found.role} ({_trials(found.trials)}): {scores}{seeds}")
    elif not found.errors:
        lines.append(f"test       {found.role}: none, the experiment reported no metric test/…")
    for number, error in found.errors.items():
        lines.append(f"test       {found.role} (trial {number}): failed, {one_line(error, 300)}")
    return lines


def _score(score: Interval) -> str:
    if score.count < 2:
        return decimals(score.mean)
    return f"{decimals(score.mean)} [{decimals(score.low)}, {decimals(score.high)}]"


def _trials(numbers: tuple[int, ...]) -> str:
    return f"trial{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
