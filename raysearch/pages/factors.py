"""An objective by one setting, or by two: boxes and points, a panel for each of the second."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from raysearch.pages.axes import word
from raysearch.pages.canvas import (
    BLUE,
    INK,
    MUTED,
    VERMILLION,
    Picture,
    canvas,
    dress,
    plain,
    width_of,
)
from raysearch.pages.objectives import Objective, completed, far_out, limits, within
from raysearch.results.factors import Factor
from raysearch.results.references import ordered, reference_rows
from raysearch.results.view import SearchView

_IN_A_ROW = 4
"""Panels side by side."""
_PANEL, _SINGLE = (2.85, 2.7), (5.6, 3.75)
"""Sizes in inches: of a panel among several, of one alone."""
_SPREAD = 0.18

Cells = dict[tuple[int, int], list[float]]
"""By the places of the values of both factors: the objective of each trial there."""


def draw_factors(
    view: SearchView, objective: Objective, factors: Sequence[Factor], path: Path
) -> Picture | str:
    """Draws the objective of the completed trials by one factor or two.

    A box has the quartiles, its whiskers the farthest values within 1.5 times their distance
    (Tukey); a dashed line is the best of what learns nothing, where trials say what that scores.
    """
    first, second = factors[0], factors[1] if len(factors) > 1 else None
    cells = cells_of(view, objective, first, second)
    name = " and ".join(factor.path for factor in factors)
    if not cells:
        return f"{objective.name} by {name}: no trial has completed that has them."
    panels = sorted({place for _, place in cells})
    columns, rows = min(len(panels), _IN_A_ROW), math.ceil(len(panels) / _IN_A_ROW)
    size = _SINGLE if len(panels) == 1 else (_PANEL[0] * columns, _PANEL[1] * rows)
    values = [value for found in cells.values() for value in found]
    blind = _blind(view, objective)
    bounds = limits([*values, *([blind[1]] if blind else [])], objective)
    with canvas(path, size) as figure:
        plots = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
        for plot in plots[len(panels) :]:
            plot.remove()
        for number, (plot, panel) in enumerate(zip(plots, panels, strict=False)):
            own = {place: found for (place, at), found in cells.items() if at == panel}
            _panel(plot, first, own, bounds)
            label = objective.label if number % columns == 0 else ""
            dress(plot, first.path, label, grid="y")
            if second is not None:
                title = plain(f"{second.path} = {word(second.values[panel])}", 44)
                plot.set_title(title, fontsize=9, color=INK)
            if blind is not None:
                plot.axhline(
                    within(blind[1], bounds), color=VERMILLION, linewidth=1, linestyle="--"
                )
    caption = f"Box: quartiles; points: {len(values)} completed trials; below, how many."
    if blind is not None:
        caption += f" Dashed: {blind[0]}, which learns nothing, {blind[1]:.4g}."
    alt = f"{objective.name} by {name} for {len(values)} completed trials."
    return Picture(path, alt, caption + far_out(values, bounds), width_of(size))


def cells_of(view: SearchView, objective: Objective, first: Factor, second: Factor | None) -> Cells:
    """The objective of the completed trials that have both settings, by the values of these."""
    cells: Cells = {}
    for trial, value in completed(view, objective):
        places = first.place(trial), 0 if second is None else second.place(trial)
        if places[0] is not None and places[1] is not None:
            cells.setdefault((places[0], places[1]), []).append(value)
    return cells


def _blind(view: SearchView, objective: Objective) -> tuple[str, float] | None:
    """The best row of what learns nothing."""
    rows = reference_rows(list(view.trials.values()), objective.name)
    return next(iter(ordered(rows, objective.direction).items()), None)


def _panel(
    plot: Axes, factor: Factor, cells: Mapping[int, Sequence[float]], bounds: tuple[float, float]
) -> None:
    places = sorted(cells)
    plot.boxplot(
        [list(cells[place]) for place in places],
        positions=places,
        widths=0.6,
        showfliers=False,  # all values are points
        boxprops={"color": MUTED},
        whiskerprops={"color": MUTED},
        capprops={"color": MUTED},
        medianprops={"color": INK, "linewidth": 1.6},
    )
    for place in places:
        draw = random.Random(place)
        across = [place + draw.uniform(-_SPREAD, _SPREAD) for _ in cells[place]]
        heights = [within(value, bounds) for value in cells[place]]
        plot.scatter(across, heights, s=13, color=BLUE, alpha=0.7, linewidths=0, zorder=3)
    labels = [
        f"{plain(word(value), 14)}\n{len(cells.get(place, ()))}"
        for place, value in enumerate(factor.values)
    ]
    plot.set_xticks(range(len(labels)), labels=labels)
    plot.set_xlim(-0.6, len(labels) - 0.4)
    plot.set_ylim(*bounds)
