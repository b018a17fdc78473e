"""The pictures of a report: what is drawn equals what the events say."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

import optuna
import pytest

import raysearch.pages
from raysearch.pages import curves, history, importance, parallel, pareto, slices
from raysearch.pages.axes import Axis, brief, varying_axes
from raysearch.pages.chart import Chart, parameter_axis
from raysearch.pages.objectives import (
    Objective,
    far_out,
    limits,
    objectives,
    thinned,
    within,
)
from raysearch.results.ranking import winner
from raysearch.results.view import SearchView
from raysearch.sweeps.sweep import bare
from tests.raysearch.pages import report_cases as cases
from tests.raysearch.pages import report_streams as streams

UP = Objective(0, "val/accuracy", "maximize", "best")
DOWN = Objective(0, "val/loss", "minimize", "last")


@pytest.fixture(scope="module")
def view() -> SearchView:
    return streams.many(200).view()


# History and curves


def test_the_best_so_far_is_the_best_of_all_before(view: SearchView) -> None:
    steps = history.best_so_far(view, UP)
    for number in range(200):
        done = [t for t in view.trials.values() if t.state == "complete" and t.number <= number]
        known = [value for at, value in steps if at <= number]
        assert known[-1:] == ([max((t.values or [0.0])[0] for t in done)] if done else [])


def test_runs_with_other_seeds_are_no_part_of_the_best_so_far() -> None:
    again = cases.repeats().view()
    assert max(number for number, _ in history.best_so_far(again, UP)) < 60
    assert any(trial.repeat_of is not None for trial in again.trials.values())


def test_a_curve_is_what_was_reported(view: SearchView) -> None:
    assert curves.unit(view) == "epochs"
    for trial in view.trials.values():
        curve = curves.curve_of(trial, UP, "epochs")
        assert curve == [(report[1], report[3]["val/accuracy"]) for report in trial.reports]


def test_the_curve_of_a_pruned_trial_ends_where_it_was_pruned(view: SearchView) -> None:
    pruned = [trial for trial in view.trials.values() if trial.state == "pruned"]
    ends = [curves.curve_of(trial, UP, "epochs")[-1][0] for trial in pruned]
    assert [f"pruned at epochs {end:g}" for end in ends] == [trial.reason for trial in pruned]


def test_the_labelled_curves_are_those_of_the_best(view: SearchView) -> None:
    best = curves.named_best(view, set(view.trials))
    assert best == [trial.number for trial in view.ranked()[: curves.LABELLED]]


def test_a_repeated_default_that_is_bad_is_not_labelled_as_one_of_the_best() -> None:
    again = cases.repeats().view()
    named = curves.named_best(again, set(again.trials))
    assert len(named) == 3 and all(again.trials[each].repeat_of != 0 for each in named)


# Axes


def test_axes_are_logarithmic_for_logarithmic_parameters_only(view: SearchView) -> None:
    kinds = {axis.name: axis.kind for axis in varying_axes(view)}
    logs = {name for name, kind in kinds.items() if kind == "log"}
    assert logs == {"optimizer[adamw].lr", "optimizer[adamw].weight_decay", "optimizer[sgd].lr"}
    for axis in varying_axes(view):
        drawn = parameter_axis(axis)
        assert drawn["kind"] == axis.kind and drawn["low"] <= axis.low < axis.high <= drawn["high"]


def test_a_value_lies_where_its_axis_says() -> None:
    axis = Axis("lr", "log", 1e-4, 1.0)
    assert axis.share(1e-2) == pytest.approx(0.5) and axis.share(1.0) == 1
    assert Axis("x", "linear", 2.0, 6.0).share(3.0) == 0.25
    assert Axis("x", "linear", 2.0, 2.0).share(2.0) == 0.5


def test_ticks_are_decades_choices_or_whole_numbers() -> None:
    assert [text for _, text in Axis("x", "log", 1e-4, 0.1).ticks()] == [
        "0.0001", "0.001", "0.01", "0.1"
    ]  # fmt: skip
    assert [at for at, _ in Axis("x", "log", 2e-3, 5e-3).ticks()] == [2e-3, 5e-3]
    assert [text for _, text in Axis("x", "linear", 1, 3, whole=True).ticks()] == ["1", "2", "3"]
    words = Axis("x", "choice", 0, 2, choices=(True, 1, None)).ticks()
    assert words == [(0.0, "True"), (1.0, "1"), (2.0, "None")]
    assert (brief(1e-5), brief(2.5e6), brief(128.0)) == ("1e-5", "2.5e6", "128")


def test_a_parameter_is_on_no_place_of_its_axis_where_a_trial_lacks_it(view: SearchView) -> None:
    axes = varying_axes(view)
    for trial in view.trials.values():
        places = parallel.positions(trial, axes, [])
        absent = {axis.name for axis, at in zip(axes, places, strict=True) if at < 0}
        assert absent == {axis.name for axis in axes} - set(trial.distributions)


def test_a_grid_has_an_axis_of_choices_for_each_parameter_with_none_among_them() -> None:
    axes = {axis.name: axis for axis in varying_axes(cases.grid().view())}
    assert {axis.kind for axis in axes.values()} == {"choice"}
    assert axes["model.pool"].choices == ("mean", "class_token", None)


# Importance


def as_optuna(data: dict[str, Any]) -> optuna.distributions.BaseDistribution:
    if data["type"] == "choice":
        return optuna.distributions.CategoricalDistribution(data["choices"])
    if data["type"] == "int":
        return optuna.distributions.IntDistribution(data["low"], data["high"])
    return optuna.distributions.FloatDistribution(data["low"], data["high"], log=data["log"])


@pytest.mark.slow
def test_importances_are_those_of_optuna(view: SearchView) -> None:
    study = optuna.create_study(direction="maximize")
    for trial in view.trials.values():
        if trial.state == "complete":
            distributions = {name: as_optuna(data) for name, data in trial.distributions.items()}
            params = {name: trial.params[bare(name)] for name in distributions}
            study.add_trial(
                optuna.create_trial(params=params, distributions=distributions, values=trial.values)
            )
    wanted = optuna.importance.get_param_importances(study)
    found = importance.importances(view)
    assert isinstance(found, dict) and found == pytest.approx(wanted)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize("trials", [importance.ENOUGH - 1, importance.ENOUGH])
def test_importance_needs_enough_completed_trials(trials: int) -> None:
    found = importance.importances(cases.two_directions(trials).view())
    assert isinstance(found, str if trials < importance.ENOUGH else dict)


def test_an_importance_has_the_interval_that_resamples_give() -> None:
    few = streams.many(30, epochs=6).view()
    found = importance.importances(few)
    assert isinstance(found, dict)
    shown = importance.importance(few, found)
    assert [share.name for share in shown.shares] == list(found)[: importance.MOST]
    assert all(0 <= share.low <= share.value <= share.high <= 1 for share in shown.shares)
    assert any(share.high > share.low for share in shown.shares)
    assert importance.importance(few, found) == shown, "the same trials give the same intervals"


def test_resamples_of_equal_trials_have_no_spread() -> None:
    values = sorted([0.1] * importance.RESAMPLES)
    assert importance.middle(values) == (0.1, 0.1)
    assert importance.middle([float(place) for place in range(11)]) == (1.0, 9.0)


# Slices, front, limits


def test_a_slice_has_every_trial_with_that_parameter(view: SearchView) -> None:
    for axis in varying_axes(view):
        own = [t for t in view.trials.values() if axis.name in t.distributions]
        done = slices.points_of(view, UP, axis, "complete")
        values = [(t.values or [0.0])[0] for t in own if t.state == "complete"]
        assert sorted(y for _, y, _ in done) == sorted(values)


def test_the_front_has_all_that_nothing_dominates() -> None:
    two = cases.two_directions(60).view()
    values = [(t.values or [0.0, 0.0])[:2] for t in two.trials.values()]
    kept = [
        (a, b)
        for a, b in values
        if not any(c >= a and d <= b and [c, d] != [a, b] for c, d in values)
    ]
    won = winner(two)
    assert won is not None
    assert pareto.front_points(won) == sorted(kept, reverse=True)


@pytest.mark.parametrize(("objective", "bad"), [(UP, -1e6), (DOWN, 1e6)])
def test_a_value_that_is_far_out_does_not_flatten_the_others(
    objective: Objective, bad: float
) -> None:
    values = [0.1 * place for place in range(10)]
    bounds = limits([*values, bad], objective)
    assert bounds == limits(values, objective)
    assert far_out([*values, bad], bounds) == " 1 value lies beyond the axis, at its edge here."
    assert within(bad, bounds) == (bounds[0] if bad < 0 else bounds[1])


@pytest.mark.parametrize("objective", [UP, DOWN])
def test_the_best_value_is_always_within_the_axis(objective: Objective) -> None:
    best = -1e6 * objective.sign
    low, high = limits([best, *[0.0] * 20, 1.0], objective)
    assert low < best < high


def test_equal_values_have_an_axis_of_some_length() -> None:
    for value in (0.0, 0.5, -3.0):
        low, high = limits([value], UP)
        assert low < value < high


def test_thinning_keeps_both_ends_and_the_order() -> None:
    kept = thinned(range(1000), 7)
    assert len(kept) == 7 and kept == sorted(kept) and (kept[0], kept[-1]) == (0, 999)
    assert thinned(range(5), 7) == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_of_thousands_a_part_is_drawn_and_the_caption_says_so() -> None:
    big = streams.many(1500, epochs=6).view()
    drawn = curves.curves_chart(big, objectives(big)[0])
    assert isinstance(drawn, Chart) and "of the other 1496 are drawn" in drawn.caption
    done = big.counts()["complete"]
    lines = parallel.parallel_chart(big)
    assert isinstance(lines, Chart) and f"500 of {done} trials are drawn" in lines.caption
    every = [number for number, *_ in (*lines.spec["lines"], *lines.spec["others"])]
    assert sorted(every) == sorted(big.trials), "a brush keeps or drops each trial"


def test_labels_name_the_metric_and_the_unit_of_fidelity(view: SearchView) -> None:
    drawn, lines = history.history_chart(view, UP), curves.curves_chart(view, UP)
    assert isinstance(drawn, Chart) and isinstance(lines, Chart)
    assert drawn.spec["x"]["label"] == "trial"
    assert drawn.spec["y"]["label"] == "val/accuracy ↑ better"
    assert lines.spec["x"]["label"] == "epochs" and "over epochs" in lines.alt


def test_a_history_has_a_mark_for_each_trial_and_none_without_a_value(view: SearchView) -> None:
    drawn = history.history_chart(view, UP)
    assert isinstance(drawn, Chart)
    points = [one for one in drawn.spec["layers"] if one["kind"] == "points"]
    marked = {one["name"]: one["data"] for one in points if one["mark"] != "star"}
    counts = view.counts()
    states = {"completed": "complete", "pruned": "pruned", "failed": "failed"}
    for name, state in {**states, "infeasible": "infeasible"}.items():
        assert len(marked[name]) == counts[state]
    assert all(y is None for name in ("failed", "infeasible") for _, y, _ in marked[name])
    assert drawn.spec["foot"]


def test_nothing_in_a_report_touches_the_global_state_of_matplotlib() -> None:
    for file in Path(raysearch.pages.__path__[0]).glob("*.py"):
        names = [
            alias.name
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        ]
        assert not {"pyplot", "rcParams", "rc_context"} & set(names)


def test_numbers_at_the_end_of_their_range_have_an_axis() -> None:
    low, high = limits([1e308, -1e308, 0.5], UP)
    assert math.isfinite(high - low) and high > 0.5 > low
    assert within(1e308, (low, high)) == high
