"""Slices: one parameter after the other against an objective."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import median
from typing import Any

from raysearch.pages.axes import Axis, varying_axes
from raysearch.pages.chart import Chart, layer, objective_axis, parameter_axis, star
from raysearch.pages.objectives import (
    Objective,
    drawn,
    far_out,
    limits,
    thinned,
    winning,
    within,
)
from raysearch.results.view import SearchView

MOST = 12
"""Parameters that are drawn at most."""
_POINTS = 800
_SPREAD = 0.16
"""How far points of one choice are moved apart, as a share of the distance of two choices."""

Points = list[tuple[float, float, int]]
"""Parameter, objective, number of the trial."""


def slice_charts(view: SearchView, objective: Objective, order: Sequence[str] = ()) -> list[Chart]:
    """A chart for each parameter that varies, in this order, the rest behind."""
    rank = {name: place for place, name in enumerate(order)}
    axes = sorted(varying_axes(view), key=lambda axis: rank.get(axis.name, len(rank)))
    found = [_slice(view, objective, axis, place) for place, axis in enumerate(axes[:MOST], 1)]
    return [chart for chart in found if chart is not None]


def _slice(view: SearchView, objective: Objective, axis: Axis, place: int) -> Chart | None:
    done = points_of(view, objective, axis, "complete")
    stopped = points_of(view, objective, axis, "pruned")
    if not done:
        return None
    values = [y for _, y, _ in done]
    bounds = limits([*values, *(y for _, y, _ in stopped)], objective)
    won = winning(view, objective)
    at = None if won is None else axis.at(won[0])
    layers = [
        layer("points", name, colour, _apart(axis, points, bounds), mark=mark)
        for name, colour, mark, points in (
            ("pruned", "pruned", "ring", stopped),
            ("completed", "complete", "dot", done),
        )
        if points
    ]
    layers += _medians(axis, done, bounds)
    if won is not None and at is not None:
        layers.append(star(view, at, within(won[1], bounds), won[0].number))
    spec = {
        "kind": "plot",
        "small": True,
        "x": parameter_axis(axis),
        "y": objective_axis(objective, bounds),
        "layers": layers,
    }
    alt = f"{objective.name} against {axis.name} for {len(done)} completed trials."
    name = f"slice-{objective.index + 1}-{place:02d}"
    return Chart(name, spec, alt, far_out(values, bounds).strip())


def points_of(view: SearchView, objective: Objective, axis: Axis, state: str) -> Points:
    """Parameter and objective of the trials in a state that have both."""
    own = [trial for trial in drawn(view) if trial.state == state]
    pairs = [(axis.at(trial), objective.value(trial), trial.number) for trial in own]
    return [(x, y, number) for x, y, number in pairs if x is not None and y is not None]


def _medians(axis: Axis, done: Points, bounds: tuple[float, float]) -> list[dict[str, Any]]:
    """Of choices the median of each."""
    if axis.kind != "choice":
        return []
    by_choice = [[y for x, y, _ in done if x == index] for index in range(len(axis.choices))]
    data = [(i, within(median(own), bounds)) for i, own in enumerate(by_choice) if own]
    return [layer("levels", "", "ink", data)]


def _apart(axis: Axis, points: Points, bounds: tuple[float, float]) -> Points:
    """Points of one choice, or one whole number of few, beside one another, at random but fixed."""
    few = thinned(points, _POINTS)
    spread = _SPREAD if axis.kind == "choice" or _is_short(axis) else 0.0
    rng = random.Random(len(points))
    return [(x + rng.uniform(-spread, spread), within(y, bounds), n) for x, y, n in few]


def _is_short(axis: Axis) -> bool:
    """Whether its values are few whole numbers."""
    return axis.whole and axis.kind == "linear" and axis.high - axis.low <= 12
