"""Rows of a table of trials: those that fit a condition, in an order, in groups with means."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raysearch.errors import BadSetting, UnknownName
from raysearch.results.conditions import Condition
from raysearch.results.flat import flat
from raysearch.results.intervals import Interval, interval
from raysearch.results.layout import EVERYWHERE, Column, on, records
from raysearch.results.tables import NAMED, TrialColumn, TrialRow, trial_columns, trial_rows
from raysearch.results.view import SearchView
from raysearch.sweeps.nearest import on_offer
from raysearch.texts import decimals, shown


@dataclass(frozen=True)
class Chosen:
    """What is asked of a table of trials: a condition, columns to sort by, one to group by.

    `sort` names columns, apart by commas, a minus before one for the other direction; what is not
    there comes last.
    """

    where: str | None = None
    sort: str | None = None
    group_by: str | None = None


@dataclass(frozen=True)
class GroupRow:
    """The trials with one value of a column.

    `means` and `best` are over completed configurations, by objective: each counts once, by its
    mean over seeds.
    """

    value: Any
    trials: int
    configurations: int
    means: tuple[Interval | None, ...]
    best: tuple[float | None, ...]
    best_trial: int | None


def chosen_rows(view: SearchView, chosen: Chosen) -> list[TrialRow]:
    """The rows that are asked for.

    Raises:
        BadSetting: the condition is none. UnknownName: no trial has a column or setting so named.
    """
    found = trial_rows(view)
    facts = _facts(view, found)
    names = dict.fromkeys(name for row in facts for name in row)
    if chosen.where is not None:
        fits = Condition.read(chosen.where, names).choose(facts)
        found = [row for row, holds in zip(found, fits, strict=True) if holds]
        facts = [row for row, holds in zip(facts, fits, strict=True) if holds]
    for name, is_down in reversed(_sorting(chosen.sort)):
        _check(name, names, "--sort")
        order = _order([row.get(name) for row in facts], is_down)
        found, facts = [found[at] for at in order], [facts[at] for at in order]
    return found


def chosen_columns(view: SearchView, chosen: Chosen) -> list[TrialColumn]:
    """The columns of a terminal; those that were asked for by name directly behind the fidelity.

    What trials are sorted by first is never left out; a setting that is no column becomes one.

    Raises:
        BadSetting: the condition is none. UnknownName: no trial has a column or setting so named.
    """
    every, settings = trial_columns(view), _settings(view)
    aliases = _aliases(every, settings)
    asked = [name for name, _ in _sorting(chosen.sort)]
    is_sorted = bool(asked)
    if chosen.where is not None:
        names = [*(column.key for column in every), *aliases, *settings]
        asked += Condition.read(chosen.where, names).names
    keys = list(dict.fromkeys(aliases.get(name, name) for name in asked))
    there = {column.key: column for column in every}
    named: dict[str, TrialColumn] = {}
    for place, key in enumerate(keys):
        column = there.get(key) or TrialColumn(key, key, lambda row, key=key: _setting(row, key))
        if column.priority <= NAMED:
            is_kept = is_sorted and place == 0
            named[key] = replace(column, priority=NAMED, may_drop=not is_kept, on=EVERYWHERE)
    return on([*named.values(), *(one for one in every if one.key not in named)], "terminal")


def _sorting(sort: str | None) -> list[tuple[str, bool]]:
    """The columns to sort by, and whether from above."""
    parts = [part.strip() for part in (sort or "").split(",")]
    found = [(part.removeprefix("-"), part.startswith("-")) for part in parts]
    return [(name, is_down) for name, is_down in found if name]


def _setting(row: TrialRow, name: str) -> Any:
    return {**flat(row.trial.config), **row.trial.params}.get(name)


def _aliases(columns: Sequence[TrialColumn], settings: Container[str]) -> dict[str, str]:
    """The headers that people see of columns that are called otherwise in records."""
    keys = {column.key for column in columns}
    seen = on(columns, "terminal")
    return {o.header: o.key for o in seen if o.header not in keys and o.header not in settings}


def _settings(view: SearchView) -> dict[str, None]:
    """The names of all settings and parameters of the trials."""
    trials = view.trials.values()
    return dict.fromkeys(name for one in trials for name in (*flat(one.config), *one.params))


def grouped(view: SearchView, chosen: Chosen) -> list[GroupRow]:
    """The groups of the rows that are asked for, sorted by columns of groups.

    Those are the columns of `group_columns`, also by the words `trials`, `configurations`, `mean`,
    `best` and `best trial` of the first objective.

    Raises:
        BadSetting: the condition is none, or several columns are to group by. UnknownName: there is
            no such column.
    """
    by = (chosen.group_by or "").strip()
    found = groups(view, chosen_rows(view, Chosen(chosen.where)), by)
    columns, first = group_columns(view, by), view.spec.metric.name
    facts = records(columns, found)
    short = {column.header: column.key for column in columns if column.header}
    short |= {"mean": f"{first} mean", "best": f"{first} best", "best mean": f"{first} best"}
    facts = [{**{name: row[key] for name, key in short.items()}, **row} for row in facts]
    names = dict.fromkeys([*(column.key for column in columns), *short])
    for name, is_down in reversed(_sorting(chosen.sort)):
        if name not in names:
            raise UnknownName(
                f"--sort: a table of groups has no column {name!r}{on_offer(name, names)}"
            )
        order = _order([row[name] for row in facts], is_down)
        found, facts = [found[at] for at in order], [facts[at] for at in order]
    return found


def groups(view: SearchView, rows: Sequence[TrialRow], name: str) -> list[GroupRow]:
    """The rows by the value of a column, the group with the best configuration first.

    Raises:
        BadSetting: several columns are named. UnknownName: no trial has a column or setting so
            named.
    """
    facts = _facts(view, rows)
    everything = _facts(view, trial_rows(view))
    names = dict.fromkeys(key for row in everything for key in row)
    if "," in name and name not in names:
        raise BadSetting(f"--group-by must name one column, got {name!r}")
    _check(name, names, "--group-by")
    parts: dict[str, list[tuple[Any, TrialRow]]] = {}
    for row, own in zip(rows, facts, strict=True):
        parts.setdefault(repr(own.get(name)), []).append((own.get(name), row))
    found = [_group(view, part[0][0], [row for _, row in part]) for part in parts.values()]
    sign = view.spec.metric.sign
    return sorted(found, key=lambda each: math.inf if each.best[0] is None else sign * each.best[0])


def group_columns(view: SearchView, name: str) -> list[Column[GroupRow]]:
    """The columns of groups: the value, how many, and for each objective mean, interval, best."""
    columns: list[Column[GroupRow]] = [
        Column(name, name, lambda row: row.value, lambda row: shown(row.value), may_drop=False),
        Column("trials", "trials", lambda row: row.trials, align="right", may_drop=False),
        Column("configurations", "configurations", lambda row: row.configurations, align="right"),
    ]
    for index, metric in enumerate(view.spec.metrics):
        columns += _objective(index, metric.name)
    best = Column[GroupRow]("best_trial", "best trial", lambda row: row.best_trial, align="right")
    return [*columns, best]


def _objective(index: int, name: str) -> list[Column[GroupRow]]:
    def end(row: GroupRow, word: str) -> float | None:
        found = row.means[index]
        return None if found is None or found.count < 2 else getattr(found, word)

    return [
        Column(
            f"{name} mean",
            f"mean {name}",
            lambda row: None if (mean := row.means[index]) is None else mean.mean,
            lambda row: spread(row.means[index]),
            may_drop=False,
        ),
        Column(f"{name} low", "", lambda row: end(row, "low"), on=frozenset(("records",))),
        Column(f"{name} high", "", lambda row: end(row, "high"), on=frozenset(("records",))),
        Column(
            f"{name} best",
            f"best mean {name}",
            lambda row: row.best[index],
            lambda row: "" if (best := row.best[index]) is None else decimals(best),
            align="right",
            may_drop=False,
        ),
    ]


def spread(found: Interval | None) -> str:
    """`0.9823 ± 0.0072`, or the mean of one alone."""
    if found is None:
        return ""
    return decimals(found.mean) + (f" ± {decimals(found.half)}" if found.count > 1 else "")


def _group(view: SearchView, value: Any, rows: Sequence[TrialRow]) -> GroupRow:
    ranks = [row.rank for row in rows if row.rank is not None and row.stands]
    metrics = view.spec.metrics
    values = [[rank.intervals[at].mean for rank in ranks] for at in range(len(metrics))]
    best = min(ranks, key=lambda rank: metrics[0].sign * rank.mean, default=None)
    return GroupRow(
        value,
        len(rows),
        len(ranks),
        tuple(interval(each) if each else None for each in values),
        tuple(
            metric.sign * min(metric.sign * one for one in each) if each else None
            for metric, each in zip(metrics, values, strict=True)
        ),
        best.trial.number if best is not None else None,
    )


def _facts(view: SearchView, rows: Sequence[TrialRow]) -> list[dict[str, Any]]:
    """What a row may be asked for: its columns, its parameters and its whole configuration.

    A column also by its header, where that is nothing else's name.

    Columns go before settings of the same name: they agree where both are the parameter's.
    """
    columns = trial_columns(view)
    found = [
        {**flat(row.trial.config), **row.trial.params, **record}
        for row, record in zip(rows, records(columns, rows), strict=True)
    ]
    short = _aliases(columns, _settings(view))
    return [{**row, **{name: row.get(key) for name, key in short.items()}} for row in found]


def _check(name: str, names: Mapping[str, Any], option: str) -> None:
    if name not in names:
        raise UnknownName(f"{option}: no column is named {name!r}{on_offer(name, names)}")


def _order(values: Sequence[Any], is_down: bool) -> list[int]:
    """Places in order: numbers, then texts, then what is not there; equal ones as they were."""

    def number(value: Any) -> bool:
        return isinstance(value, int | float)

    numbers = [at for at, value in enumerate(values) if number(value)]
    texts = [at for at, value in enumerate(values) if value is not None and not number(value)]
    numbers.sort(key=lambda at: values[at], reverse=is_down)
    texts.sort(key=lambda at: str(values[at]), reverse=is_down)
    return [*numbers, *texts, *(at for at, value in enumerate(values) if value is None)]
