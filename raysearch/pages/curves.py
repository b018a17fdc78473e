"""Learning curves: what each trial reported, the pruned ones to where they were stopped."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Any

from raysearch.pages.axes import brief
from raysearch.pages.chart import BEST, Chart, axis, layer, objective_axis, word
from raysearch.pages.objectives import (
    Objective,
    called,
    completed,
    drawn,
    limits,
    objectives,
    thinned,
    within,
)
from raysearch.results.references import ordered, reference_rows
from raysearch.results.view import SearchView, TrialView
from raysearch.texts import one_line

MOST = 300
"""Curves that are drawn at most, the best not counted."""
POINTS = 120
"""Points of a curve that are drawn at most, evenly spaced, the last among them."""
LABELLED = 4

Curve = list[tuple[float, float]]


def unit(view: SearchView) -> str:
    """What curves run over: the fidelity of the search, or the step where that is not known."""
    reports = [report for trial in drawn(view) for report in trial.reports if report[2]]
    known = all(report[1] is not None for report in reports)
    if not known:
        return "step"
    return "evaluation" if view.spec.fidelity == "evaluations" else view.spec.fidelity


def curve_of(trial: TrialView, objective: Objective, over: str) -> Curve:
    """What a trial reported of an objective, as it was reported, where it is finite."""
    points: Curve = []
    for step, fidelity, values, metrics in trial.reports:
        if not values:
            continue
        y = metrics.get(objective.name, values[objective.index])
        x = step if over == "step" or fidelity is None else fidelity
        if math.isfinite(y):
            points.append((float(x), float(y)))
    return points


def curves_chart(view: SearchView, objective: Objective) -> Chart | str:
    """The curves of one objective; a sentence if no trial reported it twice."""
    over = unit(view)
    curves = {trial.number: curve_of(trial, objective, over) for trial in drawn(view)}
    long = {number: curve for number, curve in curves.items() if len(curve) > 1}
    if not long:
        return f"No trial reported {objective.name} more than once: there are no curves."
    best = named_best(view, long)
    others = [trial for trial in drawn(view) if trial.number in long and trial.number not in best]
    shown, blind = thinned(others, MOST), _references(view, objective)
    bounds = limits(
        [*(y for curve in long.values() for _, y in curve), *list(blind.values())[:1]], objective
    )
    inside = {row: value for row, value in blind.items() if bounds[0] <= value <= bounds[1]}
    first, last = min(c[0][0] for c in long.values()), max(c[-1][0] for c in long.values())
    spec = {
        "kind": "plot",
        "x": axis(over, first, last, whole=True),
        "y": objective_axis(objective, bounds),
        "layers": [
            *_by_state(shown, long, bounds),
            *({"kind": "rule", "name": word(row), "colour": "muted", "at": value}
              for row, value in inside.items()),
            *_best(view, best, long, bounds),
        ],
        "ends": [
            [f"trial {n}", long[n][-1][0], within(long[n][-1][1], bounds), colour, n]
            for n, colour in zip(best, BEST, strict=False)
        ],
    }  # fmt: skip
    pruned = sum(trial.state == "pruned" for trial in drawn(view) if trial.number in long)
    alt = f"{len(long)} learning curves of {objective.name} over {over}, {pruned} of them pruned"
    if best:
        last_point = long[best[0]][-1]
        alt += f"; the best, trial {best[0]}, ends at {brief(last_point[1])} after {over} "
        alt += brief(last_point[0])
    caption = f"{objective.name} as it was reported, by {over}"
    caption += "; a dot ends the curve of a trial that was pruned." if pruned else "."
    if inside:
        named = ", ".join(f"{one_line(row, 28)} {brief(value)}" for row, value in inside.items())
        caption += f" Dashed: what learns nothing, {named}."
    if len(shown) < len(others):
        caption += f" The best {len(best)} and {len(shown)} of the other {len(others)} are drawn."
    return Chart(f"curves-{objective.index + 1}", spec, f"{alt}.", caption)


def named_best(view: SearchView, curves: Container[int]) -> list[int]:
    """The trials that stand for the best few configurations, none worse than the median trial."""
    ranked = completed(view, objectives(view)[0])
    good = {trial.number for trial, _ in ranked[: (len(ranked) + 1) // 2]}
    found = [each.trial.number for each in view.ranking() if each.trial.number in curves]
    return [number for number in found[:LABELLED] if number in good or number == found[0]]


_STATES = {
    "pruned": "pruned",
    "completed": "complete",
    "running": "running",
    "failed": "failed",
    "infeasible": "infeasible",
}
"""Colours of curves in the background, by how their trials ended, in the order of drawing."""


def _by_state(
    shown: list[TrialView], curves: dict[int, Curve], bounds: tuple[float, float]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for state, colour in _STATES.items():
        own = [trial.number for trial in shown if _sort(trial.state) == state]
        if own:
            data = [(number, _drawn(curves[number], bounds)) for number in own]
            dots = state == "pruned"
            found.append(layer("curves", state, colour, data, faint=len(shown) > 80, dots=dots))
    return found


def _best(
    view: SearchView, best: list[int], curves: dict[int, Curve], bounds: tuple[float, float]
) -> list[dict[str, Any]]:
    name = "the best" if len(objectives(view)) == 1 else called(view)
    pairs = list(zip(best, BEST, strict=False))
    return [
        layer(
            "curves",
            name if place == 0 else "",
            colour,
            [(number, _drawn(curves[number], bounds))],
            bold=True,
        )
        for place, (number, colour) in reversed(list(enumerate(pairs)))
    ]


def _drawn(curve: Curve, bounds: tuple[float, float]) -> Curve:
    return [(x, within(y, bounds)) for x, y in thinned(curve, POINTS)]


def _sort(state: str) -> str:
    found = "completed" if state == "complete" else state
    return found if found in _STATES else "running"


def _references(view: SearchView, objective: Objective) -> dict[str, float]:
    """What learns nothing scores, best first, at the winner's settings."""
    won = view.ranking()
    rows = reference_rows(won[0].runs if won else (), objective.name)
    return ordered(rows, objective.direction)
