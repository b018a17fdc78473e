"""A whole search whose events are on PostgreSQL: killed, gone on with, and driven by one only."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.events.log import Store
from raysearch.events.schema import Reported
from raysearch.results.view import SearchView
from raysearch.trial.child import kill_orphans
from tests.raysearch.command import end_all, label, raysearch, started, wait_until
from tests.raysearch.events.postgres import PASSWORD, Postgres

pytestmark = [pytest.mark.search, pytest.mark.kill, pytest.mark.slow, pytest.mark.timeout(1800)]
SWEEPS = "tests.raysearch.searches.sweeps"
KILLER = [sys.executable, "-m", "tests.raysearch.killing"]


@pytest.fixture(autouse=True)
def nothing_is_left_over(tmp_path: Path) -> Iterator[None]:
    yield
    end_all()
    for folder in (tmp_path, tmp_path / "here"):
        kill_orphans(label(folder, "one"), living=True)


def test_a_killed_search_goes_on_and_all_places_agree(tmp_path: Path, on_server: str) -> None:
    search = ["search", f"{SWEEPS}:chain", "--name", "one", "--store", on_server]
    killed = raysearch(tmp_path, "after", "told", "3", "--", *search, program=KILLER)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    status = raysearch(tmp_path, "status", "one", "--store", on_server)
    assert status.stdout.startswith("one: killed"), status.stdout + status.stderr
    done = raysearch(tmp_path, "resume", "one", "--store", on_server)
    assert done.returncode == 0, done.stdout + done.stderr
    view = SearchView.read(Store(on_server), "one")
    run = [trial for trial in view.trials.values() if trial.duplicate_of is None]
    assert len(run) == 12 and all(trial.ended is not None for trial in run)
    for trial in run:
        if trial.state == "complete":
            assert [step for step, _, _, _ in trial.reports] == [2, 4, 6, 8]
    checked = raysearch(tmp_path, "check", "one", "--store", on_server)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for said in (killed, status, done, checked):
        assert "hush" not in said.stdout + said.stderr
    for event in Store(on_server).events("one"):
        assert "hush" not in str(event.body) and PASSWORD not in str(event.body)


@pytest.mark.long
def test_a_second_driver_elsewhere_is_refused_and_a_cut_connection_ends_no_search(
    tmp_path: Path, on_server: str, postgres: Postgres
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    place = ["--store", on_server]
    driver = started(here, "search", f"{SWEEPS}:slow", "--name", "one", *place)
    store = Store(on_server)
    reported = [Reported]
    wait_until(lambda: list(store.events("one", kinds=reported)), what="for a report")
    refused = raysearch(elsewhere, "resume", "one", *place)
    assert refused.returncode == 2, refused.stdout
    words = " ".join(refused.stderr.split())
    assert f"is being driven by process {driver.pid} on {os.uname().nodename} since" in words
    assert postgres.cut(on_server) >= 2
    last = list(store.events("one"))[-1].seq
    wait_until(lambda: list(store.events("one", last, kinds=reported)), what="for another report")
    lock = store.lock("one", here)
    wait_until(lambda: lock.holder() is not None, what="for the lock to be taken again")
    stopped = raysearch(here, "stop", "one", *place)
    assert stopped.returncode == 0, stopped.stderr
    driver.communicate(timeout=900)
    assert SearchView.read(store, "one").state == "stopped"
    checked = raysearch(here, "check", "one", *place)
    assert checked.returncode == 0, checked.stdout + checked.stderr
