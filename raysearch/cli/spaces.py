"""The declared sweeps, and how many points each has: counted once, kept with their sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raysearch.settings import SWEEPS
from raysearch.sweeps.catalog import sweeps
from raysearch.sweeps.counts import KeptCounts, Reading
from raysearch.sweeps.space import Count, Space
from raysearch.sweeps.sweep import Sweep
from raysearch.terminal import print_json, show, table_of
from raysearch.texts import one_line

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
    header = ("sweep", "points", "trials", "sampler", "metric", "question")
    show(table_of(header, [_row(record) for record in found], overflow="fold"))


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
