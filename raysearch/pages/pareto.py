"""The Pareto front of a search with several objectives."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from raysearch.pages.axes import brief
from raysearch.pages.canvas import (
    BLUE,
    INK,
    NARROW,
    VERMILLION,
    Picture,
    canvas,
    dress,
    legend,
    width_of,
)
from raysearch.pages.objectives import (
    Objective,
    drawn,
    far_out,
    limits,
    objectives,
    thinned,
    within,
)
from raysearch.results.ranking import Winner, winner
from raysearch.results.view import SearchView

LABELLED = 12
_MOST = 4000

Points = list[tuple[float, float]]


def draw_front(view: SearchView, path: Path) -> Picture | str:
    """Draws the completed trials in the plane of the first two objectives, the front in front."""
    x, y = objectives(view)[:2]
    won = winner(view)
    if won is None:
        return "No trial has completed: there is no Pareto front yet."
    pairs = [(x.final(trial), y.final(trial)) for trial in drawn(view)]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    bounds = limits([a for a, _ in known], x), limits([b for _, b in known], y)
    with canvas(path, NARROW) as figure:
        axes = figure.subplots()
        paint(axes, known, won, bounds)
        dress(axes, f"{x.name} ({x.direction})", f"{y.name} ({y.direction})")
        legend(figure, axes)
    front = front_points(won)
    alt = f"{len(known)} completed trials, {len(front)} on the Pareto front: {x.name} "
    alt += f"{brief(front[0][0])} to {brief(front[-1][0])}, {y.name} {brief(front[0][1])} to "
    alt += f"{brief(front[-1][1])}."
    caption = _caption(won, x, y)
    caption += far_out((a for a, _ in known), bounds[0]) + far_out((b for _, b in known), bounds[1])
    return Picture(path, alt, caption, width_of(NARROW))


def front_points(won: Winner) -> Points:
    """The first two objectives along the front, the best in the first one first; of seeds means."""
    return [(each.intervals[0].mean, each.intervals[1].mean) for each in won.front]


def paint(
    axes: Axes, known: Points, won: Winner, bounds: tuple[tuple[float, float], tuple[float, float]]
) -> None:
    """All points, and the front as the border of what was reached, with numbers of trials."""
    shown = thinned(known, _MOST)
    axes.scatter(
        [within(a, bounds[0]) for a, _ in shown],
        [within(b, bounds[1]) for _, b in shown],
        s=16,
        color=BLUE,
        alpha=0.45,
        linewidths=0,
        label="completed",
    )
    front = front_points(won)
    line, points = [a for a, _ in front], [b for _, b in front]
    axes.step(line, points, where="post", color=VERMILLION, linewidth=1.1)
    axes.plot(line, points, "o", color=VERMILLION, markersize=5, label="Pareto front")
    for rank in thinned(won.front, LABELLED):
        axes.annotate(
            str(rank.trial.number),
            (rank.intervals[0].mean, rank.intervals[1].mean),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
    axes.set_xlim(*bounds[0])
    axes.set_ylim(*bounds[1])


def _caption(won: Winner, x: Objective, y: Objective) -> str:
    caption = (
        "On the front no other configuration is at least as good in all objectives and better "
    )
    caption += (
        f"in one; {x.direction} {x.name}, {y.direction} {y.name}. Numbers are those of trials."
    )
    if any(each.seeds > 1 for each in won.front):
        caption += " The front is that of means over seeds; points are single runs."
    if len(won.front) > LABELLED:
        caption += f" {LABELLED} of the {len(won.front)} on it are named."
    if len(won.metrics) > 2:
        caption += " Only the first two objectives are drawn."
    return caption
