"""The history of a search: the value of each trial in order, and the best so far."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from raysearch.pages.axes import brief
from raysearch.pages.canvas import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    NARROW,
    ORANGE,
    PURPLE,
    SKY,
    Picture,
    canvas,
    dress,
    legend,
    star,
    width_of,
)
from raysearch.pages.objectives import (
    Objective,
    called,
    drawn,
    far_out,
    limits,
    thinned,
    winning,
    within,
)
from raysearch.results.endings import WITHOUT_VALUE
from raysearch.results.view import SearchView, TrialView

MOST = 4000
"""Points of one sort that are drawn at most."""

Points = list[tuple[int, float]]


def best_so_far(view: SearchView, objective: Objective) -> Points:
    """Number and value of each completed trial that was better than all before it.

    Runs of the best few with other seeds are left out: they measure, they do not search.
    """
    steps: Points = []
    for trial in drawn(view):
        value = objective.final(trial)
        if value is None or trial.repeat_of is not None:
            continue
        if not steps or objective.better(value, steps[-1][1]):
            steps.append((trial.number, value))
    return steps


def draw_history(view: SearchView, objective: Objective, path: Path) -> Picture | str:
    """Draws the history of one objective; a sentence if no trial has a value."""
    values = [value for trial in drawn(view) if (value := objective.shown(trial)) is not None]
    if not values:
        return f"There is no value of {objective.name} to draw yet."
    bounds = limits(values, objective)
    with canvas(path, NARROW) as figure:
        axes = figure.subplots()
        paint(axes, view, objective, bounds)
        legend(figure, axes)
    steps = best_so_far(view, objective)
    alt = f"{len(values)} trials in order, {objective.name} {brief(min(values))} to "
    alt += brief(max(values))
    if steps:
        alt += f"; the best so far goes from {brief(steps[0][1])} to {brief(steps[-1][1])}"
        alt += f", reached by trial {steps[-1][0]}"
    caption = "The value of each trial, in the order in which they were asked for; the line is the "
    caption += "best so far of those that completed."
    if any(each.is_repeated for each in view.ranking()):
        caption += " The winner is chosen by the mean over its seeds."
    if any(trial.state in WITHOUT_VALUE for trial in drawn(view)):
        caption += " Trials without a value stand below the axis."
    return Picture(path, f"{alt}.", caption + far_out(values, bounds), width_of(NARROW))


def paint(axes: Axes, view: SearchView, objective: Objective, bounds: tuple[float, float]) -> None:
    """The points, the line of the best, and below it the trials without a value."""
    trials = drawn(view)
    _scatter(axes, "pruned", _points(trials, objective, bounds, "pruned"), "o", ORANGE, True)
    first = [trial for trial in trials if trial.repeat_of is None]
    again = [trial for trial in trials if trial.repeat_of is not None]
    _scatter(axes, "completed", _points(first, objective, bounds, "complete"), "o", BLUE, False)
    seeds = _points(again, objective, bounds, "complete")
    _scatter(axes, "another seed", seeds, "D", BLUE, True)
    live = _points(trials, objective, bounds, "running")
    _scatter(axes, "running", live, "s", SKY, True)
    steps = best_so_far(view, objective)
    last = trials[-1].number
    if steps:
        x = [number for number, _ in steps] + [last]
        y = [value for _, value in steps] + [steps[-1][1]]
        axes.step(x, y, where="post", color=INK, linewidth=1.4, label="best so far", zorder=3)
    won = winning(view, objective)
    if won is not None:
        star(axes, won[0].number, within(won[1], bounds), called(view))
    _foot(axes, trials, bounds)
    axes.set_xlim(-0.02 * (last + 1) - 0.5, last + 0.02 * (last + 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
    dress(axes, "trial", objective.label)


def _foot(axes: Axes, trials: list[TrialView], bounds: tuple[float, float]) -> None:
    """The trials without a value, below a line at the end of the axis."""
    axes.set_ylim(*bounds)
    without = [trial for trial in trials if trial.state in WITHOUT_VALUE]
    if not without:
        return
    axes.set_yticks([y for y in axes.get_yticks() if bounds[0] <= y <= bounds[1]])
    depth = 0.05 * (bounds[1] - bounds[0])
    axes.axhline(bounds[0], color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)))
    for state, mark, colour in (("failed", "x", PURPLE), ("infeasible", "^", MUTED)):
        points = [(t.number, bounds[0] - depth) for t in without if t.state == state]
        _scatter(axes, state, points, mark, colour, False)
    axes.set_ylim(bounds[0] - 2 * depth, bounds[1])


def _points(
    trials: list[TrialView], objective: Objective, bounds: tuple[float, float], state: str
) -> Points:
    pairs = [(t.number, objective.value(t)) for t in trials if t.state == state]
    return [(number, within(v, bounds)) for number, v in pairs if v is not None]


def _scatter(axes: Axes, label: str, points: Points, mark: str, colour: str, hollow: bool) -> None:
    if not points:
        return
    points = thinned(points, MOST)
    size = 22 if len(points) < 300 else 9
    face = "none" if hollow and mark != "x" else colour
    axes.scatter(
        [number for number, _ in points],
        [value for _, value in points],
        s=size,
        marker=mark,
        facecolors=None if mark == "x" else face,
        edgecolors=None if mark == "x" else (colour if hollow else "none"),
        color=colour if mark == "x" else None,
        linewidths=0.9,
        alpha=0.8,
        label=label,
        clip_on=False,
    )
