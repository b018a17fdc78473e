"""Learning curves: what each trial reported, the pruned ones to where they were stopped."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from raysearch.pages.axes import brief
from raysearch.pages.canvas import (
    BLUE,
    GREEN,
    MUTED,
    NARROW,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Picture,
    canvas,
    dress,
    legend,
    named,
    plain,
    width_of,
)
from raysearch.pages.objectives import (
    Objective,
    called,
    completed,
    drawn,
    limits,
    objectives,
    thinned,
)
from raysearch.results.references import ordered, reference_rows
from raysearch.results.view import SearchView, TrialView

MOST = 300
"""Curves that are drawn at most, the best not counted."""
LABELLED = 4
_COLOURS = (VERMILLION, GREEN, "#332288", "#7a5c00")
_HEIGHT, _LINE = 200.0, 11.0
"""Of the axes and of a label, in points."""

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


def draw_curves(view: SearchView, objective: Objective, path: Path) -> Picture | str:
    """Draws the curves of one objective; a sentence if no trial reported it twice."""
    over = unit(view)
    curves = {trial.number: curve_of(trial, objective, over) for trial in drawn(view)}
    long = {number: curve for number, curve in curves.items() if len(curve) > 1}
    if not long:
        return f"No trial reported {objective.name} more than once: there are no curves."
    best = named_best(view, long)
    others = [trial for trial in drawn(view) if trial.number in long and trial.number not in best]
    shown, blind = thinned(others, MOST), _references(view, objective)
    with canvas(path, NARROW) as figure:
        axes = figure.subplots()
        states = {trial.number: trial.state for trial in shown}
        paint(axes, {number: long[number] for number in states}, states)
        ends = [y for curve in long.values() for _, y in curve]
        axes.set_ylim(*limits([*ends, *list(blind.values())[:1]], objective))
        shown_blind = label_references(axes, blind)
        label_best(axes, [(number, long[number]) for number in best])
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
        dress(axes, over, objective.label)
        legend(figure, axes, _key(set(states.values()), _best_word(view) if best else ""))
    pruned = sum(trial.state == "pruned" for trial in drawn(view) if trial.number in long)
    alt = f"{len(long)} learning curves of {objective.name} over {over}, {pruned} of them pruned"
    if best:
        last = long[best[0]][-1]
        alt += (
            f"; the best, trial {best[0]}, ends at {brief(last[1])} after {over} {brief(last[0])}"
        )
    caption = f"{objective.name} as it was reported, by {over}"
    caption += "; a dot ends the curve of a trial that was pruned." if pruned else "."
    if shown_blind:
        caption += f" Dashed: what learns nothing, {', '.join(shown_blind)}."
    if len(shown) < len(others):
        caption += f" The best {len(best)} and {len(shown)} of the other {len(others)} are drawn."
    return Picture(path, f"{alt}.", caption, width_of(NARROW))


def named_best(view: SearchView, curves: Container[int]) -> list[int]:
    """The trials that stand for the best few configurations, none worse than the median trial."""
    ranked = completed(view, objectives(view)[0])
    good = {trial.number for trial, _ in ranked[: (len(ranked) + 1) // 2]}
    found = [each.trial.number for each in view.ranking() if each.trial.number in curves]
    return [number for number in found[:LABELLED] if number in good or number == found[0]]


def paint(axes: Axes, curves: dict[int, Curve], states: dict[int, str]) -> None:
    """The curves in the background, in the colour of how their trials ended."""
    alpha = 0.5 if len(curves) < 80 else 0.28
    for state, colour in _STATES.items():
        own = [curves[number] for number in curves if _sort(states[number]) == state]
        if not own:
            continue
        lines = LineCollection(own, colors=colour, linewidths=0.8, alpha=alpha)
        lines.set_label(state)
        axes.add_collection(lines, autolim=True)
        if state == "pruned":
            x, y = zip(*(curve[-1] for curve in own), strict=True)
            axes.scatter(x, y, s=9, color=colour, alpha=0.9, linewidths=0, zorder=3)
    axes.autoscale_view(scaley=False)


_STATES = {
    "pruned": ORANGE,
    "completed": BLUE,
    "running": SKY,
    "failed": PURPLE,
    "infeasible": MUTED,
}


def _sort(state: str) -> str:
    found = "completed" if state == "complete" else state
    return found if found in _STATES else "running"


def _best_word(view: SearchView) -> str:
    return "the best" if len(objectives(view)) == 1 else called(view)


def _key(states: set[str], best: str) -> list[Line2D]:
    shown = {_sort(state) for state in states}
    marks: list[Line2D] = []
    for state, colour in _STATES.items():
        if state in shown:
            dot = "o" if state == "pruned" else ""
            line = Line2D([], [], color=colour, linewidth=1.6, marker=dot, markersize=4)
            line.set_label(state)
            marks.append(line)
    if best:
        marks.append(Line2D([], [], color=VERMILLION, linewidth=2.2, label=named(best, 28)))
    return marks


def label_best(axes: Axes, best: Sequence[tuple[int, Curve]]) -> None:
    """The best trials in front, each with its number behind its end."""
    for (_, curve), colour in reversed(list(zip(best, _COLOURS, strict=False))):
        x, y = zip(*curve, strict=True)
        axes.plot(x, y, color="white", linewidth=3.2, zorder=4)
        axes.plot(x, y, color=colour, linewidth=1.9, zorder=5)
    for (number, curve), colour, shift in zip(best, _COLOURS, _shifts(axes, best), strict=False):
        axes.annotate(
            f"trial {number}",
            curve[-1],
            xytext=(8, shift),
            textcoords="offset points",
            color=colour,
            fontsize=8.5,
            fontweight="bold",
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkB": 2},
        )


def _references(view: SearchView, objective: Objective) -> dict[str, float]:
    """What learns nothing scores, best first, at the winner's settings."""
    won = view.ranking()
    rows = reference_rows(won[0].runs if won else (), objective.name)
    return ordered(rows, objective.direction)


def label_references(axes: Axes, rows: Mapping[str, float]) -> list[str]:
    """A dashed line for each row that is within the axes, named at its right; the names."""
    low, high = axes.get_ylim()
    shown = {row: value for row, value in rows.items() if low <= value <= high}
    ends = [(number, [(0.0, value)]) for number, value in enumerate(shown.values())]
    for (row, value), shift in zip(shown.items(), _shifts(axes, ends), strict=True):
        axes.axhline(value, color=MUTED, linewidth=0.9, linestyle="--", zorder=2)
        axes.annotate(
            plain(row, 28),
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(-4, shift + 4),
            textcoords="offset points",
            color=MUTED,
            fontsize=7.5,
            ha="right",
            va="center",
            path_effects=[withStroke(linewidth=3, foreground="white")],
            zorder=6,
            annotation_clip=False,
        )
    return [f"{plain(row, 28)} {brief(value)}" for row, value in shown.items()]


def _shifts(axes: Axes, best: Sequence[tuple[int, Curve]]) -> list[float]:
    """By how many points each label is moved up, so that none stands on another."""
    low, high = axes.get_ylim()
    own = [_HEIGHT * (curve[-1][1] - low) / (high - low) for _, curve in best]
    places = list(own)
    order = sorted(range(len(own)), key=lambda place: own[place], reverse=True)
    for above, below in pairwise(order):
        places[below] = min(places[below], places[above] - _LINE)
    return [place - before for place, before in zip(places, own, strict=True)]
