"""Of a search that evaluates finished trials: an objective against a setting, by configuration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from raysearch.pages.canvas import (
    BLUE,
    GREEN,
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
    width_of,
)
from raysearch.pages.objectives import Objective
from raysearch.results.intervals import Interval, interval
from raysearch.results.view import SearchView, TrialView
from raysearch.sweeps.sweep import bare

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
"""No more curves than these are drawn."""

MOST_NAMES = 2
"""So many values name a curve."""

Curves = Mapping[str, Mapping[float, Interval]]


def setting_of(view: SearchView) -> str | None:
    """The setting that curves run over: the first with more than one value, all of them numbers."""
    trained = _trained(view)
    values: dict[str, set[object]] = defaultdict(set)
    for trial in view.trials.values():
        for name, value in trial.params.items():
            if name not in trained:
                values[name].add(value)
    for name, found in values.items():
        numbers = [one for one in found if isinstance(one, int | float) and one is not True]
        if len(found) > 1 and len(numbers) == len(found):
            return name
    return None


def curves_of(view: SearchView, objective: Objective, setting: str) -> Curves:
    """By configuration that was trained: the mean over its seeds at each value of the setting.

    Other settings that vary tell curves apart too. Where more than two paths vary, each trained
    trial has a curve of its own, called by its number.
    """
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = _telling_apart(view, setting)
    for trial in view.trials.values():
        value = objective.value(trial) if trial.is_feasible else None
        if value is not None and setting in trial.params:
            found[_label(trial, names)][float(trial.params[setting])].append(value)
    return {
        label: {at: interval(values) for at, values in sorted(points.items())}
        for label, points in sorted(found.items())
    }


def draw_settings(view: SearchView, objective: Objective, path: Path) -> Picture | None:
    """Draws those curves with 95 % intervals; None for a search that trains, or without any."""
    setting = setting_of(view) if view.spec.evaluates is not None else None
    curves = {} if setting is None else curves_of(view, objective, setting)
    if setting is None or not 0 < len(curves) <= len(COLOURS):
        return None
    numbers = sorted({at for curve in curves.values() for at in curve})
    gap = min((b - a for a, b in zip(numbers, numbers[1:], strict=False)), default=1.0)
    with canvas(path, NARROW) as figure:
        axes = figure.subplots()
        for place, (label, curve) in enumerate(curves.items()):
            # Side by side, or intervals at one value would hide one another.
            shift = gap * 0.3 * ((place + 0.5) / len(curves) - 0.5)
            axes.errorbar(
                [at + shift for at in curve],
                [one.mean for one in curve.values()],
                yerr=[one.half for one in curve.values()],
                label=named(label),
                color=COLOURS[place],
                marker="o",
                markersize=4,
                capsize=2.5,
                linewidth=1.4,
            )
        axes.set_xticks(numbers)
        dress(axes, setting, objective.label)
        legend(figure, axes, axes.get_legend_handles_labels()[0])
    alt = f"{objective.name} against {setting}, {len(curves)} curves"
    apart = ", ".join(_telling_apart(view, setting)[:MOST_NAMES]) if len(curves) > 1 else ""
    caption = "Means over seeds with 95 % intervals" + (f", by {apart}." if apart else ".")
    return Picture(path, f"{alt}.", caption, width_of(NARROW))


def _label(trial: TrialView, names: list[str]) -> str:
    if len(names) > MOST_NAMES and trial.evaluates is not None:
        return f"trial {trial.evaluates['trial']}"
    return ", ".join(str(trial.params.get(name)) for name in names) or "all"


def _trained(view: SearchView) -> set[str]:
    """The paths that the search varied whose trials are evaluated."""
    evaluates = view.spec.evaluates
    return {bare(name) for one in evaluates.trials for name in one.params} if evaluates else set()


def _telling_apart(view: SearchView, setting: str) -> list[str]:
    """The paths, but for the setting, that have more than one value."""
    values: dict[str, set[str]] = defaultdict(set)
    trials: list[TrialView] = list(view.trials.values())
    for trial in trials:
        for name, value in trial.params.items():
            values[name].add(repr(value))
    return [name for name, found in values.items() if len(found) > 1 and name != setting]
