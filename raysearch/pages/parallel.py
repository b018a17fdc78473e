"""Parallel coordinates: a line for each trial through all parameters that vary."""

from __future__ import annotations

import random
from collections.abc import Container, Sequence
from typing import Any

from raysearch.pages.axes import Axis, varying_axes
from raysearch.pages.chart import Chart, word
from raysearch.pages.objectives import (
    Objective,
    completed,
    drawn,
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
ABSENT = -0.12
"""Where a line passes below an axis that its trial lacks, as a share of the axis' length."""


def parallel_chart(view: SearchView, order: Sequence[str] = ()) -> Chart | str:
    """The completed trials, coloured by rank in the first objective.

    `order` names parameters, the most important first: those are kept if there are too many.
    """
    first = objectives(view)[0]
    ranked = completed(view, first)
    axes = choose(varying_axes(view), order)
    if len(ranked) < 2 or not axes:
        return "Parallel coordinates need two completed trials and a parameter that varies."
    shown = thinned(ranked, MOST)
    goals = [_objective_axis(view, objective) for objective in objectives(view)]
    rng, last = random.Random(0), max(len(shown) - 1, 1)
    apart = [*(_spread(axis) for axis in axes), *[0.0] * len(goals)]
    spec = {
        "kind": "parallel",
        "axes": [
            *(_said(axis, any(not axis.has(t) for t, _ in shown)) for axis in axes),
            *({**_said(axis), "name": word(goal.label), "goal": True} for goal, axis in goals),
        ],
        "lines": [
            [
                trial.number,
                [
                    place + rng.uniform(-by, by)
                    for place, by in zip(positions(trial, axes, goals), apart, strict=True)
                ],
                rank / last,
            ]
            for rank, (trial, _) in enumerate(shown)
        ],
        "others": _others(view, {trial.number for trial, _ in shown}, axes, goals),
    }
    names = ", ".join(f"{axis.name} ({axis.kind})" for axis in axes)
    alt = f"Parallel coordinates of {len(shown)} trials through {names} to {first.name}."
    return Chart("parallel", spec, alt, _caption(view, shown, axes))


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


def _others(
    view: SearchView,
    shown: Container[int],
    axes: Sequence[Axis],
    goals: Sequence[tuple[Objective, Axis]],
) -> list[list[Any]]:
    """Where those trials lie that have no line: a brush keeps them or not, too."""
    found: list[list[Any]] = []
    for trial in drawn(view):
        if trial.number not in shown:
            places = positions(trial, axes, goals)
            if not trial.is_feasible:
                places[len(axes) :] = [ABSENT] * len(goals)
            found.append([trial.number, places])
    return found


def _spread(axis: Axis) -> float:
    """How far lines through one value of an axis are moved apart: where there are few values."""
    few = axis.kind == "choice" or (axis.whole and axis.high - axis.low <= 8)
    return _SPREAD if few else 0.0


def _said(axis: Axis, conditional: bool = False) -> dict[str, Any]:
    """Name and ticks of an axis, these as shares of its length; where lines pass that lack it."""
    marks = [(axis.share(at), word(text)) for at, text in axis.ticks()]
    name = word(axis.name) + (" (log)" if axis.kind == "log" else "")
    said = {"name": name, "ticks": [mark for mark in marks if -1e-9 <= mark[0] <= 1 + 1e-9]}
    return {**said, "absent": ABSENT} if conditional else said


def _caption(
    view: SearchView, shown: Sequence[tuple[TrialView, float]], axes: Sequence[Axis]
) -> str:
    first = objectives(view)[0]
    ranked, every = completed(view, first), varying_axes(view)
    caption = f"A line is a completed trial, its colour its rank in {first.name}, the strongest "
    caption += "the best. Draw along an axis to keep the trials between two values, in all charts "
    caption += "and in the table."
    if any(not axis.has(trial) for trial, _ in shown for axis in axes):
        caption += " A line passes beside the axis of a parameter that the trial does not have."
    if len(shown) < len(ranked):
        caption += f" {len(shown)} of {len(ranked)} trials are drawn, evenly spaced by rank."
    if len(axes) < len(every):
        caption += f" The {len(axes)} most important of {len(every)} parameters are drawn."
    bounds = limits([value for _, value in ranked], first)
    return caption + far_out((value for _, value in ranked), bounds)
