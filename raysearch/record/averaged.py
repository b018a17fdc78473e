"""Means that are taken over more than half of what a trial reports: no value of its end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysearch.record.results import SearchView, TrialView

_MEAN = re.compile(r"mean\((\d+)\)")


def long_mean(metric: Mapping[str, Any], made: int) -> str:
    """A sentence where a metric is the mean of more than half of so many reports; else empty.

    Such a mean ranks trials by how they begin: of a curve that rises from 0.01 to 0.34 it says
    0.16.
    """
    match = _MEAN.fullmatch(str(metric.get("reduce")))
    if match is None or (count := int(match[1])) == 1 or 2 * count <= made:
        return ""
    share = f"all {made}" if count >= made else f"{count} of {made}"
    some = f"at most mean({made // 2})" if made > 3 else "last"
    return (
        f"{metric['reduce']} of {metric['name']} is over {share} of a trial's reports, its "
        f"beginning too: report it more often, or reduce it by {some}"
    )


def long_means(view: SearchView) -> list[str]:
    """That sentence for each objective, by the reports of the first trial that completed."""
    done = (trial for trial in view.trials.values() if trial.is_feasible and trial.reports)
    first = min(done, key=lambda trial: trial.told or 0, default=None)
    return [] if first is None else _said(view, first)


def _said(view: SearchView, trial: TrialView) -> list[str]:
    made = sum(bool(values) for _, _, values, _ in trial.reports)
    return [said for metric in view.spec["metrics"] if made and (said := long_mean(metric, made))]
