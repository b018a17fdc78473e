"""Means over more than half of a curve: said before a search, or once a trial shows it."""

from __future__ import annotations

from typing import Any

import pytest

from raysearch.driver.plan import Request, plan
from raysearch.driver.resources import Machine
from raysearch.pages import answer as said
from raysearch.results.answer import answer_lines
from raysearch.results.averaged import long_mean, long_means
from raysearch.settings import Settings
from raysearch.sweeps import catalog
from raysearch.sweeps.search_spec import MetricSpec
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric, sweep
from tests.raysearch.events.streams import Hand
from trainables.core.training import Training
from trainables.ssl.config import Supervised

SWEEPS = catalog.sweeps(["search_spaces"])
TRAINED = [name for name, one in SWEEPS.items() if one.evaluates is None]
MEAN = {"name": "val/loss", "direction": "minimize", "reduce": "mean(5)"}


@pytest.mark.parametrize(
    ("reduce", "made", "words"),
    [
        ("mean(5)", 5, "is over all 5 of"),
        ("mean(5)", 3, "is over all 3 of"),
        ("mean(5)", 9, "is over 5 of 9 of"),
        ("mean(5)", 10, ""),
        ("mean(1)", 1, ""),
        ("mean(2)", 4, ""),
        ("mean(2)", 3, "or reduce it by last"),
        ("mean(5)", 8, "or reduce it by at most mean(4)"),
        ("last", 1, ""),
        ("best", 1, ""),
    ],
)
def test_more_than_half_of_the_reports_is_too_much(reduce: str, made: int, words: str) -> None:
    found = long_mean(MetricSpec("val/loss", "minimize", reduce), made)
    assert bool(found) == bool(words) and words in found


def reported(*steps: int, **spec: Any) -> Hand:
    """Trials that completed, each with so many reports."""
    hand = Hand(metrics=[MEAN], **spec)
    body: dict[str, Any] = {"params": {}, "distributions": {}, "config": {}}
    values: dict[str, Any] = {"values": [1.0], "metrics": {"val/loss": 1.0}}
    told: dict[str, Any] = {"state": "complete", "values": [1.0], "reason": "", "constraint": 0}
    for number, count in enumerate(steps):
        hand.say("asked", number, **body, digest=str(number), seed=0, origin="sampler")
        hand.say("started", number, attempt=1, folder="", restored=None)
        for step in range(1, count + 1):
            hand.say("report", number, attempt=1, step=step, fidelity=step, **values,
                     checkpoint=None)  # fmt: skip
        hand.say("report", number, attempt=1, step=99, fidelity=None, values=None,
                 metrics={"a": 1.0}, checkpoint=None)  # fmt: skip
        hand.say("told", number, **told, best_checkpoint=None)
    return hand


@pytest.mark.parametrize(
    ("steps", "is_long"),
    [([5], True), ([9], True), ([10], False), ([40], False), ([40, 9], True), ([40, 0], False)],
)
def test_it_is_said_of_the_shortest_curve_of_a_trial_that_completed(
    steps: list[int], is_long: bool
) -> None:
    view = reported(*steps).view
    assert bool(long_means(view)) == is_long
    text = "mean(5) of val/loss is over"
    assert any(text in line for line in answer_lines(view)) == is_long
    assert any("Mean(5) of val/loss is over" in line for line in said.answer(view)) == is_long


def test_before_a_trial_completed_nothing_is_said() -> None:
    assert long_means(Hand(metrics=[MEAN]).view) == []


def test_an_evaluation_of_finished_trials_has_no_curve() -> None:
    assert long_means(reported(1, evaluates={"search": "one", "trials": []}).view) == []


@pytest.mark.parametrize("name", TRAINED)
def test_no_sweep_that_ships_averages_over_more_than_half_of_its_curve(name: str) -> None:
    configs: list[Any] = [point.config for point in Space(SWEEPS[name]).preview(64)]
    found = [config.evaluations_made() for config in configs]
    metrics = [MetricSpec(one.name, one.direction, one.reduce) for one in SWEEPS[name].metrics]
    assert not [long_mean(one, made) for one in metrics for made in found if made is not None
                if long_mean(one, made)]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({"steps": 200, "evaluate_every": 40}, 5),
        ({"steps": 201, "evaluate_every": 40}, 6),
        ({"epochs": 7}, 7),
        ({"epochs": 7, "evaluate_every": 40}, None),
        ({"steps": 200}, None),
    ],
)
def test_how_often_a_run_is_evaluated_is_known_without_its_data(
    values: dict[str, Any], made: int | None
) -> None:
    training = Training(**values)
    assert training.evaluations_made() == made
    if made is not None:
        total = training.total_steps(64)
        due = [training.is_due(training.evaluate_every, step, 64) for step in range(1, total + 1)]
        assert sum(due) == made


@sweep(metrics=[Metric("val/loss", "minimize", reduce="mean(5)")], name="tests.averaged")
def averaged(trial: Any) -> Supervised:
    return Supervised(training=Training(epochs=trial.suggest_categorical("training.epochs", [8])))


@pytest.mark.parametrize(("epochs", "is_long"), [(8, True), (10, False)])
def test_a_plan_says_it_before_anything_starts(epochs: int, is_long: bool) -> None:
    request = Request(f"{__name__}:averaged", {"training.epochs": epochs})
    spec = plan(request, Settings.locate("runs"), Machine.here(), quick=True).spec
    assert bool(spec.warnings) == is_long
