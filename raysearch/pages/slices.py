"""Slices: one parameter after the other against an objective."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from raysearch.pages.axes import Axis, varying_axes
from raysearch.pages.canvas import (
    BLUE,
    INK,
    ORANGE,
    SMALL,
    Picture,
    canvas,
    dress,
    plain,
    star,
    width_of,
)
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
_POINTS = 2000
_SPREAD = 0.16
"""How far points of one choice are moved apart, as a share of the distance of two choices."""

Points = list[tuple[float, float]]


def draw_slices(
    view: SearchView, objective: Objective, folder: Path, order: Sequence[str] = ()
) -> list[Picture]:
    """Draws a picture for each parameter that varies, in this order, the rest behind."""
    rank = {name: place for place, name in enumerate(order)}
    axes = sorted(varying_axes(view), key=lambda axis: rank.get(axis.name, len(rank)))
    found: list[Picture] = []
    for number, axis in enumerate(axes[:MOST], 1):
        path = folder / f"slice-{objective.index + 1}-{number:02d}.png"
        picture = _draw(view, objective, axis, path)
        if picture is not None:
            found.append(picture)
    return found


def _draw(view: SearchView, objective: Objective, axis: Axis, path: Path) -> Picture | None:
    done = points_of(view, objective, axis, "complete")
    stopped = points_of(view, objective, axis, "pruned")
    if not done:
        return None
    values = [y for _, y in done]
    bounds = limits([*values, *(y for _, y in stopped)], objective)
    with canvas(path, SMALL) as figure:
        plot = figure.subplots()
        won = winning(view, objective)
        at = None if won is None else axis.at(won[0])
        paint(plot, axis, done, stopped, bounds)
        if won is not None and at is not None:
            star(plot, at, within(won[1], bounds))
        dress(plot, axis.name + (" (log)" if axis.kind == "log" else ""), objective.label, grid="y")
    alt = f"{objective.name} against {axis.name} for {len(done)} completed trials"
    return Picture(path, f"{alt}.", far_out(values, bounds).strip(), width_of(SMALL))


def points_of(view: SearchView, objective: Objective, axis: Axis, state: str) -> Points:
    """Parameter and objective of the trials in a state that have both."""
    pairs = [(axis.at(t), objective.value(t)) for t in drawn(view) if t.state == state]
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def paint(
    plot: Axes,
    axis: Axis,
    done: Points,
    stopped: Points,
    bounds: tuple[float, float],
) -> None:
    """Points, the scale of the parameter, and of choices the median of each."""
    for points, colour, hollow in ((stopped, ORANGE, True), (done, BLUE, False)):
        moved = _apart(axis, thinned(points, _POINTS))
        plot.scatter(
            [x for x, _ in moved],
            [within(y, bounds) for _, y in moved],
            s=11 if hollow else 15,
            facecolors="none" if hollow else colour,
            edgecolors=colour if hollow else "none",
            linewidths=0.7,
            alpha=0.55 if hollow or len(points) > 60 else 0.8,
        )
    if axis.kind == "choice":
        for index in range(len(axis.choices)):
            own = [y for x, y in done if x == index]
            if own:
                middle = within(median(own), bounds)
                plot.plot([index - 0.3, index + 0.3], [middle, middle], color=INK, linewidth=1.6)
    _scale(plot, axis)
    plot.set_ylim(*bounds)


def _apart(axis: Axis, points: Points) -> Points:
    """Points of one choice, or one whole number of few, beside one another, at random but fixed."""
    if axis.kind != "choice" and not _is_short(axis):
        return points
    rng = random.Random(len(points))
    return [(x + rng.uniform(-_SPREAD, _SPREAD), y) for x, y in points]


def _is_short(axis: Axis) -> bool:
    """Whether its values are few whole numbers."""
    return axis.whole and axis.kind == "linear" and axis.high - axis.low <= 12


def _scale(plot: Axes, axis: Axis) -> None:
    if axis.kind == "log":
        plot.set_xscale("log")
        factor = (axis.high / axis.low) ** 0.05
        plot.set_xlim(axis.low / factor, axis.high * factor)
        plot.xaxis.set_minor_locator(NullLocator())
        plot.xaxis.set_minor_formatter(NullFormatter())
    else:
        even = 0.05 * (axis.high - axis.low) or 0.5
        pad = 0.5 if axis.kind == "choice" else max(0.3, even) if _is_short(axis) else even
        plot.set_xlim(axis.low - pad, axis.high + pad)
    ticks = axis.ticks()
    most = 14 if len(ticks) <= 3 else 8
    plot.set_xticks([at for at, _ in ticks], labels=[plain(text, most) for _, text in ticks])
    if axis.kind == "choice" and len(ticks) > 5:
        plot.tick_params(axis="x", labelrotation=40)
