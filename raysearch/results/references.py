"""Reference rows: scores of what learns nothing on the objectives, as trials say them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raysearch.results.intervals import mean

FACT = "reference/"
"""Beginning of the fact of an evaluation that has such rows: by row, then by value."""


@dataclass(frozen=True)
class Blind:
    """The best of the rows of a metric, where what was found is no better."""

    metric: str
    row: str
    value: float
    is_equal: bool = False

    @property
    def place(self) -> str:
        """`below blind`, or `equal to blind` where what was found is exactly as good."""
        return "equal to blind" if self.is_equal else "below blind"

    def __str__(self) -> str:
        """`blocks, which learns nothing, gets 0.604`."""
        return f"{self.row}, which learns nothing, gets {self.value:.4g}"


class Described(Protocol):
    """A run that says facts of itself."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """By name."""
        ...


def reference_rows(runs: Sequence[Described], metric: str) -> dict[str, float]:
    """What each row scores on a metric, the mean over those runs that say so.

    A metric `val/foreground_ari` is the value `foreground_ari` of the fact `reference/val`.
    """
    evaluation, _, name = metric.partition("/")
    found: dict[str, list[float]] = {}
    for run in runs:
        rows: Any = run.facts.get(f"{FACT}{evaluation}")
        for row, values in rows.items() if isinstance(rows, Mapping) else ():
            value = values.get(name) if isinstance(values, Mapping) else None
            if isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(str(row), []).append(float(value))
    return {row: mean(values) for row, values in found.items()}


def ordered(rows: Mapping[str, float], direction: str) -> dict[str, float]:
    """The rows, best first."""
    sign = -1.0 if direction == "maximize" else 1.0
    return dict(sorted(rows.items(), key=lambda pair: sign * pair[1]))


def below(value: float, runs: Sequence[Described], metric: str, direction: str) -> Blind | None:
    """The best row of a metric, if a value is no better than it; None without a row."""
    rows = ordered(reference_rows(runs, metric), direction)
    if not rows:
        return None
    row, best = next(iter(rows.items()))
    is_better = value > best if direction == "maximize" else value < best
    return None if is_better else Blind(metric, row, best, value == best)
