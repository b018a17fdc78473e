"""A search and a trial as a notebook shows them: small tables of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Protocol

from raysearch.results.endings import ENDED
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.texts import decimals, one_line, plural, shown

_ROWS = 20
_COLORS = {
    "running": "#0b7285",
    "complete": "#2b8a3e",
    "pruned": "#a66a00",
    "failed": "#c92a2a",
    "infeasible": "#862e9c",
}
"""Text colours that can be read on white and on black."""
_CELL = "text-align:left;padding:0.1em 0.8em 0.1em 0;white-space:nowrap"


class ShownTrial(Protocol):
    """What is shown of a trial; each as `trial_view.TrialView` has it."""

    number: int
    params: dict[str, Any]
    seed: int
    state: str
    values: list[float] | None
    reports: list[tuple[int, int | None, list[float] | None, dict[str, float]]]
    reason: str

    @property
    def doing(self) -> str:
        """Its state, or `starting`."""
        ...


class ShownSearch(Protocol):
    """What is shown of a search; each as `view.SearchView` has it."""

    search: str
    spec: SearchSpec
    state: str
    reason: str

    @property
    def trials(self) -> Mapping[int, ShownTrial]:
        """All of them, by number."""
        ...

    def varying(self) -> list[str]:
        """The parameters that differ between trials."""
        ...

    def counts(self) -> dict[str, int]:
        """How many trials are in each state."""
        ...

    def ranked(self) -> Sequence[ShownTrial]:
        """The trials, best first."""
        ...

    def best(self) -> ShownTrial | None:
        """The best of them."""
        ...


def search_html(view: ShownSearch, most: int = _ROWS) -> str:
    """State and counts of a search, and a table of its running and its best trials."""
    names = view.varying()
    metrics = [metric.name for metric in view.spec.metrics]
    running = [trial for trial in view.trials.values() if trial.state == "running"]
    others = [trial for trial in view.ranked() if trial.state != "running"]
    chosen = [*running, *others][:most]
    rows = [_row(view, trial, names) for trial in chosen]
    left = len(view.trials) - len(chosen)
    more = f"<p>and {plural(left, 'trial')} more</p>" if left else ""
    table = _table(["trial", "state", *metrics, view.spec.fidelity, *names], rows)
    return f"<div>{_headline(view)}{table if rows else ''}{more}</div>"


def answer_html(view: ShownSearch) -> str:
    """State and counts of a search, with its best trial."""
    best = view.best()
    return f"<div>{_headline(view)}{'' if best is None else _facts(view, best)}</div>"


def trial_html(trial: ShownTrial) -> str:
    """State, parameters, last metrics and failures of a trial."""
    last = trial.reports[-1] if trial.reports else None
    rows = [
        ["state", _state(trial.state)],
        *([["values", _text(", ".join(map(decimals, trial.values)))]] if trial.values else []),
        *([["step", str(last[0])]] if last else []),
        *([[_text(name), _value(one)] for name, one in last[3].items()] if last else []),
        *([_text(name), _value(one)] for name, one in trial.params.items()),
        ["seed", str(trial.seed)],
        *([["reason", _text(one_line(trial.reason))]] if trial.reason else []),
    ]
    return f"<div><p><b>trial {trial.number}</b></p>{_table([], rows)}</div>"


def _headline(view: ShownSearch) -> str:
    counts = view.counts()
    states = ("running", "waiting", *ENDED)
    parts = [f"{counts[state]} {_state(state)}" for state in states if counts.get(state)]
    reason = f" ({_text(one_line(view.reason))})" if view.reason else ""
    words = ", ".join(parts) or "no trial yet"
    return f"<p><b>{_text(view.search)}</b> {_text(view.state)}{reason}: {words}</p>"


def _facts(view: ShownSearch, best: ShownTrial) -> str:
    values = zip(view.spec.metrics, best.values or [], strict=False)
    rows = [
        ["best trial", str(best.number)],
        *([_text(metric.name), decimals(value)] for metric, value in values),
        *([_text(name), _value(best.params.get(name, ""))] for name in view.varying()),
    ]
    return _table([], rows)


def _row(view: ShownSearch, trial: ShownTrial, names: Iterable[str]) -> list[str]:
    last = trial.reports[-1] if trial.reports else None
    values = trial.values or (last[2] if last else None) or []
    reached = [report[1] for report in trial.reports if report[1] is not None]
    count = len(view.spec.metrics)
    return [
        str(trial.number),
        _state(trial.doing),
        *(decimals(value) for value in values),
        *[""] * (count - len(values)),
        str(reached[-1]) if reached else "",
        *(_value(trial.params.get(name, "")) for name in names),
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already, below names that are not."""
    head = "".join(f'<th style="{_CELL}">{_text(name)}</th>' for name in header)
    cells = ("".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<table>{top}<tbody>{body}</tbody></table>"


def _state(state: str) -> str:
    color = _COLORS.get(state)
    style = f' style="color:{color}"' if color else ""
    return f"<span{style}>{_text(state)}</span>"


def _value(value: Any) -> str:
    return _text(decimals(value) if isinstance(value, float) else shown(value))


def _text(text: str) -> str:
    return escape(text)
