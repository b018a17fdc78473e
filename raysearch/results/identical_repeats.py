"""Repeats that differ in their seeds and in nothing else: runs that do not use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from raysearch.costs import COSTS

_FEW = 3
"""So many different values of the objectives in a row are no chance, whatever else is measured."""
_DIGITS = 4
"""Values with no more digits, such as an accuracy of 0.95, may well be met twice by chance."""
_COSTS = (COSTS, "progress/")

_History = tuple[tuple[int, tuple[float, ...]], ...]


class HasReports(Protocol):
    """A run as it is compared here: its seed, and step, values and metrics of its reports."""

    @property
    def seed(self) -> int:
        """The seed of its configuration."""
        ...

    @property
    def reports(self) -> Sequence[tuple[int, int | None, list[float] | None, dict[str, float]]]:
        """Step, fidelity, running values of the objectives, all metrics of each."""
        ...


def identical_seeds(runs: Sequence[HasReports]) -> str:
    """Which runs of a configuration gave identical results at all their steps, in a sentence.

    The objectives are compared, which may be saturated or coarse: where they take fewer than three
    different values, all other metrics but costs have to be equal too, one of them with more than
    four digits. Empty if no two runs are suspicious so, or nothing is known of their reports.
    """
    groups: dict[_History, list[HasReports]] = {}
    for run in runs:
        history = tuple((step, tuple(values)) for step, _, values, _ in run.reports if values)
        if history:
            groups.setdefault(history, []).append(run)
    found = [(history, own) for history, own in groups.items() if _is_suspicious(history, own)]
    if not found:
        return ""
    history, own = max(found, key=lambda each: len(each[1]))
    seeds = [str(seed) for seed in sorted({run.seed for run in own})]
    steps = f"all {len(history)} steps" if len(history) > 1 else "their only step"
    return (
        f"seeds {', '.join(seeds[:-1])} and {seeds[-1]} gave identical results at {steps}; "
        f"does the experiment use config.seed?"
    )


def _is_suspicious(history: _History, runs: Sequence[HasReports]) -> bool:
    if len({run.seed for run in runs}) < 2:
        return False
    if len({values for _, values in history}) >= _FEW:
        return True
    first, *others = ([_measured(report[3]) for report in run.reports] for run in runs)
    fine = any(_is_fine(value) for metrics in first for value in metrics.values())
    return fine and all(other == first for other in others)


def _measured(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.startswith(_COSTS)}


def _is_fine(value: float) -> bool:
    """Whether a number has more digits than chance would give twice."""
    return value != float(f"{value:.{_DIGITS}g}")
