"""Columns of tables on seeds: those that did not complete, and those that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raysearch.results.ranking import Rank


def doubts_of(
    found: Iterable[Rank],
) -> dict[str, Callable[[Rank | None], str | None]]:
    """The columns that are needed for these, each with what it says of a rank, or of none."""
    columns: dict[str, Callable[[Rank | None], str | None]] = {}
    places = list(found)
    if any(each.others for each in places):
        columns["outcomes"] = lambda each: None if each is None else each.outcomes
    if any(each.suspicion for each in places if each.seeds > 1):
        columns["suspicious"] = lambda each: None if each is None else each.suspicion or None
    return columns
