"""The trials of a search as a table: each column a value with a key, a header, how it is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any

from raysearch.results.doubts import doubts_of
from raysearch.results.layout import EVERYWHERE, Column, Surface, on, records
from raysearch.results.remarks import remark
from raysearch.sweeps.columns import Columns, has_path
from raysearch.texts import cut, decimals, plural, shown, shown_value

if TYPE_CHECKING:
    from raysearch.results.ranking import Rank
    from raysearch.results.view import SearchView, TrialView

_RECORDS: frozenset[Surface] = frozenset(("records",))
_TERMINAL: frozenset[Surface] = frozenset(("terminal",))
_PAGE: frozenset[Surface] = frozenset(("records", "page"))
_ON_PAGE: frozenset[Surface] = frozenset(("page",))
_NUMBER, _STATE, _OF, _OBJECTIVE, _MEAN, _SEEDS, _FIDELITY, _PARAMETER = range(80, 0, -10)
"""Priorities: on a terminal from left to right."""
REMARK = 600
"""Letters of what else there is to say of a trial, such as the reason why it failed."""
NAMED = 15
"""The priority of a column that somebody asked for by its name: behind the fidelity."""
_NUMBERS = (int, float, type(None))
_VAGUE = ("kind", "name")
"""Last parts of names that say nothing by themselves."""


@dataclass(frozen=True)
class TrialRow:
    """A trial, and the rank of its configuration over all seeds (None: it has none)."""

    trial: TrialView
    rank: Rank | None

    @property
    def stands(self) -> bool:
        """Whether it is the run that stands for its configuration."""
        return self.rank is not None and self.rank.trial is self.trial

    def value(self, index: int) -> float | None:
        """An objective: its end, or the last that was reported."""
        trial = self.trial
        values = trial.values or (trial.reports[-1][2] if trial.reports else None)
        return values[index] if values else None

    @property
    def fidelity(self) -> int | None:
        """The last fidelity that was reported."""
        reported = (each[1] for each in reversed(self.trial.reports) if each[1] is not None)
        return next(reported, None)


TrialColumn = Column[TrialRow]


def columns_of(view: SearchView) -> Columns:
    """The names of the columns of `rows`: they do not depend on which parameters vary."""
    trials = view.trials.values()

    @cache  # each is asked for in every row
    def is_parameter(name: str) -> bool:
        return any(name in trial.params or has_path(trial.config, name) for trial in trials)

    return Columns(is_parameter, [metric.name for metric in view.spec.metrics])


def terminal_columns(view: SearchView) -> list[TrialColumn]:
    """The columns of a terminal; telling their keys apart would cost a look at each trial."""
    metrics = [metric.name for metric in view.spec.metrics]
    return on(trial_columns(view, Columns(lambda name: False, metrics)), "terminal")


def trial_columns(view: SearchView, names: Columns | None = None) -> list[TrialColumn]:
    """All columns of the trials of a search, in the order of records.

    A column of ours is one entry here; parameters have their own names, what else is called like
    one has another (`names`, by default `columns_of`).
    """
    names = names or columns_of(view)
    repeated = any(each.is_repeated for each in view.ranking())
    evaluates = any(trial.evaluates is not None for trial in view.trials.values())
    return [
        _own(names, "trial", lambda row: row.trial.number, _NUMBER, align="right", may_drop=False),
        TrialColumn(
            key=names.own("state"),
            header="state",
            value=lambda row: row.trial.state,
            text=lambda row: row.trial.doing,
            may_drop=False,
            priority=_STATE,
            look="state",
        ),
        *_objectives(view, names),
        *(_repeats(view, names) if repeated else []),
        _own(
            names,
            view.spec.fidelity,
            lambda row: row.fidelity,
            _FIDELITY,
            align="right",
            may_drop=False,
        ),
        _own(names, "step", lambda row: row.trial.reports[-1][0] if row.trial.reports else None),
        _own(names, "seconds", lambda row: _seconds(row.trial)),
        *(_cost(names, name) for name in cost_names(view)),
        *_parameters(view),
        _own(
            names, "reason", lambda row: row.trial.reason or _failed_before(row.trial), on=_RECORDS
        ),
        *([_evaluates(names)] if evaluates or view.spec.evaluates is not None else []),
        *_nodes(view, names),
        _own(names, "remark", lambda row: remark(row.trial), on=_ON_PAGE, text=_remark,
             look="sentences"),
    ]  # fmt: skip


def trial_rows(view: SearchView) -> list[TrialRow]:
    """A row for each trial but duplicates, best first."""
    places = {each.trial.digest: each for each in view.ranking()}
    return [
        TrialRow(trial, places.get(trial.digest) if trial.is_feasible else None)
        for trial in view.ranked()
    ]


def running_first(found: Sequence[TrialRow]) -> list[TrialRow]:
    """The rows of trials that run now by their number, then the others as they were."""
    running = [row for row in found if row.trial.state == "running"]
    others = [row for row in found if row.trial.state != "running"]
    return [*sorted(running, key=lambda row: row.trial.number), *others]


def rows(view: SearchView) -> list[dict[str, Any]]:
    """All trials, best first, as flat records that are strict JSON: not finite becomes None.

    Where configurations were run again each completed run also has the mean of its configuration
    and the 95 % interval (None with one seed) of each objective, the number of `seeds`, whether it
    is one that is `counted`, and which trial it is a `repeat_of`; where some seed did not complete
    the `outcomes` of all, and where they gave identical results why that is `suspicious`. Where
    trials said their costs each row has the last of them, by their names. Only where trials of
    another search are evaluated each row says which it `evaluates`.
    """
    return records(trial_columns(view), trial_rows(view))


def _own(
    names: Columns,
    name: str,
    value: Callable[[TrialRow], Any],
    priority: int = 0,
    *,
    on: frozenset[Surface] | None = None,
    **how: Any,
) -> TrialColumn:
    """A column of ours: on the terminal too if it has a priority."""
    places = on or (EVERYWHERE if priority else _PAGE)
    return TrialColumn(names.own(name), name, value, priority=priority, on=places, **how)


def _objectives(view: SearchView, names: Columns) -> list[TrialColumn]:
    def column(index: int, name: str) -> TrialColumn:
        return TrialColumn(
            key=names.metric(name),
            header=name,
            value=lambda row: _strict(row.value(index)),
            text=lambda row: _decimals(row.value(index)),
            align="right",
            may_drop=False,
            priority=_OBJECTIVE,
        )

    return [column(index, metric.name) for index, metric in enumerate(view.spec.metrics)]


def _repeats(view: SearchView, names: Columns) -> list[TrialColumn]:
    """Means of configurations with their intervals, seeds, and what is doubtful of them."""
    metrics = [metric.name for metric in view.spec.metrics]
    found = [each for at, name in enumerate(metrics) for each in _mean_columns(at, name, names)]
    if len(metrics) == 1:
        found[0] = replace(found[0], header="mean")
    found += [
        TrialColumn(
            key=names.own("seeds"),
            header="seeds",
            value=lambda row: row.rank.seeds if row.rank is not None else None,
            text=lambda row: seeds_of(row.rank) if row.rank is not None and row.stands else "",
            may_drop=False,
            priority=_SEEDS,
        ),
        _own(names, "counted", _is_counted, on=_RECORDS),
        _own(names, "repeat_of", lambda row: row.trial.repeat_of, on=_RECORDS),
    ]
    for name, said in doubts_of(view.ranking()).items():
        found.append(_own(names, name, lambda row, said=said: said(row.rank)))
    return found


def _mean_columns(index: int, name: str, names: Columns) -> list[TrialColumn]:
    def of(row: TrialRow, word: str) -> float | None:
        if row.rank is None:
            return None
        found = row.rank.intervals[index]
        return None if found.count < 2 and word != "mean" else getattr(found, word)

    mean = TrialColumn(
        key=names.of_metric(name, "mean"),
        header=f"mean {name}",
        value=lambda row: of(row, "mean"),
        text=lambda row: with_interval(row.rank, index) if row.rank and row.stands else "",
        may_drop=False,
        priority=_MEAN,
    )
    ends = [
        TrialColumn(
            key=names.of_metric(name, word),
            header=f"{name} {word}",
            value=lambda row, word=word: of(row, word),
            on=_RECORDS,
        )
        for word in ("low", "high")
    ]
    return [mean, *ends]


def _is_counted(row: TrialRow) -> bool:
    return row.rank is not None and any(run is row.trial for run in row.rank.runs)


def _cost(names: Columns, name: str) -> TrialColumn:
    return _own(names, name, lambda row: row.trial.last_costs.get(name))


def _parameters(view: SearchView) -> list[TrialColumn]:
    varying = view.varying()
    some = list(islice(view.trials.values(), 100))  # it only says how a column is aligned

    def column(name: str, short: str) -> TrialColumn:
        is_number = all(type(trial.params.get(name)) in _NUMBERS for trial in some)
        return TrialColumn(
            key=name,
            header=short,
            value=lambda row: _strict(row.trial.params.get(name)),
            text=lambda row: (
                shown_value(row.trial.params[name]) if name in row.trial.params else ""
            ),
            align="right" if is_number else "left",
            priority=_PARAMETER,
        )

    return [column(*each) for each in zip(varying, short_names(varying), strict=True)]


def _evaluates(names: Columns) -> TrialColumn:
    """Which finished trial of another search it evaluates."""
    return _own(
        names,
        "evaluates",
        lambda row: (row.trial.evaluates or {}).get("trial"),
        _OF,
        on=_RECORDS | _TERMINAL,  # a page has it among the remarks, with the name of the search
        may_drop=False,
    )


def _nodes(view: SearchView, names: Columns) -> list[TrialColumn]:
    """On which machines a trial ran, where that is known; on a page only if there are several."""
    known = {name for trial in view.trials.values() for name in trial.nodes}
    if not known:
        return []
    place = _PAGE if len(known) > 1 else _RECORDS
    return [_own(names, "node", lambda row: ", ".join(row.trial.nodes) or None, on=place)]


def _remark(row: TrialRow) -> str:
    return cut(remark(row.trial), REMARK)


def short_names(names: Sequence[str]) -> list[str]:
    """The last parts of dotted names, as far as they differ."""
    last = [name.rpartition(".")[2] for name in names]
    return [
        name if last.count(short) > 1 or short in _VAGUE else short
        for short, name in zip(last, names, strict=True)
    ]


def with_interval(rank: Rank, index: int = 0) -> str:
    """`0.9823 ± 0.0072`: the mean of an objective; without an interval the mean alone."""
    found = rank.intervals[index]
    half = f" ± {decimals(found.half)}" if found.count > 1 else ""
    return f"{decimals(found.mean)}{half}"


def seeds_of(rank: Rank) -> str:
    """How many seeds, and how they ended if not all completed."""
    outcomes = {"complete": rank.complete, **rank.others}
    return seeds_in_words(outcomes, is_suspicious=bool(rank.suspicion))


def seeds_in_words(outcomes: Mapping[str, int], *, is_suspicious: bool) -> str:
    """`3`, or `3: 1 complete, 2 diverged`, or `3: suspicious, identical results`."""
    text = str(sum(outcomes.values()))
    if len(outcomes) > 1:
        text += f": {', '.join(f'{count} {what}' for what, count in outcomes.items())}"
    return f"{text}: suspicious, identical results" if is_suspicious else text


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


def _seconds(trial: TrialView) -> float | None:
    return (trial.ended - trial.started) / 1000 if trial.ended and trial.started else None


def _failed_before(trial: TrialView) -> str:
    """Why a trial that has not ended was tried again, or waits for that."""
    if trial.ended is not None or not trial.failures:
        return ""
    last = trial.failures[-1]
    return f"attempt {last['attempt']}: {last['kind']}: {last['message']}"


def _decimals(value: float | None) -> str:
    return "" if value is None else decimals(value)


def _strict(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
