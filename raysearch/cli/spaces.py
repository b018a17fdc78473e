"""The declared sweeps, and how many points each has: counted once, kept with their sources."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from raysearch.settings import SWEEPS
from raysearch.sweeps.catalog import sweeps
from raysearch.sweeps.counts import KeptCounts, Reading
from raysearch.sweeps.space import Count, Space
from raysearch.sweeps.sweep import Sweep
from raysearch.terminal import make_console, print_json, say, show, table_of
from raysearch.texts import one_line

_HEADER = ("sweep", "points", "trials", "sampler", "metric", "question")
_WIDE = 120
"""Letters from which on all is in one table; below it each sweep has lines of its own."""
_WORDS = 200
"""Letters of a question or of the metrics in the table."""


def declared(packages: Sequence[str] = SWEEPS) -> list[dict[str, Any]]:
    """All declared sweeps of these packages, a record for each."""
    with Reading() as reading:
        found = sweeps(packages)
    kept = KeptCounts.here(reading)
    counts = {name: kept.count(name, sweep, _count) for name, sweep in found.items()}
    kept.write()
    return [_record(name, sweep, counts[name]) for name, sweep in found.items()]


def show_spaces(as_json: bool) -> None:
    """All declared sweeps."""
    found = declared()
    if as_json:
        print_json(found)
        return
    rows, width = [_row(record) for record in found], make_console().width
    if width >= _WIDE:
        show(table_of(_HEADER, rows))
        return
    for name, *facts, question in rows:
        say(name)
        parts = [f"{what} {fact}" for what, fact in zip(_HEADER[1:], facts, strict=False)]
        for line in (*wrap(", ".join(parts), width - 2), *wrap(question, width - 2)):
            say(f"  {line}")


def _count(sweep: Sweep) -> Count:
    return Space(sweep).count()


def _record(name: str, sweep: Sweep, count: Count) -> dict[str, Any]:
    return {
        "name": name,
        "count": str(count),
        "points": count.points,
        "distinct": count.distinct,
        "stated": count.stated,
        "sampler": sweep.sampler,
        "pruner": sweep.pruner,
        "trials": sweep.trials,
        "metrics": [f"{metric.direction} {metric.name}" for metric in sweep.metrics],
        "question": sweep.question,
    }


def _row(record: dict[str, Any]) -> list[str]:
    points = record["count"]
    if record["stated"] is not None and record["stated"] != record["points"]:
        points += f" (stated {record['stated']})"
    trials = "all" if record["trials"] is None else str(record["trials"])
    words = (", ".join(record["metrics"]), record["question"])
    shown = [one_line(text, _WORDS) for text in words]
    return [record["name"], points, trials, record["sampler"], *shown]
