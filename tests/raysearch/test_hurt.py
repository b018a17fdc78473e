"""A search whose driver is stopped and whose Ray is killed under it ends as if nothing had been."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from raysearch.driver.plan import Request, plan
from raysearch.driver.resources import Machine
from raysearch.settings import Settings
from raysearch.trial.child import kill_orphans
from tests.raysearch.command import (
    COMMAND,
    ENVIRONMENT,
    NOWHERE,
    end_all,
    label,
    left_alive,
    raysearch,
    started,
    store_of,
    view_of,
    wait_until,
)
from tests.raysearch.searches.wander import walk

pytestmark = [pytest.mark.search, pytest.mark.kill, pytest.mark.slow, pytest.mark.timeout(900)]
SWEEPS = "tests.raysearch.searches.wander"
LONG = 300


@pytest.fixture(autouse=True)
def nothing_is_left_over(tmp_path: Path) -> Iterator[None]:
    yield
    end_all()
    kill_orphans(label(tmp_path, "one"), living=True)


def part_of_ray(driver: int, name: str) -> psutil.Process | None:
    """A living process of this name that the driver itself has started."""
    for child in psutil.Process(driver).children():
        if child.name() == name and child.status() != psutil.STATUS_ZOMBIE:
            return child
    return None


def reported(folder: Path) -> int:
    """How many reports there are, of all trials."""
    if not (folder / "runs/raysearch.db").exists() or not store_of(folder).exists("one"):
        return 0
    return sum(len(trial.reports) for trial in view_of(folder, "one").trials.values())


def hurt_after(folder: Path, reports: int, injure: Callable[[], None]) -> None:
    before = reported(folder)
    wait_until(lambda: reported(folder) >= before + reports, LONG, "for reports")
    injure()


def sql(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "runs/raysearch.db", timeout=60)) as connection:
        connection.execute(statement)


NO_MORE = """CREATE TRIGGER no_more BEFORE INSERT ON events
BEGIN SELECT RAISE(ABORT, 'nothing is written now'); END"""
"""A database that takes nothing more in, as one on a full disk."""


def logs(folder: Path) -> str:
    return "".join(file.read_text() for file in (folder / "runs/one").glob("*/attempt-*/log.txt"))


@pytest.mark.parametrize(
    ("parts", "trials", "concurrent"),
    [
        (["raylet"], 4, "1"),
        pytest.param(["raylet", "gcs_server"], 8, "2", marks=pytest.mark.long),
    ],
)
def test_stopped_and_robbed_of_its_ray_a_search_equals_an_unhurt_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[str], trials: int, concurrent: str
) -> None:
    """Its terminal is closed too, which it was told to ignore."""
    monkeypatch.setitem(ENVIRONMENT, "RAYSEARCH_LEASE", "0.3")
    search = ["search", f"{SWEEPS}:wander", "--name", "one", "--concurrent", concurrent, *NOWHERE]
    driver = started(tmp_path, *search, "--trials", str(trials), program=["nohup", *COMMAND])

    def stop() -> None:
        os.kill(driver.pid, signal.SIGSTOP)
        wait_until(lambda: "waiting for the driver" in logs(tmp_path), LONG, "for a trial")
        os.kill(driver.pid, signal.SIGCONT)

    def kill(name: str) -> None:
        victim = part_of_ray(driver.pid, name)
        assert victim is not None
        victim.kill()

    hurt_after(tmp_path, 3, stop)
    hurt_after(tmp_path, 3, lambda: os.killpg(driver.pid, signal.SIGHUP))
    for part in parts:
        hurt_after(tmp_path, 3, lambda name=part: kill(name))
    hurt_after(tmp_path, 3, lambda: os.killpg(driver.pid, signal.SIGTERM))
    output, _ = driver.communicate(timeout=LONG)
    assert driver.returncode == 124, output
    assert all(f"Ray's {part} (process" in output for part in parts)
    assert view_of(tmp_path, "one").reason == "SIGTERM ended this driver"
    assert left_alive(tmp_path, "one") == []
    driver = started(tmp_path, "resume", "one")
    hurt_after(tmp_path, 2, lambda: sql(tmp_path, NO_MORE))
    output, _ = driver.communicate(timeout=LONG)
    assert driver.returncode == 2 and "Traceback" not in output, output
    assert "runs/raysearch.db' cannot be read or written: nothing is written now" in output
    sql(tmp_path, "DROP TRIGGER no_more")
    done = raysearch(tmp_path, "resume", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    found = view_of(tmp_path, "one").trials
    assert len(found) == trials
    for trial in found.values():
        assert [metrics for _, _, _, metrics in trial.reports] == walk(trial.params["x"], 20)
        assert trial.failures == [], "none of this is counted as a failure"
    checked = raysearch(tmp_path, "check", "one")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("part", "how"),
    [
        ("gcs_server", signal.SIGHUP),
        ("raylet", signal.SIGTERM),
        pytest.param("gcs_server", signal.SIGTERM, marks=pytest.mark.long),
        pytest.param("raylet", signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_a_driver_that_is_still_starting_ray_ends_in_order(
    tmp_path: Path, part: str, how: signal.Signals
) -> None:
    search = ["search", f"{SWEEPS}:wander", "--name", "one", "--trials", "2", *NOWHERE]
    driver = started(tmp_path, *search)
    wait_until(lambda: part_of_ray(driver.pid, part) is not None, LONG, f"for {part}")
    below = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, how)
    output, _ = driver.communicate(timeout=LONG)
    assert driver.returncode == 124, output
    assert f"{how.name} ended it while no trial ran" in output and "Traceback" not in output
    assert not (tmp_path / "runs/one").exists(), "its name is free"
    assert not [each for each in below if each.is_running() and each.status() != "zombie"]


def test_where_no_trial_fits_a_resume_is_refused_and_fewer_run_where_fewer_fit(
    tmp_path: Path,
) -> None:
    settings = Settings.locate(tmp_path / "runs")
    two = Machine(2, 0, 8 << 30)
    for name, sweep in (("wide", "wide"), ("one", "wander")):
        planned = plan(Request(f"{SWEEPS}:{sweep}", name=name, trials=2), settings, two)
        spec = replace(planned.spec, search=name, folder=str(settings.folder(name)), threads=2)
        store_of(tmp_path).create(name, spec)
    one = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *COMMAND]
    refused = raysearch(tmp_path, "resume", "wide", program=one)
    assert refused.returncode == 2
    assert (
        "search 'wide' cannot go on here: each of its trials needs 2 CPUs, and 1 CPUs and 0 GPUs "
        "exist for this process" in refused.stderr
    )
    assert view_of(tmp_path, "wide").last == 1, "nothing was written"
    done = raysearch(tmp_path, "resume", "one", *NOWHERE, program=one)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goes on with 1 trials at once, not 2" in done.stderr
    trials = view_of(tmp_path, "one").trials.values()
    assert [trial.facts["threads"] for trial in trials] == [2, 2], "as it began"
