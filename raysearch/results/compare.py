"""Searches side by side: what each found, how sure that is, what it cost, how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raysearch.errors import BadSetting
from raysearch.results.endings import ends
from raysearch.results.intervals import Interval
from raysearch.results.ranking import Rank, Winner, compared, winner
from raysearch.results.spent import search_spent
from raysearch.results.test_scores import on_test_split
from raysearch.results.view import SearchView
from raysearch.sweeps.columns import Columns
from raysearch.sweeps.search_spec import MetricSpec, SearchSpec

_SAME = "1 seed: no interval"
HEADERS = {
    "found_after": "found after trials",
    "trials_an_hour": "trials/h",
    "gpu_hours": "GPU-hours",
    "cpu_hours": "CPU-hours",
    "energy_wh": "energy, Wh",
}
"""What people read in place of a field's key; the others are read as they are."""


def compare(views: Sequence[SearchView]) -> list[dict[str, Any]]:
    """A row for each search, of strict JSON.

    What it is; how many trials ended how; its winner with the mean of each objective, the 95 %
    interval (None with one seed) and the scores on the test split; after how many trials that
    configuration had first been run (`found_after`); the optimiser `steps` that were taken, the
    `hours` that it was driven, `trials_an_hour`; then, in columns of their own, only what differs:
    fixed values, defaults, reductions, limits, git commit, packages. Of two searches with one
    objective also the `difference` of the winners' means, first minus second in the first row, and
    the `verdict`: better, worse, tie, or that one seed says nothing.

    Raises:
        ValueError: their objectives differ, in name or direction; names both.
    """
    _check(views)
    called = _columns(views)
    rows = [_row(view, called) for view in views]
    differing = _differing(views, called)
    for row, extra in zip(rows, differing, strict=True):
        row.update(extra)
    if len(views) == 2 and len(views[0].spec.metrics) == 1:
        _judge(views, rows, called)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key) for key in columns} for row in rows]


def _check(views: Sequence[SearchView]) -> None:
    def objectives(view: SearchView) -> list[tuple[str, str]]:
        return [(metric.direction, metric.name) for metric in view.spec.metrics]

    for view in views[1:]:
        first = views[0]
        if objectives(view) != objectives(first):
            texts = [", ".join(map(" ".join, objectives(each))) for each in (first, view)]
            raise BadSetting(
                f"searches must have the same objectives to be compared, got {texts[0]} "
                f"({first.search}) and {texts[1]} ({view.search})"
            )


def _columns(views: Sequence[SearchView]) -> Columns:
    """Names of columns: a score on the test split, or a word of ours, gives way to a metric."""
    return Columns(lambda name: False, [metric.name for metric in views[0].spec.metrics])


def _blind(won: Winner | None) -> dict[str, str]:
    """Rows that learn nothing and are better than the winner, or just as good."""
    found: dict[str, str] = {}
    for one in () if won is None else won.blind:
        name = one.place.replace(" ", "_")
        found[name] = f"{found[name]}, {one.row}" if name in found else one.row
    return found


def _row(view: SearchView, called: Columns) -> dict[str, Any]:
    counts, hours, won = view.counts(), view.seconds() / 3600, winner(view)
    spec = view.spec
    before = {
        "search": view.search,
        "sweep": spec.sweep_name,
        "state": view.state,
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        "seed": spec.seed,
        "trials": len(view.trials) - counts.get("duplicate", 0) - counts.get("known", 0),
        **ends(counts),
        "winner": won.rank.trial.number if won is not None else None,
    }
    after = {
        **_doubts(won.rank if won is not None else None),
        "seeds": won.rank.seeds if won is not None else None,
        "ties": len(won.ties) if won is not None else None,
        **_blind(won),
        **_front(won),
        **_test_scores(view, won),
        "found_after": _found_after(view, won),
        "steps": _steps(view),
        "hours": hours,
        "trials_an_hour": view.done() / hours if hours else None,
        **_spent(view),
    }
    means = _means(spec.metrics, won.rank if won is not None else None)
    own = [{called.own(name): value for name, value in each.items()} for each in (before, after)]
    return {**own[0], **means, **own[1]}


def _spent(view: SearchView) -> dict[str, float]:
    """What all trials used together, as far as it was measured."""
    spent = search_spent(view).record()
    return {name: spent[name] for name in ("gpu_hours", "cpu_hours", "energy_wh") if spent[name]}


def _means(metrics: Sequence[MetricSpec], best: Rank | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, metric in enumerate(metrics):
        found |= _interval(metric.name, best.intervals[index] if best is not None else None)
    return found


def _doubts(best: Rank | None) -> dict[str, Any]:
    """How the seeds of the winner ended, if not all completed, and what is suspicious of them."""
    found: dict[str, Any] = {}
    if best is not None and best.others:
        found["outcomes"] = best.outcomes
    if best is not None and best.suspicion:
        found["suspicious"] = best.suspicion
    return found


def _interval(name: str, found: Interval | None) -> dict[str, Any]:
    several = found is not None and found.count > 1
    return {
        name: found.mean if found is not None else None,
        f"{name} low": found.low if found is not None and several else None,
        f"{name} high": found.high if found is not None and several else None,
    }


def _front(won: Winner | None) -> dict[str, Any]:
    return {"front": len(won.front)} if won is not None and len(won.metrics) > 1 else {}


def _test_scores(view: SearchView, won: Winner | None) -> dict[str, Any]:
    """The winner's scores on the test split, over those of its runs that were tested."""
    runs = {run.number for run in won.rank.runs} if won is not None else set[int]()
    row: dict[str, Any] = {}
    for each in on_test_split(view):
        if runs & set(each.trials):
            for name, score in each.scores.items():
                row |= _interval(name, score)
    return row


def _found_after(view: SearchView, won: Winner | None) -> int | None:
    """How many trials had ended when the winner's configuration first completed, itself too."""
    if won is None:
        return None
    told = {trial.number: trial.told or 0 for trial in view.trials.values() if _was_run(trial)}
    digest = won.rank.trial.digest
    first = min(
        trial.told or 0
        for trial in view.trials.values()
        if trial.digest == digest and trial.is_feasible
    )
    return sum(0 < seq <= first for seq in told.values())


def _was_run(trial: Any) -> bool:
    return trial.state not in ("duplicate", "known") and trial.ended is not None


def _steps(view: SearchView) -> int:
    """The last step of each trial; what was done again after a kill is not counted twice."""
    runs = (trial for trial in view.trials.values() if trial.evaluates is None)
    return sum(trial.reports[-1][0] for trial in runs if trial.reports)


def _differing(views: Sequence[SearchView], called: Columns) -> list[dict[str, Any]]:
    """Of each search what is not the same in all."""
    flat = [_conditions(view.spec) for view in views]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    return [
        {
            called.own(key): each.get(key)
            for key in keys
            if any(other.get(key) != each.get(key) for other in flat)
        }
        for each in flat
    ]


def _conditions(spec: SearchSpec) -> dict[str, Any]:
    """What numbers depend on, flat."""
    found: dict[str, Any] = {f"fixed {k}": v for k, v in spec.fixed.items()}
    found |= {f"reduce {metric.name}": metric.reduce for metric in spec.metrics}
    for key in (
        "space",
        "defaults",
        "fidelity",
        "repeats",
        "finalists",
        "incomplete",
        "concurrent",
        "threads",
    ):
        found[key] = getattr(spec, key)
    found |= {"git commit": spec.git.commit, "git changed": spec.git.dirty}
    return found | {f"package {k}": v for k, v in spec.packages.items()}


def _judge(views: Sequence[SearchView], rows: Sequence[dict[str, Any]], called: Columns) -> None:
    """Whether the winners of two searches can be told apart."""
    first, second = (winner(view) for view in views)
    if first is None or second is None:
        return
    for row, one, other in ((rows[0], first, second), (rows[1], second, first)):
        gap = compared(one.rank, other.rank)
        more = gap.mean if gap is not None else one.rank.mean - other.rank.mean
        row[called.own("difference")] = more
        row[called.own("difference low")] = gap.low if gap is not None else None
        row[called.own("difference high")] = gap.high if gap is not None else None
        if gap is None:
            verdict = _SAME
        elif gap.is_tie:
            verdict = "tie"
        else:
            maximize = views[0].spec.metric.is_maximized
            verdict = "better" if (more > 0) == maximize else "worse"
        row[called.own("verdict")] = verdict
