"""What trials and searches cost, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from raysearch.errors import BadSetting
from raysearch.events.log import Event, Store
from raysearch.events.schema import Used
from raysearch.pages.making import made
from raysearch.results.answer import answer
from raysearch.results.compare import compare
from raysearch.results.spent import Spent, search_spent, spelt, spent_lines, trial_spent
from raysearch.results.view import SearchView
from raysearch.tracking.consumer import sync
from raysearch.tracking.findings import audit
from raysearch.trial.messages import InvalidMessage, checked
from tests.raysearch.driver.stage import Stage
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact
from tests.raysearch.searches.sweeps import broken
from tests.raysearch.tracking.test_writer import Page

ASKED = {"params": {}, "distributions": {}, "config": {}, "digest": "a", "seed": 0}
USED = {"cost/cpu_seconds": 1800.0, "cost/energy_wh": 5.0, "cost/memory_mib": 700.0}


def view_of(*events: tuple[float, str, int | None, Mapping[str, Any]]) -> SearchView:
    """The view after events at these seconds."""
    view = SearchView("one")
    for number, (second, kind, trial, body) in enumerate(events, 1):
        view.apply(Event(number, "one", trial, int(1000 * second), fact(kind, **body)))
    return view


def asked(second: float, trial: int) -> tuple[float, str, int, Mapping[str, Any]]:
    return second, "asked", trial, {**ASKED, "origin": "sampler", "duplicate_of": None}


def started(second: float, trial: int, attempt: int) -> tuple[float, str, int, Mapping[str, Any]]:
    return second, "started", trial, {"attempt": attempt, "folder": "", "restored": None}


def told(second: float, trial: int) -> tuple[float, str, int, Mapping[str, Any]]:
    ends = {"state": "complete", "values": [0.5], "reason": "", "best_checkpoint": None}
    return second, "told", trial, ends


SEARCH = (
    (0.0, "created", None, {**streams.SPEC, "gpus": 0.5, "workers": 2, "cpus": 1.0}),
    asked(1, 0),
    started(10, 0, 1),
    (70, "usage", 0, {"attempt": 1, "usage": USED}),
    (100, "failed", 0, {"attempt": 1, "kind": "killed", "message": "", "again": True}),
    started(150, 0, 2),  # 50 s later a place was free
    (200, "usage", 0, {"attempt": 2, "usage": {**USED, "cost/memory_mib": 900.0}}),
    (210, "usage", 0, {"attempt": 2, "usage": {**USED, "cost/cpu_seconds": 3600.0}}),
    asked(210, 1),
    started(210, 1, 1),  # the driver is killed
    (1000, "resumed", None, {"left": 210_000}),
    started(1010, 0, 3),
    told(1040, 0),
    started(1010, 1, 2),
    told(1060, 1),
)


def test_attempts_are_added_and_pauses_are_not() -> None:
    view = view_of(*SEARCH)
    found = trial_spent(view, view.trials[0])
    assert found.seconds == 90 + (60 + 10) + 30  # of the resumed driver 10 s until its third began
    assert found.gpu_hours == pytest.approx(190 / 3600)
    assert found.cpu_hours == pytest.approx(1.5) and found.energy_wh == 10.0
    assert found.memory == 900.0
    other = trial_spent(view, view.trials[1])
    assert other == Spent(10 + 50, 60 / 3600)
    every = search_spent(view)
    assert every.seconds == 250 and every.gpu_hours == pytest.approx(250 / 3600)
    assert every.energy_wh == 10.0 and every.memory == 900.0
    assert spent_lines(view) == [
        "cost       4.17 min of trials, 0.0694 GPU-hours, 90 min of CPU, 10 Wh"
    ]
    assert answer(view, Path())["cost"] == {
        "seconds": 250.0, "gpu_hours": 0.0694, "cpu_hours": 1.5, "energy_wh": 10.0,
        "memory_mib": 900.0,
    }  # fmt: skip
    (row,) = compare([view])
    assert {name: row[name] for name in ("gpu_hours", "cpu_hours", "energy_wh")} == {
        "gpu_hours": 0.0694, "cpu_hours": 1.5, "energy_wh": 10.0,
    }  # fmt: skip
    assert dict(made(view, Path()))["cost"] == str(every)
    waiting = view_of(SEARCH[0], asked(1, 0))
    assert spent_lines(waiting) == [] and trial_spent(waiting, waiting.trials[0]) == Spent(0, 0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.25 s"), (99.9, "99.9 s"), (100, "1.67 min"), (5999, "100 min"), (6000, "1.67 h")],
)
def test_a_duration_has_the_unit_that_fits(seconds: float, words: str) -> None:
    assert spelt(seconds) == words


def test_a_measurement_is_an_event_and_no_word_of_the_trial(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    stage.say(job, kind="usage", usage=USED)
    trial = stage.view().trials[job.trial]
    assert trial.usage == {1: USED} and trial.doing == "starting"
    assert not any(trial.reports) and not trial.failures and not trial.costs
    event = next(stage.store.events("one", kinds=[Used]))
    assert event.body == Used(1, USED)
    with pytest.raises(BadSetting, match="usage must be a mapping"):
        fact("usage", attempt=1, usage={"a": "x"})
    with pytest.raises(InvalidMessage, match="must be a finite number, got inf"):
        checked({"kind": "usage", "usage": {"cost/a": float("inf")}}, tmp_path)


def test_where_an_attempt_runs_is_an_event_and_no_word_of_the_trial(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    stage.say(job, kind="placed", nodes=["node1"])
    trial = stage.view().trials[job.trial]
    assert trial.nodes == ["node1"] and trial.doing == "starting"
    with pytest.raises(InvalidMessage, match="nodes must be 1 to 10000 host names, got"):
        checked({"kind": "placed", "nodes": []}, tmp_path)


@pytest.mark.slow
def test_mlflow_has_it_with_the_metrics_of_the_system(tmp_path: Path, tracking: str) -> None:
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    log = store.create("one", streams.spec(search="one"))
    streams.ask(log, 0)
    streams.begin(log, 0, folder)
    log.append(fact("usage", attempt=1, usage=USED), 0)
    streams.tell(log, 0, "complete", 0.5)
    log.append(fact("finished", reason="", best=0), commit=True)
    sync(store, "one", tracking, folder)
    assert Page(tracking, "one").points(0, "system/memory_mib") == [(0, 700.0)]
    found = [str(one) for one in audit(store, "one", folder, tracking, [])]
    assert not [one for one in found if "mlflow" in one]
