"""The Pareto front of a search with several objectives."""

from __future__ import annotations

from raysearch.pages.axes import brief
from raysearch.pages.chart import Chart, layer, objective_axis
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

_MOST = 3000

Points = list[tuple[float, float]]


def front_chart(view: SearchView) -> Chart | str:
    """The completed trials in the plane of the first two objectives, the front in front."""
    x, y = objectives(view)[:2]
    won = winner(view)
    if won is None:
        return "No trial has completed: there is no Pareto front yet."
    every = [(x.final(trial), y.final(trial), trial.number) for trial in drawn(view)]
    known = [(a, b, n) for a, b, n in every if a is not None and b is not None]
    bounds = limits([a for a, _, _ in known], x), limits([b for _, b, _ in known], y)
    front = front_points(won)
    points = [(within(a, bounds[0]), within(b, bounds[1]), n) for a, b, n in thinned(known, _MOST)]
    on_it = [(a, b, rank.trial.number) for (a, b), rank in zip(front, won.front, strict=True)]
    spec = {
        "kind": "plot",
        "x": objective_axis(x, bounds[0]),
        "y": objective_axis(y, bounds[1]),
        "layers": [
            layer("points", "completed", "complete", points, mark="dot"),
            layer("line", "", "best-1", front, step=True),
            layer("points", "Pareto front", "best-1", on_it, mark="dot"),
        ],
    }
    alt = f"{len(known)} completed trials, {len(front)} on the Pareto front: {x.name} "
    alt += f"{brief(front[0][0])} to {brief(front[-1][0])}, {y.name} {brief(front[0][1])} to "
    alt += f"{brief(front[-1][1])}."
    caption = _caption(won, x, y)
    caption += far_out((a for a, _, _ in known), bounds[0])
    caption += far_out((b for _, b, _ in known), bounds[1])
    return Chart("pareto", spec, alt, caption)


def front_points(won: Winner) -> Points:
    """The first two objectives along the front, the best in the first one first; of seeds means."""
    return [(each.intervals[0].mean, each.intervals[1].mean) for each in won.front]


def _caption(won: Winner, x: Objective, y: Objective) -> str:
    caption = (
        "On the front no other configuration is at least as good in all objectives and better "
    )
    caption += f"in one; {x.direction} {x.name}, {y.direction} {y.name}."
    if any(each.seeds > 1 for each in won.front):
        caption += " The front is that of means over seeds; points are single runs."
    if len(won.metrics) > 2:
        caption += " Only the first two objectives are drawn."
    return caption
