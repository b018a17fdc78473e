"""Means that are taken over more than half of what a trial reports: no value of its end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raysearch.sweeps.search_spec import MetricSpec

if TYPE_CHECKING:
    from raysearch.results.view import SearchView
    from raysearch.sweeps.space import Space
    from raysearch.sweeps.sweep import Sweep

_SOME = 16
"""So many points of a space are asked."""
_MEAN = re.compile(r"mean\((\d+)\)")


def long_mean(metric: MetricSpec, made: int) -> str:
    """A sentence where a metric is the mean of more than half of so many reports; else empty.

    Such a mean ranks trials by how they begin: of a curve that rises from 0.01 to 0.34 it says
    0.16.
    """
    match = _MEAN.fullmatch(metric.reduce)
    if match is None or (count := int(match[1])) == 1 or 2 * count <= made:
        return ""
    share = f"all {made}" if count >= made else f"{count} of {made}"
    some = f"at most mean({made // 2})" if made > 3 else "last"
    return (
        f"{metric.reduce} of {metric.name} is over {share} of a trial's reports, its "
        f"beginning too: report it more often, or reduce it by {some}"
    )


def foreseen_means(sweep: Sweep, space: Space) -> list[str]:
    """That sentence for each objective of a sweep, as far as its configurations know it.

    One says by a method `evaluations_made()` how often a run reports its evaluations, or None.
    """
    if sweep.evaluates is not None:
        return []
    asked = (getattr(point.config, "evaluations_made", None) for point in space.preview(_SOME))
    made = [number for ask in asked if ask is not None and (number := ask()) is not None]
    metrics = (MetricSpec(each.name, each.direction, each.reduce) for each in sweep.metrics)
    return [sentence for metric in metrics if made and (sentence := long_mean(metric, min(made)))]


def long_means(view: SearchView) -> list[str]:
    """That sentence for each objective, by the shortest curve of a trial that completed.

    Evaluations of finished trials have no curves.
    """
    metrics = [each for each in view.spec.metrics if _MEAN.fullmatch(each.reduce)]
    if not metrics or view.spec.evaluates is not None:
        return []
    done = (trial.reports for trial in view.trials.values() if trial.is_feasible)
    curves = (sum(bool(values) for _, _, values, _ in reports) for reports in done)
    shortest = min(filter(None, curves), default=0)
    return [
        sentence for metric in metrics if shortest and (sentence := long_mean(metric, shortest))
    ]
