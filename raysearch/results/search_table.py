"""Searches as a table: a row for each, its columns as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raysearch.results.answer import doubts
from raysearch.results.endings import ends
from raysearch.results.layout import Column, Surface
from raysearch.results.ranking import Rank
from raysearch.results.tables import seeds_in_words
from raysearch.results.view import SearchView
from raysearch.texts import decimals

_RECORDS: frozenset[Surface] = frozenset(("records",))


@dataclass(frozen=True)
class SearchRow:
    """A search, its state and its best configuration."""

    view: SearchView
    state: str
    best: Rank | None
    counts: dict[str, Any]
    doubts: dict[str, Any]

    @classmethod
    def of(cls, view: SearchView, state: str) -> SearchRow:
        """The row of a search in a state, which its events alone do not say (`verbs.state_of`)."""
        best = next(iter(view.ranking()), None)
        doubt: dict[str, Any] = {"outcomes": None, "suspicious": None}
        doubt |= doubts(best) if best is not None else {}
        return cls(view, state, best, ends(view.counts()), doubt)


def _best_trial(row: SearchRow) -> int | None:
    return row.best.trial.number if row.best is not None else None


def seeds_of(row: SearchRow) -> str:
    """How many seeds its best configuration has, and how they ended if not all completed."""
    outcomes, doubt = row.doubts["outcomes"], row.doubts["suspicious"]
    return seeds_in_words(outcomes, is_suspicious=bool(doubt)) if outcomes else ""


def _tags(row: SearchRow) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.view.spec.tags.items())


def _count(state: str, priority: int, *, may_drop: bool) -> Column[SearchRow]:
    return Column(
        state,
        state,
        lambda row: row.counts[state],
        align="right",
        may_drop=may_drop,
        priority=priority,
    )


COLUMNS: tuple[Column[SearchRow], ...] = (
    Column("name", "name", lambda row: row.view.search, lambda row: row.view.search,
           may_drop=False, priority=99),
    Column("sweep", "sweep", lambda row: row.view.spec.sweep_name, priority=4),
    Column("state", "state", lambda row: row.state, may_drop=False, priority=90),
    Column("trials", "trials", lambda row: len(row.view.trials), align="right",
           may_drop=False, priority=80),
    _count("complete", 6, may_drop=True),
    _count("pruned", 5, may_drop=True),
    _count("failed", 70, may_drop=False),
    _count("infeasible", 69, may_drop=False),
    Column("best", "best", lambda row: row.best.mean if row.best is not None else None,
           lambda row: decimals(row.best.mean) if row.best is not None else "",
           align="right", may_drop=False, priority=60),
    Column("best_trial", "best trial", _best_trial, align="right", may_drop=False, priority=59),
    Column("seeds", "seeds", lambda row: row.best.seeds if row.best is not None else None, seeds_of,
           priority=7),
    Column("outcomes", "outcomes", lambda row: row.doubts["outcomes"], on=_RECORDS),
    Column("suspicious", "suspicious", lambda row: row.doubts["suspicious"], on=_RECORDS),
    Column("group", "group", lambda row: row.view.spec.group, priority=3),
    Column("tags", "tags", lambda row: dict(row.view.spec.tags), _tags, priority=2),
    Column("notes", "notes", lambda row: row.view.spec.notes, priority=1),
)  # fmt: skip
"""What is said of a search in a list."""
