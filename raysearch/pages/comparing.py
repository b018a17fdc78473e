"""One page of several searches: the best so far by trial and by time, curves laid over another."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raysearch.files import make_folder
from raysearch.pages.chart import Chart, axis, embedded_data, layer, objective_axis, trial_facts
from raysearch.pages.curves import Curve, curve_of, unit
from raysearch.pages.history import best_so_far
from raysearch.pages.objectives import (
    Objective,
    drawn,
    limits,
    objectives,
    thinned,
    winning,
    within,
)
from raysearch.pages.timeline import unit_of
from raysearch.pages.words import number
from raysearch.results.compare import HEADERS, compare
from raysearch.results.view import SearchView
from raysearch.texts import cut, one_line, plural

FOLDER = "comparisons"
"""Where these pages lie, below the folder of runs."""
COLOURS = tuple(f"s{place}" for place in range(1, 9))
"""Variables of the colours of searches; more than these begin again, dashed."""
MOST_CURVES = 60
"""Curves of a search that are drawn at most, that of its winner not counted."""
_LONGEST = 80
_CELL = 160

Clock = Callable[[SearchView, int], float | None]
"""Where the end of a trial lies on the axis of a chart."""


def write_comparison(views: Sequence[SearchView], runs: Path) -> Path:
    """Writes the page of these searches below the folder of runs; the same names, the same file.

    Raises:
        BadSetting: their objectives differ.
    """
    from raysearch.pages.page import rendered

    table = compare(views)
    goals, charts = objectives(views[0]), charts_of(views)
    names = list(dict.fromkeys(name for view in views for name in view.varying()))
    facts: dict[str, dict[str, Any]] = {}
    for view in views:
        own = trial_facts(view, f" of {one_line(view.search)}", names)
        facts |= {f"{view.search}/{trial}": known for trial, known in own.items()}
    page = rendered(
        "comparing.html",
        data=embedded_data(charts, facts, [goal.name for goal in goals], names),
        goals=goals,
        searches=[(view.search, colour_of(place)) for place, view in enumerate(views)],
        charts=charts,
        table=table_of(table),
        verdict=verdict(table, is_maximized=views[0].spec.metric.is_maximized),
    )
    return _written(page, runs / FOLDER, _file_name([view.search for view in views]))


def charts_of(views: Sequence[SearchView]) -> list[Chart]:
    """The charts of each objective: by trial, by time, curves."""
    last = max(view.seconds() for view in views)
    unit, size = unit_of(last)

    def at_time(view: SearchView, trial: int) -> float | None:
        ended = view.trials[trial].ended
        return None if ended is None else view.seconds(0, ended) / size

    found: list[Chart] = []
    for goal in objectives(views[0]):
        for name, label, clock in (
            ("trials", "trial", lambda view, trial: float(trial)),
            ("time", f"{unit} (pauses left out)", at_time),
        ):
            found += _best_chart(views, goal, f"{name}-{goal.index + 1}", label, clock)
        found += _curves_chart(views, goal)
    return found


def best_line(view: SearchView, goal: Objective, clock: Clock) -> list[tuple[float, float, str]]:
    """The best so far of a search along a clock, to its last trial: place, value, trial."""
    steps = best_so_far(view, goal)
    pairs = [(clock(view, trial), value, f"{view.search}/{trial}") for trial, value in steps]
    found = sorted((at, value, trial) for at, value, trial in pairs if at is not None)
    rising = [
        each
        for place, each in enumerate(found)
        if all(goal.better(each[1], before[1]) for before in found[:place])
    ]
    ends = [clock(view, trial.number) for trial in drawn(view) if trial.ended is not None]
    last = max((at for at in ends if at is not None), default=None)
    if rising and last is not None and last > rising[-1][0]:
        rising.append((last, rising[-1][1], rising[-1][2]))
    return rising


def _best_chart(
    views: Sequence[SearchView], goal: Objective, name: str, label: str, clock: Clock
) -> list[Chart]:
    lines = {view.search: best_line(view, goal, clock) for view in views}
    every = [point for line in lines.values() for point in line]
    if not every:
        return []
    bounds = limits([y for _, y, _ in every], goal)
    spec = {
        "kind": "plot",
        "x": axis(label, 0, max(x for x, _, _ in every) or 1.0, whole=label == "trial"),
        "y": objective_axis(goal, bounds),
        "layers": [
            layer("points" if len(lines[view.search]) == 1 else "line",
                  view.search, colour_of(place),
                  [(x, within(y, bounds), trial) for x, y, trial in lines[view.search]],
                  step=True, dash=place >= len(COLOURS))
            for place, view in enumerate(views)
        ],
    }  # fmt: skip
    best = goal.best(y for _, y, _ in every)
    many = plural(len(views), "search", "searches")
    alt = f"The best {goal.name} so far of {many} by {label}, to {number(best)}."
    return [Chart(name, spec, alt, f"The best {goal.name} so far, by {label}.")]


def _curves_chart(views: Sequence[SearchView], goal: Objective) -> list[Chart]:
    over = unit(views[0])
    if any(unit(view) != over for view in views):
        over = "step"
    long = [_long_curves(view, goal, over) for view in views]
    every = [point for own in long for curve in own.values() for point in curve]
    if not every:
        return []
    bounds = limits([y for _, y in every], goal)
    faint: list[dict[str, Any]] = []
    best: list[dict[str, Any]] = []
    for place, (view, own) in enumerate(zip(views, long, strict=True)):
        won = winning(view, goal)
        others = [trial for trial in own if won is None or trial != won[0].number]
        colour = colour_of(place)
        data = [
            (f"{view.search}/{trial}", _within(own[trial], bounds))
            for trial in thinned(others, MOST_CURVES)
        ]
        faint.append(layer("curves", "", colour, data, faint=True))
        if won is not None and won[0].number in own:
            line = (f"{view.search}/{won[0].number}", _within(own[won[0].number], bounds))
            best.append(layer("curves", view.search, colour, [line], bold=True))
    spec = {
        "kind": "plot",
        "x": axis(over, min(x for x, _ in every), max(x for x, _ in every), whole=True),
        "y": objective_axis(goal, bounds),
        "layers": [*faint, *best],
    }
    caption = f"{goal.name} as it was reported, by {over}: of each search its winner, and behind "
    caption += f"it at most {MOST_CURVES} others."
    alt = f"Learning curves of {plural(len(views), 'search', 'searches')} over {over}."
    return [Chart(f"curves-{goal.index + 1}", spec, alt, caption)]


def _long_curves(view: SearchView, goal: Objective, over: str) -> dict[int, Curve]:
    found = {trial.number: curve_of(trial, goal, over) for trial in drawn(view)}
    return {trial: curve for trial, curve in found.items() if len(curve) > 1}


def _within(curve: Curve, bounds: tuple[float, float]) -> Curve:
    return [(x, within(y, bounds)) for x, y in thinned(curve, 120)]


def colour_of(place: int) -> str:
    """The variable of the colour of a search."""
    return COLOURS[place % len(COLOURS)]


def table_of(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """What `compare` found, a column for each search: heads, and name and cells of each row."""
    heads = [str(row["search"]) for row in rows]
    keys = [key for key in rows[0] if key != "search"]
    table = [(key, [cut(number(row[key]), _CELL) for row in rows]) for key in keys]
    return heads, [(HEADERS.get(key, key), cells) for key, cells in table if any(cells)]


def verdict(rows: Sequence[dict[str, Any]], *, is_maximized: bool = True) -> str:
    """Of two searches: which winner is better, and whether they can be told apart."""
    first = rows[0]
    if len(rows) != 2 or first.get("verdict") is None:
        return ""
    one, other = first["search"], rows[1]["search"]
    said, gap = first["verdict"], number(first["difference"])
    if said == "tie":
        return f"{one} and {other} are tied: the 95 % interval of the difference includes 0."
    if said in ("better", "worse"):
        low, high = number(first["difference low"]), number(first["difference high"])
        return f"{one} is {said} than {other} by {gap} (95 % interval {low} to {high})."
    if not first["difference"]:
        return f"The winners of {one} and {other} are equally good, with one seed."
    ahead, behind = (one, other) if (first["difference"] > 0) == is_maximized else (other, one)
    gap = number(abs(first["difference"]))
    return (
        f"The winner of {ahead} is better than that of {behind} by {gap}; with one seed that says "
        f"nothing yet."
    )


def _file_name(names: Sequence[str]) -> str:
    """Of the names of the searches, cut where they are long."""
    name = "+".join(names)
    if len(name) > _LONGEST:
        name = f"{name[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{name}.html"


def _written(page: str, folder: Path, name: str) -> Path:
    make_folder(folder)
    handle, fresh = tempfile.mkstemp(prefix=".fresh-", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        Path(fresh).chmod(0o644)
        os.replace(fresh, folder / name)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    return folder / name
