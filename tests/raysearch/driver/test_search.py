"""Searches from start to end, through the command, Ray and MLflow."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.driver.search import free_name
from raysearch.events.log import Store
from raysearch.settings import Settings
from raysearch.trial.child import kill_orphans
from tests.raysearch.command import (
    NOWHERE,
    end_all,
    json_of,
    label,
    left_alive,
    raysearch,
    started,
    store_of,
    view_of,
    wait_until,
)
from tests.raysearch.searches.sweeps import WAYS

pytestmark = [pytest.mark.search, pytest.mark.slow, pytest.mark.timeout(1800)]
SWEEPS = "tests.raysearch.searches.sweeps"


@pytest.fixture(autouse=True)
def nothing_is_left_over(tmp_path: Path) -> Iterator[None]:
    yield
    end_all()
    for search in ("one", "ways", "growing", "broken", "slow"):
        kill_orphans(label(tmp_path, search), living=True)


def test_every_kind_of_failure_ends_in_its_state(tmp_path: Path) -> None:
    done = raysearch(tmp_path, "search", f"{SWEEPS}:ways", "--name", "ways", *NOWHERE)
    assert done.returncode == 0, done.stderr
    view = view_of(tmp_path, "ways")
    states = {trial.params["way"]: trial.state for trial in view.trials.values()}
    assert states == {
        "well": "complete",
        "raise": "failed",
        "nan": "infeasible",
        "hang": "failed",
        "exit": "failed",
        "segv": "failed",
        "killed": "complete",
        "memory": "infeasible",
        "host": "complete",
    }
    attempts = {trial.params["way"]: len(trial.attempts) for trial in view.trials.values()}
    assert attempts["raise"] == attempts["hang"] == attempts["exit"] == attempts["segv"] == 2
    assert attempts["nan"] == attempts["well"] == 1
    lost = [
        trial.params["way"]
        for trial in view.trials.values()
        if any(failure["kind"] == "host_lost" for failure in trial.failures)
    ]
    assert lost == ["host"]
    best = view.best()
    assert best is not None and best.state == "complete"
    assert left_alive(tmp_path, "ways") == []
    checked = raysearch(tmp_path, "check", "ways")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    logs = raysearch(tmp_path, "logs", "ways", str(WAYS.index("raise")))
    assert "RuntimeError: this configuration always fails" in logs.stdout


@pytest.mark.long
def test_a_trial_that_outgrows_its_memory_is_infeasible(tmp_path: Path) -> None:
    done = raysearch(tmp_path, "search", f"{SWEEPS}:growing", "--name", "growing", *NOWHERE)
    assert done.returncode == 0, done.stderr
    states = {
        (trial.params["way"], trial.params["y"]): trial.state
        for trial in view_of(tmp_path, "growing").trials.values()
    }
    assert states == {
        ("grow", 3): "infeasible",
        ("grow", 4): "infeasible",
        ("well", 3): "complete",
        ("well", 4): "complete",
    }


@pytest.mark.long
def test_equal_tracebacks_stop_a_search_with_one_message(tmp_path: Path) -> None:
    done = raysearch(tmp_path, "search", f"{SWEEPS}:broken", "--name", "broken", *NOWHERE)
    assert done.returncode == 1
    assert "this configuration always fails" in done.stdout
    assert len(view_of(tmp_path, "broken").trials) < 30
    assert "Traceback" not in done.stderr


def test_a_grid_runs_each_cell_once_and_answers_like_its_formula(tmp_path: Path) -> None:
    done = raysearch(tmp_path, "search", f"{SWEEPS}:chain_grid", "--name", "one", *NOWHERE)
    assert done.returncode == 0, done.stderr
    table = json_of(tmp_path, "results", "one")
    assert sorted((row["x"], row["y"]) for row in table) == [
        (x, y) for x in (0.1, 0.3, 0.5) for y in (2, 3, 4)
    ]
    best = json_of(tmp_path, "best", "one")
    assert (best["config"]["x"], best["config"]["y"]) == (0.3, 3)
    assert best["values"] == [1 - 0.5**8]
    assert json.loads(Path(best["checkpoint"]).read_text())["step"] == 8
    assert json_of(tmp_path, "list")[0]["best"] == 1 - 0.5**8
    again = raysearch(tmp_path, "search", f"{SWEEPS}:chain_grid", "--name", "one")
    assert again.returncode == 2
    assert "'one' is in use" in again.stderr


def test_ctrl_c_ends_in_order_and_resume_goes_on(tmp_path: Path) -> None:
    driver = started(tmp_path, "search", f"{SWEEPS}:slow", "steps=40", "--name", "slow", *NOWHERE)
    wait_until(lambda: (tmp_path / "runs/raysearch.db").exists(), what="for the store")
    wait_until(
        lambda: (
            store_of(tmp_path).exists("slow")
            and sum(len(trial.reports) for trial in view_of(tmp_path, "slow").trials.values()) >= 3
        ),
        what="for reports",
    )
    second = raysearch(tmp_path, "resume", "slow")
    assert second.returncode == 2
    assert f"process {driver.pid}" in second.stderr
    os.killpg(driver.pid, signal.SIGINT)
    output, _ = driver.communicate(timeout=900)
    assert driver.returncode == 130, output
    assert view_of(tmp_path, "slow").state == "interrupted"
    assert left_alive(tmp_path, "slow") == []
    before = view_of(tmp_path, "slow")
    done = raysearch(tmp_path, "resume", "slow")
    assert done.returncode == 0, done.stdout + done.stderr
    after = view_of(tmp_path, "slow")
    assert len(after.trials) == 6
    assert all(trial.state == "complete" for trial in after.trials.values())
    for number, trial in before.trials.items():
        assert after.trials[number].reports[: len(trial.reports)] == trial.reports
        assert [report[0] for report in after.trials[number].reports] == list(range(2, 41, 2))
    assert raysearch(tmp_path, "check", "slow").returncode == 0


def test_stop_from_another_terminal_ends_a_trial_and_then_the_search(tmp_path: Path) -> None:
    driver = started(tmp_path, "search", f"{SWEEPS}:slow", "--name", "slow", *NOWHERE)

    def running(number: int) -> bool:
        if not (tmp_path / "runs/raysearch.db").exists() or not store_of(tmp_path).exists("slow"):
            return False
        trials = view_of(tmp_path, "slow").trials
        return number in trials and bool(trials[number].reports)

    wait_until(lambda: running(0) and running(1), what="for two trials")
    assert raysearch(tmp_path, "stop", "slow", "--trial", "1").returncode == 0
    wait_until(lambda: view_of(tmp_path, "slow").trials[1].ended is not None)
    assert view_of(tmp_path, "slow").trials[1].reason == "stopped by request"
    assert raysearch(tmp_path, "stop", "slow", "--trial", "99").returncode == 2
    assert raysearch(tmp_path, "stop", "slow").returncode == 0
    driver.communicate(timeout=900)
    view = view_of(tmp_path, "slow")
    assert view.state == "stopped"
    assert left_alive(tmp_path, "slow") == []
    late = raysearch(tmp_path, "stop", "slow")
    assert late.returncode == 2
    assert "not running" in late.stderr


def test_two_searches_that_begin_at_once_have_two_names(tmp_path: Path) -> None:
    settings = Settings.locate(tmp_path)
    store = Store(settings.store)
    (tmp_path / "vit-1").touch()
    assert [free_name("vit", store, settings) for _ in range(2)] == ["vit-2", "vit-3"]
