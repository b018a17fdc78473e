"""Parallel coordinates: a line for each trial through all parameters that vary."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from raysearch.pages.axes import Axis, brief, varying_axes
from raysearch.pages.canvas import (
    FAINT,
    INK,
    MUTED,
    WIDE,
    Picture,
    canvas,
    plain,
    width_of,
)
from raysearch.pages.objectives import (
    Objective,
    completed,
    far_out,
    limits,
    objectives,
    thinned,
)
from raysearch.results.view import SearchView, TrialView

MOST = 500
"""Lines that are drawn at most."""
MOST_AXES = 12
_SPREAD = 0.015
_LINE = 12
_IN_FRONT = 12
ABSENT = -0.16
"""Where a line passes below an axis that its trial lacks, as a share of the axis' length."""


def draw_parallel(view: SearchView, path: Path, order: Sequence[str] = ()) -> Picture | str:
    """Draws the completed trials, coloured by rank in the first objective.

    `order` names parameters, the most important first: those are kept if there are too many.
    """
    first = objectives(view)[0]
    ranked = completed(view, first)
    axes = choose(varying_axes(view), order)
    if len(ranked) < 2 or not axes:
        return "Parallel coordinates need two completed trials and a parameter that varies."
    shown = thinned(ranked, MOST)
    with canvas(path, WIDE) as figure:
        ends = [_objective_axis(view, objective) for objective in objectives(view)]
        plot = figure.subplots()
        places = [positions(trial, axes, ends) for trial, _ in shown]
        _lines(plot, places, _spreads(axes, len(ends)))
        for place, axis in enumerate(axes):
            _rule(plot, place, axis, any(not axis.has(trial) for trial, _ in shown))
        for place, (_, axis) in enumerate(ends, len(axes)):
            _rule(plot, place, axis)
        _names(plot, axes, [objective.label for objective, _ in ends])
        _finish(plot, len(axes) + len(ends))
        _colourbar(figure, plot, [value for _, value in ranked], first)
    return _picture(path, view, shown, axes)


def choose(axes: Sequence[Axis], order: Sequence[str]) -> list[Axis]:
    """At most `MOST_AXES` of these, in their own order: first those that `order` names first."""
    rank = {name: place for place, name in enumerate(order)}
    kept = sorted(axes, key=lambda axis: rank.get(axis.name, len(rank)))[:MOST_AXES]
    return [axis for axis in axes if axis in kept]


def _objective_axis(view: SearchView, objective: Objective) -> tuple[Objective, Axis]:
    low, high = limits([value for _, value in completed(view, objective)], objective)
    return objective, Axis(objective.name, "linear", low, high)


def positions(
    trial: TrialView, axes: Sequence[Axis], ends: Sequence[tuple[Objective, Axis]]
) -> list[float]:
    """Where the line of a trial meets each axis: 0…1, or below it where the trial lacks it."""
    found = [axis.at(trial) for axis in axes]
    places = [
        ABSENT if at is None else axis.share(at) for at, axis in zip(found, axes, strict=True)
    ]
    for objective, axis in ends:
        value = objective.final(trial)
        share = ABSENT if value is None else axis.share(value)
        places.append(min(max(share, 0.0), 1.0))
    return places


def _spreads(axes: Sequence[Axis], ends: int) -> list[float]:
    """How far lines through one value of an axis are moved apart: where there are few values."""
    few = [axis.kind == "choice" or (axis.whole and axis.high - axis.low <= 8) for axis in axes]
    return [*(_SPREAD if each else 0.0 for each in few), *[0.0] * ends]


def _lines(plot: Axes, places: Sequence[Sequence[float]], spreads: Sequence[float]) -> None:
    """One line a trial, the best on top; `places` is ordered best first."""
    rng = random.Random(0)
    count = len(places)
    colours = [_map()(1 - rank / max(count - 1, 1)) for rank in range(count)]
    front = min(max(count // 10, 1), _IN_FRONT)
    widths = [1.9 if rank < front else 0.9 for rank in range(count)]
    alphas = [0.95 if rank < front else 0.4 if count < 150 else 0.25 for rank in range(count)]
    segments = [
        [
            (x, y + rng.uniform(-apart, apart))
            for x, (y, apart) in enumerate(zip(line, spreads, strict=True))
        ]
        for line in places
    ]
    lines = LineCollection(
        segments[::-1], colors=colours[::-1], linewidths=widths[::-1], alpha=alphas[::-1]
    )
    plot.add_collection(lines)


def _map() -> Any:
    """Viridis, dark for the best, without its palest end."""
    viridis = matplotlib.colormaps["viridis_r"]
    return lambda share: viridis(0.12 + 0.88 * share)


def _rule(plot: Axes, x: int, axis: Axis, conditional: bool = False) -> None:
    """One axis: a line and its ticks."""
    plot.plot([x, x], [0, 1], color=INK, linewidth=0.9, zorder=4)
    if conditional:
        plot.plot([x], [ABSENT], marker="_", color=MUTED, markersize=9, zorder=4)
        plot.text(x, ABSENT - 0.03, "not used", fontsize=7.5, color=MUTED, ha="center", va="top")
    for position, text in axis.ticks():
        y = axis.share(position)
        if not -1e-9 <= y <= 1 + 1e-9:
            continue
        plot.plot([x - 0.012, x + 0.012], [y, y], color=INK, linewidth=0.9, zorder=4)
        plot.text(
            x + 0.025, y, plain(text, 14), fontsize=8, color=INK, va="center", zorder=6,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip


def _names(plot: Axes, axes: Sequence[Axis], goals: Sequence[str]) -> None:
    """What each axis is, above it; smaller where many stand side by side."""
    names = [axis.name + (" (log)" if axis.kind == "log" else "") for axis in axes]
    size = 8.5 if len(names) + len(goals) < 10 else 7.5
    for x, name in enumerate([*names, *goals]):
        weight = "normal" if x < len(names) else "bold"
        text = plot.text(x, 1.05, _wrapped(name), fontsize=size, color=INK, weight=weight)
        text.set(ha="center", va="bottom")


def _wrapped(name: str) -> str:
    """A long name on several lines, broken at its dots, brackets and strokes."""
    lines = [""]
    for part in re.split(r"(?<=[./_])|(?=\[)|(?=\s[↑↓(])", plain(name, 54)):
        if len(lines[-1]) + len(part) > _LINE:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines if line)


def _finish(plot: Axes, count: int) -> None:
    plot.set_xlim(-0.25, count - 1 + 0.45)
    plot.set_ylim(ABSENT - 0.08, 1.02)
    plot.set_axis_off()


def _colourbar(figure: Figure, plot: Axes, values: Sequence[float], objective: Objective) -> None:
    """Rank by rank, labelled with the values at five of them."""
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([_map()(index / 255) for index in range(256)])
    mappable = ScalarMappable(Normalize(0, 1), colours)
    bar = figure.colorbar(mappable, ax=plot, pad=0.01, aspect=28, shrink=0.8)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    at = [values[round((1 - tick) * (len(values) - 1))] for tick in ticks]
    names = ["worst", "", "median", "", "best"]
    bar.set_ticks(
        ticks, labels=[f"{brief(v)} {name}".strip() for v, name in zip(at, names, strict=True)]
    )
    bar.ax.tick_params(labelsize=8, length=2, labelcolor=INK, color=FAINT)
    bar.outline.set_visible(False)
    bar.set_label(plain(objective.name), fontsize=8.5, color=INK)


def _picture(
    path: Path,
    view: SearchView,
    shown: Sequence[tuple[TrialView, float]],
    axes: Sequence[Axis],
) -> Picture:
    first = objectives(view)[0]
    ranked, every = completed(view, first), varying_axes(view)
    caption = f"A line is a completed trial, its colour its rank in {first.name}, dark the best."
    if any(not axis.has(trial) for trial, _ in shown for axis in axes):
        caption += " It passes below the axis of a parameter that the trial does not have."
    if len(shown) < len(ranked):
        caption += f" {len(shown)} of {len(ranked)} trials are drawn, evenly spaced by rank."
    if len(axes) < len(every):
        caption += f" The {len(axes)} most important of {len(every)} parameters are drawn."
    bounds = limits([value for _, value in ranked], first)
    caption += far_out((value for _, value in ranked), bounds)
    names = ", ".join(f"{axis.name} ({axis.kind})" for axis in axes)
    alt = f"Parallel coordinates of {len(shown)} trials through {names} to {first.name}."
    return Picture(path, alt, caption, width_of(WIDE))
