"""What the events add up to."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from raysearch.events.log import Event, Store
from raysearch.results import tables as table
from raysearch.results.forecast import forecast
from raysearch.results.reductions import reduce_objective
from raysearch.results.tables import rows
from raysearch.results.view import SearchView
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact, some
from tests.raysearch.events.streams import Hand


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'events.db'}")


def test_reductions_equal_their_definitions() -> None:
    draw = random.Random(0)
    history = [draw.random() for _ in range(9)]
    assert reduce_objective(history, "last", "maximize") == history[8]
    assert reduce_objective(history, "best", "maximize") == sorted(history)[-1]
    assert reduce_objective(history, "best", "minimize") == sorted(history)[0]
    assert reduce_objective(history, "mean(3)", "minimize") == pytest.approx(sum(history[6:]) / 3)
    assert reduce_objective(history[:2], "mean(3)", "minimize") == pytest.approx(
        (history[0] + history[1]) / 2
    )


@pytest.mark.parametrize(
    ("history", "reduce", "words"), [([], "last", "never reported"), ([1.0], "worst", "'worst'")]
)
def test_what_cannot_be_reduced_is_refused(history: list[float], reduce: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reduce_objective(history, reduce, "maximize")


def test_a_search_adds_up(store: Store, tmp_path: Path) -> None:
    streams.search(store, "one", tmp_path)
    view = SearchView.read(store, "one")
    assert view.counts() == {
        "complete": 3, "pruned": 1, "infeasible": 1, "failed": 1, "duplicate": 1
    }  # fmt: skip
    best = view.best()
    assert best is not None and best.number == 5
    assert best.values == [pytest.approx(0.7 * (1 - 0.5**4))]
    assert best.tested["metrics"] == {"test/accuracy": 0.61}
    assert [trial.number for trial in view.ranked()] == [5, 1, 0, 2, 3, 4]
    assert view.varying() == ["optimizer.lr", "model.layers"]
    assert (view.state, view.done()) == ("finished", 6)


def test_following_event_by_event_equals_reading(store: Store, tmp_path: Path) -> None:
    streams.search(store, "one", tmp_path)
    followed = SearchView("one")
    for event in store.events("one"):
        followed.apply(event)
        followed.apply(event)
    assert followed == SearchView.read(store, "one")


def test_an_unfinished_trial_waits_after_an_interruption_and_runs_after_a_resume(
    store: Store, tmp_path: Path
) -> None:
    log = store.create("one", streams.spec())
    streams.ask(log, 0)
    streams.begin(log, 0, tmp_path)
    path = streams.report(log, 0, 1, 0.5, 0.5, tmp_path)
    assert SearchView.read(store, "one").trials[0].state == "running"
    log.append(fact("interrupted", reason="SIGINT"), commit=True)
    view = SearchView.read(store, "one")
    assert (view.state, view.reason, view.trials[0].state) == ("interrupted", "SIGINT", "waiting")
    log.append(fact("resumed", command=""), commit=True)
    streams.begin(log, 0, tmp_path, attempt=2)
    streams.report(log, 0, 1, 0.9, 0.9, tmp_path, attempt=2)
    log.flush()
    view = SearchView.read(store, "one")
    assert (view.state, view.trials[0].state) == ("running", "running")
    assert [(report[0], report[2]) for report in view.trials[0].reports] == [(1, [0.5])]
    assert view.trials[0].last_checkpoint == path
    assert [attempt["attempt"] for attempt in view.trials[0].attempts] == [1, 2]


def test_rows_are_strict_json_and_best_first(store: Store, tmp_path: Path) -> None:
    log = streams.search(store, "one", tmp_path, ends=False)
    streams.ask(log, 7)
    streams.begin(log, 7, tmp_path)
    streams.report(log, 7, 1, float("nan"), float("nan"), tmp_path)
    table = rows(SearchView.read(store, "one"))
    assert [row["trial"] for row in table][:3] == [5, 1, 0]
    assert {row["trial"]: row["val/accuracy"] for row in table}[7] is None
    assert json.loads(json.dumps(table, allow_nan=False)) == table


class Clock:
    """Events at chosen seconds."""

    def __init__(self) -> None:
        self.view, self.count = SearchView("one"), 0

    def say(self, second: float, kind: str, trial: int | None = None, **body: Any) -> None:
        self.count += 1
        moment = round(1000 * second)
        self.view.apply(Event(self.count, "one", trial, moment, some(kind, **body)))

    def trial(self, number: int, start: float, end: float) -> None:
        asked = {"params": {}, "distributions": {}, "config": {}, "digest": "", "seed": number}
        self.say(start, "asked", number, origin="sampler", **asked)
        self.say(start, "started", number, attempt=1)
        self.say(end, "told", number, state="complete", values=[1.0], reason="", best_checkpoint="")


def test_the_forecast_is_the_rate_so_far() -> None:
    clock = Clock()
    clock.say(0, "created", **{**streams.SPEC, "trials": 10})
    assert (forecast(clock.view).rate, forecast(clock.view).seconds) == (None, None)
    for number in range(4):
        clock.trial(number, 5 + number, 7 + number)  # the first starts after 5 s
    ahead = forecast(clock.view)
    assert (ahead.rate, ahead.seconds) == (pytest.approx(4 / 5), pytest.approx(6 / (4 / 5)))


def test_the_forecast_and_the_time_taken_leave_out_the_pause_before_a_resume() -> None:
    clock = Clock()
    clock.say(0, "created", **{**streams.SPEC, "trials": 10})
    for number in range(4):
        clock.trial(number, 2 * number, 2 * number + 2)
    clock.say(86_400, "resumed", command="")  # killed at second 8, a day before
    clock.trial(4, 86_400, 86_402)
    ahead = forecast(clock.view)
    assert (ahead.rate, ahead.seconds) == (pytest.approx(5 / 10), pytest.approx(5 / (5 / 10)))
    assert clock.view.seconds() == 10


def test_a_row_costs_the_same_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    hand, asked = Hand(repeats=2, sampler="grid"), list[str]()
    for number in range(60):
        hand.trial(f"d{number // 2}", 0.5, seed=number % 2)
    monkeypatch.setattr(table, "has_path", lambda config, path: asked.append(path))
    assert len(rows(hand.view)) == 60
    assert max(asked.count(path) for path in asked) == 60
