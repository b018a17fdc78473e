"""A search as an Optuna study."""

from __future__ import annotations

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import optuna
import optuna.visualization.matplotlib as plots
import pytest

from raysearch.events.log import Store
from raysearch.results.view import SearchView
from raysearch.study.export import export_study, optuna_trials, study_of
from raysearch.study.study import Study
from raysearch.sweeps.space import Space
from tests.raysearch import toys
from tests.raysearch.events import streams
from tests.raysearch.study.driving import Drive, Listed, events_of, make_study, spec_of


def _driven(folder: Path, trials: int, pruner: str = "median:warmup=2,startup=5") -> Any:
    """A search driven to the middle: its view, and the study that decides for it."""
    spec = spec_of(toys.BRANCHING, "random", pruner, trials)
    study, log, store = make_study(folder, toys.BRANCHING, spec)
    drive = Drive(study, log, random.Random(0))
    while not drive.ended:
        drive.step()
    for _ in range(4):
        drive.step()
    events = events_of(store, log)
    rebuilt = Study.rebuild(Space(toys.BRANCHING), spec, Listed(), events)
    return SearchView.of("driven", events), rebuilt


def _told(trial: optuna.trial.FrozenTrial) -> tuple[Any, ...]:
    return (
        trial.number,
        trial.state,
        trial.values,
        trial.params,
        trial.distributions,
        trial.intermediate_values,
        trial.constraints,
    )


@pytest.mark.slow
def test_the_export_equals_the_study_that_decided(tmp_path: Path) -> None:
    view, study = _driven(tmp_path, 36)
    states = {trial.state for trial in view.trials.values()}
    assert states >= {"complete", "pruned", "duplicate", "waiting"}
    assert states & {"failed", "infeasible"}
    assert [_told(t) for t in optuna_trials(view)] == [_told(t) for t in study.trials]


@pytest.fixture
def view(tmp_path: Path) -> SearchView:
    store = Store(f"sqlite:///{tmp_path / 'events.db'}")
    log = streams.search(store, "one", tmp_path)
    streams.ask(log, 7)
    return SearchView.read(store, "one")


@pytest.mark.slow
def test_what_is_written_is_read_back(view: SearchView, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    assert export_study(view, url, "mine") == 8
    study = optuna.load_study(study_name="mine", storage=url)
    assert [_told(t) for t in study.trials] == [_told(t) for t in optuna_trials(view)]
    attrs = [trial.user_attrs for trial in study.trials]
    assert [each["state"] for each in attrs[2:7]] == [
        "pruned", "infeasible", "failed", "complete", "duplicate"
    ]  # fmt: skip
    assert (attrs[6]["duplicate_of"], attrs[5]["test/accuracy"]) == (1, 0.61)
    assert study.trials[7].state == optuna.trial.TrialState.RUNNING
    assert study.metric_names == ["val/accuracy"]
    assert study.user_attrs["raysearch.question"] == "Which rate?"
    assert study.user_attrs["raysearch.git"]["commit"] == "c" * 40


def test_times_are_those_of_the_events(view: SearchView) -> None:
    trial, exported = view.trials[0], optuna_trials(view)[0]
    assert exported.datetime_start is not None and exported.datetime_complete is not None
    assert round(1000 * exported.datetime_start.timestamp()) == trial.started
    assert round(1000 * exported.datetime_complete.timestamp()) == trial.ended


@pytest.mark.slow
def test_a_study_is_never_written_over(view: SearchView, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    export_study(view, url, "mine")
    with pytest.raises(ValueError, match=r"--study 'mine' exists in .*optuna delete-study"):
        export_study(view, url, "mine")
    assert export_study(view, url, "another") == 8
    assert len(optuna.load_study(study_name="mine", storage=url).trials) == 8


@pytest.mark.slow
def test_what_a_kill_left_half_written_is_called_so(view: SearchView, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    half = optuna.create_study(study_name="mine", storage=url)
    half.set_user_attr("raysearch.search", "one")
    with pytest.raises(ValueError, match="is being written, or was left half written by a kill"):
        export_study(view, url, "mine")


@pytest.mark.slow
def test_what_could_not_be_written_whole_is_taken_back(view: SearchView, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    view.trials[5].distributions["model.layers"] = {"type": "choice", "choices": [1, 2, 3, 4]}
    with pytest.raises(ValueError, match=r"study 'mine' could not be written: .*distribution"):
        export_study(view, url, "mine")
    assert optuna.get_all_study_names(url) == []


@pytest.mark.parametrize(
    "url",
    ["study.db", "sqlite:///no/such/folder/study.db", "oracle2://x", "postgresql+psycopg://:1/x"],
)
def test_a_database_that_cannot_be_is_one_sentence(view: SearchView, url: str) -> None:
    with pytest.raises(ValueError, match="must be a database that can be written") as caught:
        export_study(view, url, "mine")
    assert url in str(caught.value) and "\n" not in str(caught.value)


def test_the_database_of_another_program_is_left_alone(view: SearchView, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("create table alembic_version (version_num text)")
    connection.close()
    with pytest.raises(ValueError, match="database of another program"):
        export_study(view, f"sqlite:///{tmp_path / 'mlflow.db'}", "mine")


@pytest.mark.slow
def test_importance_sees_no_duplicate(view: SearchView) -> None:
    study = study_of(view, once=True)
    assert [trial.user_attrs.get("duplicate_of") for trial in study.trials] == [None] * 7
    importance = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
    )
    assert set(importance) == {"optimizer[adamw].lr", "model.layers"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optunas_own_plots_open(view: SearchView) -> None:
    matplotlib.use("Agg")
    axes = plots.plot_optimization_history(study_of(view))
    curves = plots.plot_intermediate_values(study_of(view))
    plots.plot_param_importances(study_of(view, once=True))
    shown = sorted(map(tuple, np.asarray(axes.collections[0].get_offsets())))
    done = [t for t in view.trials.values() if t.state in ("complete", "duplicate") and t.values]
    assert shown == [(t.number, pytest.approx((t.values or [0.0])[0])) for t in done]
    assert len(curves.lines) == 6  # it leaves out the one that failed and the one that waits
    plt.close("all")


def test_several_objectives_have_values_and_no_curves() -> None:
    metrics = [
        *streams.SPEC["metrics"],
        {"name": "loss", "direction": "minimize", "reduce": "last"},
    ]
    hand = streams.Hand(metrics=metrics)
    hand.trial("a", 0.5, 0.1)
    study = study_of(hand.view)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.values for trial in study.best_trials] == [[0.5, 0.1]]


@pytest.mark.slow
def test_a_study_in_postgresql_and_no_password_in_what_is_said(
    view: SearchView, on_server: str
) -> None:
    export_study(view, on_server, "mine")
    storage = optuna.storages.RDBStorage(on_server)
    study = optuna.load_study(study_name="mine", storage=storage)
    assert [_told(t) for t in study.trials] == [_told(t) for t in optuna_trials(view)]
    storage.remove_session()
    storage.engine.dispose()
    with pytest.raises(ValueError, match="exists in") as caught:
        export_study(view, on_server, "mine")
    assert "hush" not in str(caught.value) and ":***@" in str(caught.value)


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=900) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_optuna_dashboard_shows_the_study_and_its_trials(view: SearchView, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    export_study(view, url, "mine")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = str(Path(sys.executable).parent / "optuna-dashboard")
    command = [program, url, "--host", "127.0.0.1", "--port", str(port), "--quiet"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONWARNINGS": "ignore"}) as server:
        try:
            base = f"http://127.0.0.1:{port}/api/studies"
            deadline = time.monotonic() + 900
            while True:
                try:
                    studies = _get(base)["study_summaries"]
                    break
                except OSError:
                    assert time.monotonic() < deadline and server.poll() is None
                    time.sleep(0.2)
            assert [each["study_name"] for each in studies] == ["mine"]
            shown = _get(f"{base}/{studies[0]['study_id']}?after=0")
        finally:
            server.terminate()
    states = [trial["state"] for trial in shown["trials"]]
    assert states == [
        "Complete", "Complete", "Pruned", "Pruned", "Fail", "Complete", "Complete", "Running"
    ]  # fmt: skip
