"""The history of a search: the value of each trial in order, and the best so far."""

from __future__ import annotations

from raysearch.pages.axes import brief
from raysearch.pages.chart import Chart, axis, layer, objective_axis, star
from raysearch.pages.objectives import (
    Objective,
    drawn,
    far_out,
    limits,
    thinned,
    winning,
    within,
)
from raysearch.results.endings import WITHOUT_VALUE
from raysearch.results.view import SearchView, TrialView

MOST = 3000
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


def history_chart(view: SearchView, objective: Objective) -> Chart | str:
    """The history of one objective; a sentence if no trial has a value."""
    trials = drawn(view)
    values = [value for trial in trials if (value := objective.shown(trial)) is not None]
    if not values:
        return f"There is no value of {objective.name} to draw yet."
    bounds, last = limits(values, objective), trials[-1].number
    pad, is_failed = 0.02 * (last + 1) + 0.5, any(t.state in WITHOUT_VALUE for t in trials)
    spec = {
        "kind": "plot",
        "x": axis("trial", -pad, last + pad, whole=True),
        "y": objective_axis(objective, bounds),
        "layers": layers(view, objective, bounds),
        "foot": is_failed,
    }
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
    if is_failed:
        caption += " Trials without a value stand below the axis."
    name = f"history-{objective.index + 1}"
    return Chart(name, spec, f"{alt}.", caption + far_out(values, bounds))


def layers(
    view: SearchView, objective: Objective, bounds: tuple[float, float]
) -> list[dict[str, object]]:
    """The points by state, the line of the best, the winner; those without a value have none."""
    trials = drawn(view)
    first = [trial for trial in trials if trial.repeat_of is None]
    again = [trial for trial in trials if trial.repeat_of is not None]
    sorts = (
        ("pruned", "pruned", "ring", trials, "pruned"),
        ("completed", "complete", "dot", first, "complete"),
        ("another seed", "complete", "diamond", again, "complete"),
        ("running", "running", "square", trials, "running"),
        ("failed", "failed", "cross", trials, "failed"),
        ("infeasible", "infeasible", "triangle", trials, "infeasible"),
    )
    found: list[dict[str, object]] = []
    for name, colour, mark, own, state in sorts:
        points = _points(own, objective, bounds, state)
        if points:
            found.append(layer("points", name, colour, thinned(points, MOST), mark=mark))
    steps = best_so_far(view, objective)
    if steps:
        line = [*steps, (trials[-1].number, steps[-1][1])]
        found.append(layer("line", "best so far", "ink", line, step=True))
    won = winning(view, objective)
    if won is not None:
        found.append(star(view, won[0].number, within(won[1], bounds), won[0].number))
    return found


def _points(
    trials: list[TrialView], objective: Objective, bounds: tuple[float, float], state: str
) -> list[tuple[int, float | None, int]]:
    own = [trial for trial in trials if trial.state == state]
    if state in WITHOUT_VALUE:
        return [(trial.number, None, trial.number) for trial in own]
    pairs = [(trial.number, objective.value(trial)) for trial in own]
    return [(n, within(value, bounds), n) for n, value in pairs if value is not None]
