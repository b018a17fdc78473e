"""Costs are said beside the metrics, recorded and shown, and nothing compares them."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysearch.cli.show_results import show_results
from raysearch.errors import BadSetting
from raysearch.events.log import Store
from raysearch.events.schema import Reported
from raysearch.pages.tables import trials_table
from raysearch.results.selection import Chosen
from raysearch.results.tables import cost_lines, rows
from raysearch.results.view import SearchView
from raysearch.study.known_trials import read_known
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric
from raysearch.tracking.consumer import sync
from raysearch.tracking.findings import audit
from raysearch.trial.group.rank import SilentSession
from raysearch.trial.messages import InvalidMessage, checked_costs
from raysearch.trial.rerun import Session
from tests.raysearch.driver.stage import Stage
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact
from tests.raysearch.searches.sweeps import broken
from tests.raysearch.tracking.test_writer import Page
from tests.raysearch.trial.test_storing import Trial

SPENT = {"cost/step_seconds": 0.25, "cost/host_memory_mib": 300.0}
METRICS = {"val/score": 0.5, "progress/epochs": 1.0}


@pytest.mark.parametrize("given", [None, {}])
def test_none_are_none(given: Any) -> None:
    assert checked_costs(given, {}) == {}


def test_costs_are_finite_numbers_of_any_type() -> None:
    given = {"cost/a": np.float32(0.5), "cost/b": Fraction(1, 4), "cost/c": -(10**300), "cost/d": 0}
    found = checked_costs(given, METRICS)
    assert found == {"cost/a": 0.5, "cost/b": 0.25, "cost/c": -1e300, "cost/d": 0.0}
    assert all(type(value) is float for value in found.values())


NAME = "the name of a cost must begin with cost/ and be that of no metric, got "


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ([0.5], "costs must be a mapping of names to numbers, got [0.5]"),
        ({"cost/a": math.nan}, "cost 'cost/a' must be a finite number, got nan"),
        ({"cost/a": -math.inf}, "cost 'cost/a' must be a finite number, got -inf"),
        ({"cost/a": "fast"}, "cost 'cost/a' must be a number, got 'fast'"),
        ({"cost/a": None}, "cost 'cost/a' must be a number, got None"),
        ({"cost/a": 10**400}, "cost 'cost/a' must be a number, got 1000"),
        ({"cost/a": [1, 2]}, "cost 'cost/a' must be a number, got [1, 2]"),
        ({"seconds": 1.0}, NAME + "'seconds'"),
        ({"cost/": 1.0}, NAME + "'cost/'"),
        ({"cost/both": 1.0}, NAME + "'cost/both'"),
        ({3: 1.0}, "the name of a cost must be a text of at most 1000 characters, got 3"),
        ({"cost/\0": 1.0}, "the name of a cost must be a text of at most 1000 characters"),
        ({f"cost/{n}": 1.0 for n in range(101)}, "costs must be at most 100, got 101"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_its_words(costs: Any, words: str) -> None:
    with pytest.raises(InvalidMessage) as error:
        checked_costs(costs, {"val/score": 1.0, "cost/both": 1.0})
    assert words in str(error.value)


def test_as_many_as_allowed_are_taken_and_none_without_a_metric() -> None:
    many = {f"cost/{number}": 1.0 for number in range(100)}
    assert len(checked_costs(many, METRICS)) == 100
    with pytest.raises(InvalidMessage, match="together with a metric, got costs alone"):
        checked_costs(many, {})


def test_a_session_sends_them_beside_the_metrics_and_without_them_nothing(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    assert "costs" not in trial.report(1, None)
    trial.line.send({"stop": False})
    trial.session.report(2, {"score": 2.0}, costs=SPENT)
    heard = trial.heard()
    assert heard["costs"] == SPENT and heard["metrics"] == {"score": 2.0}
    with pytest.raises(InvalidMessage, match="must be a finite number, got inf"):
        trial.session.report(3, {"score": 3.0}, costs={"cost/a": math.inf})
    assert not trial.line.poll(0)


def test_other_ranks_and_a_run_that_is_compared_say_nothing_of_them(tmp_path: Path) -> None:
    SilentSession(Trial(tmp_path).job).report(1, {}, costs=SPENT)
    said = tmp_path / "said.jsonl"
    job = {"said": said, "wanted": [], "last": None, "workers": 1}
    Session(job, tmp_path, None).report(1, METRICS, costs=SPENT)
    assert "cost" not in said.read_text() and "val/score" in said.read_text()


def test_they_are_on_record_and_another_driver_knows_them(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    report = {"kind": "report", "checkpoint": None, "costs": SPENT}
    stage.say(job, **report, step=1, metrics={"train/loss": 1.0})
    other = {name: value + 1 for name, value in SPENT.items()}
    stage.resume()
    again = stage.start()
    stage.say(again, **report, step=1, metrics={"train/loss": 1.0})
    more = other | {"cost/more": 1.0}
    stage.say(again, **{**report, "costs": more}, step=1, metrics=METRICS)
    stage.say(again, **{**report, "costs": other}, step=2, metrics={"train/loss": 0.5})
    trial = stage.view().trials[job.trial]
    assert trial.costs == {1: SPENT | {"cost/more": 1.0}, 2: other}
    assert trial.last_costs == other and not trial.differed and not trial.failures
    bodies = [event.body.plain() for event in stage.store.events("one", kinds=[Reported])]
    assert [body.get("costs") for body in bodies] == [SPENT, {"cost/more": 1.0}, other]
    assert not any(name.startswith("cost/") for one in trial.reports for name in one[3])


@pytest.mark.parametrize("costs", [{"cost/a": math.inf}, {"a": 1.0}, [1], "x", {"cost/a": {}}])
def test_a_trial_that_says_others_fails_alone(tmp_path: Path, costs: Any) -> None:
    stage = Stage(tmp_path, broken)
    odd, well = stage.start(), stage.start()
    said = {"kind": "report", "step": 1, "metrics": METRICS, "checkpoint": None, "costs": costs}
    assert stage.say(odd, **said) is not None
    assert "cost" in stage.view().trials[odd.trial].failures[0]["message"]
    assert stage.run(well, 0.4, 0.5) == "complete"


def test_a_sweep_cannot_compare_by_them() -> None:
    with pytest.raises(BadSetting) as error:
        Metric("cost/step_seconds", "minimize")
    assert str(error.value) == (
        "metric 'cost/step_seconds' must not begin with 'cost/', which are costs: they differ each "
        "time, so no search by them could be resumed or repeated; report what is to be compared by "
        "another name"
    )


def test_an_event_whose_costs_are_damaged_is_one_that_cannot_be_read() -> None:
    body = {"step": 1, "metrics": {}}
    assert fact("report", **body, costs={"cost/a": 1.0}) == Reported(1, {}, costs={"cost/a": 1.0})
    with pytest.raises(BadSetting, match="costs must be a mapping"):
        fact("report", **body, costs={"cost/a": "x"})


@pytest.fixture
def spent(tmp_path: Path) -> tuple[Store, Path]:
    """A search of two trials, of which the second says its costs."""
    store, folder = Store(f"sqlite:///{tmp_path / 'events.db'}"), tmp_path / "one"
    log = store.create("one", streams.spec(search="one"))
    for number in range(2):
        streams.ask(log, number)
        streams.begin(log, number, folder)
        for step in (1, 2):
            body: dict[str, Any] = {"attempt": 1, "fidelity": step, "checkpoint": None}
            body |= {"metrics": {"val/accuracy": 0.5 * step}, "values": [0.5 * step]}
            costs = {name: value * step for name, value in SPENT.items()}
            body |= {"costs": costs} if number else {}
            log.append(fact("report", step=step, **body), number)
        streams.tell(log, number, "complete", 1.0)
    log.append(fact("finished", reason="", best=0), commit=True)
    return store, folder


def test_tables_have_the_last_of_each_trial(spent: tuple[Store, Path]) -> None:
    view = SearchView.read(spent[0], "one")
    found = {row["trial"]: row for row in rows(view)}
    assert found[1]["cost/step_seconds"] == 0.5 and found[1]["cost/host_memory_mib"] == 600.0
    assert found[0]["cost/step_seconds"] is None
    header, table = trials_table(view)
    place = header.index("cost/step_seconds")
    assert {number: cells[place].text for number, cells in table} == {0: "", 1: "0.5"}


def test_in_words_they_have_a_median_and_ends(spent: tuple[Store, Path]) -> None:
    view = SearchView.read(spent[0], "one")
    lines = ["cost/step_seconds: 0.5 (1 trial)", "cost/host_memory_mib: 600 (1 trial)"]
    assert cost_lines(view) == lines
    for number, value in ((2, 0.1), (3, 0.9)):
        view.trials[number] = replace(view.trials[0], costs={1: {"cost/step_seconds": value}})
    assert cost_lines(view)[0] == "cost/step_seconds: 0.5, 0.1 to 0.9 (3 trials)"


def test_the_table_says_once_what_the_numbers_of_costs_are(
    spent: tuple[Store, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    show_results(SearchView.read(spent[0], "one"), Chosen())
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("costs: median, lowest to highest")
    assert lines[at + 1] == "cost/step_seconds: 0.5 (1 trial)"


def test_without_costs_tables_are_as_they_were(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    streams.search(store, "one", tmp_path)
    assert not any(
        name.startswith("cost") for row in rows(SearchView.read(store, "one")) for name in row
    )


def test_past_runs_may_have_columns_of_costs(tmp_path: Path) -> None:
    space = Space(broken)
    params = next(iter(space.preview(1))).params
    names, values = ",".join(params), ",".join(map(str, params.values()))
    (tmp_path / "a.csv").write_text(
        f"{names},val/score,cost/step_seconds,raysearch:cost/x\n{values},0.5,0.1,2\n"
    )
    assert read_known(tmp_path / "a.csv", space) == [{"params": dict(params), "values": [0.5]}]


@pytest.mark.slow
def test_mlflow_has_their_curves_and_check_finds_nothing_wrong(
    spent: tuple[Store, Path], tracking: str
) -> None:
    store, folder = spent
    sync(store, "one", tracking, folder)
    assert Page(tracking, "one").points(1, "cost/step_seconds") == [(1, 0.25), (2, 0.5)]
    found = [str(one) for one in audit(store, "one", folder, tracking, [])]
    assert not [one for one in found if "mlflow" in one]
