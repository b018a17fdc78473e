"""The trials of a search as a table: a flat record each, with a name for each column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

from raysearch.results.doubts import doubts_of
from raysearch.sweeps.columns import Columns, has_path
from raysearch.texts import plural, shown

if TYPE_CHECKING:
    from raysearch.results.ranking import Rank
    from raysearch.results.view import SearchView, TrialView

_OWN = ("trial", "state", "step", "seconds", "reason", "evaluates")


def columns_of(view: SearchView) -> Columns:
    """The names of the columns of `rows`: they do not depend on which parameters vary."""
    trials = view.trials.values()

    @cache  # each is asked for in every row
    def is_parameter(name: str) -> bool:
        return any(name in trial.params or has_path(trial.config, name) for trial in trials)

    return Columns(is_parameter, [metric.name for metric in view.spec.metrics])


def rows(view: SearchView) -> list[dict[str, Any]]:
    """All trials, best first, as flat records that are strict JSON: not finite becomes None.

    Where configurations were run again each completed run also has the mean of its configuration
    and the 95 % interval (None with one seed) of each objective, the number of `seeds`, whether it
    is one that is `counted`, and which trial it is a `repeat_of`; where some seed did not complete
    the `outcomes` of all, and where they gave identical results why that is `suspicious`. Where
    trials said their costs each row has the last of them, by their names.
    Parameters have their own names, what else is called like one has another (`columns_of`).
    """
    names, columns = view.varying(), columns_of(view)
    metrics = [metric.name for metric in view.spec.metrics]
    places = {each.trial.digest: each for each in view.ranking()}
    is_repeated = any(each.is_repeated for each in places.values())
    doubts = doubts_of(places.values())
    own = {name: columns.own(name) for name in _OWN}
    costs = {name: columns.own(name) for name in cost_names(view)}
    table: list[dict[str, Any]] = []
    for trial in view.ranked():
        values = trial.values or (trial.reports[-1][2] if trial.reports else None)
        row: dict[str, Any] = {own["trial"]: trial.number, own["state"]: trial.state}
        for index, metric in enumerate(metrics):
            row[columns.metric(metric)] = _strict(values[index] if values else None)
        if is_repeated:
            rank = places.get(trial.digest) if trial.is_feasible else None
            row |= _rank_row(columns, metrics, trial, rank)
            row |= {columns.own(name): said(rank) for name, said in doubts.items()}
        row[own["step"]] = trial.reports[-1][0] if trial.reports else None
        row[own["seconds"]] = (
            (trial.ended - trial.started) / 1000 if trial.ended and trial.started else None
        )
        spent = trial.last_costs
        row |= {column: spent.get(name) for name, column in costs.items()}
        row.update({name: _strict(trial.params.get(name)) for name in names})
        row[own["reason"]] = trial.reason or _failed_before(trial)
        if trial.evaluates is not None:
            row[own["evaluates"]] = trial.evaluates["trial"]
        table.append(row)
    return table


def cost_names(view: SearchView) -> list[str]:
    """The names of the costs that trials said last."""
    return list(dict.fromkeys(name for each in view.trials.values() for name in each.last_costs))


def cost_lines(view: SearchView) -> list[str]:
    """For each cost its median over the trials that said it, and the lowest and the highest."""
    lines: list[str] = []
    for name in cost_names(view):
        found = [each.last_costs[name] for each in view.trials.values() if name in each.last_costs]
        ends = f", {min(found):.4g} to {max(found):.4g}" if len(found) > 1 else ""
        lines.append(f"{shown(name)}: {median(found):.4g}{ends} ({plural(len(found), 'trial')})")
    return lines


def _failed_before(trial: TrialView) -> str:
    """Why a trial that has not ended was tried again, or waits for that."""
    if trial.ended is not None or not trial.failures:
        return ""
    last = trial.failures[-1]
    return f"attempt {last['attempt']}: {last['kind']}: {last['message']}"


def _rank_row(
    columns: Columns, metrics: Sequence[str], trial: TrialView, rank: Rank | None
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for index, metric in enumerate(metrics):
        found = rank.intervals[index] if rank is not None else None
        several = found is not None and found.count > 1
        row[columns.of_metric(metric, "mean")] = found.mean if found is not None else None
        row[columns.of_metric(metric, "low")] = found.low if found and several else None
        row[columns.of_metric(metric, "high")] = found.high if found and several else None
    row[columns.own("seeds")] = rank.seeds if rank is not None else None
    is_counted = rank is not None and any(run is trial for run in rank.runs)
    row[columns.own("counted")] = is_counted
    row[columns.own("repeat_of")] = trial.repeat_of
    return row


def _strict(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
