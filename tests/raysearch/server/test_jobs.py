"""Searches that are submitted to a real head: they run as they were sent, and go on when killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from raysearch.events.log import Store
from raysearch.events.reading import FORMS
from raysearch.results.view import SearchView
from tests.raysearch.command import wait_until
from tests.raysearch.server.head import OWN, TOKEN, Head

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    head = Head()
    yield head
    head.close()


@pytest.fixture(scope="module")
def slow_search(head: Head) -> str:
    """A search whose only trial has begun; it waits for a file `go` beside it at its fifth step."""
    name = head.raysearch("submit", "own:valley", "pause=1.0", "x=0.5", "--trials=1").stdout.strip()
    wait_until(lambda: events(head, name, "report"))
    return name


def searches(head: Head) -> list[str]:
    return Store(head.store).searches()


def view(head: Head, name: str) -> SearchView:
    return SearchView.read(Store(head.store), name)


def events(head: Head, name: str, kind: str) -> list[Any]:
    return list(Store(head.store).events(name, kinds=[FORMS[kind].made]))


def finished(head: Head, name: str) -> bool:
    return Store(head.store).exists(name) and view(head, name).state == "finished"


def drivers(head: Head, name: str) -> list[psutil.Process]:
    return [one for one in head.left() if f"raysearch.server.driver_process {name} " in line(one)]


def line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_the_edited_code_of_the_working_tree_is_what_runs(head: Head) -> None:
    (head.work / "own.py").write_text(OWN.replace("BIAS = 0.0", "BIAS = 100.0"))
    name = head.raysearch("submit", "own:valley", "x=1.0", "--trials=1").stdout.strip()
    assert name == "valley-1"
    wait_until(lambda: finished(head, name))
    assert view(head, name).trials[0].values == [100.0]
    assert "agree" in head.raysearch("check", name).stdout  # that needs the code, too


def test_two_submissions_at_once_have_two_names_and_each_can_be_stopped(head: Head) -> None:
    with ThreadPoolExecutor(2) as pool:
        typed = ["submit", "own:valley", "pause=60.0", "--concurrent=1", "--json"]
        done = list(pool.map(lambda _: head.raysearch(*typed), range(2)))
        names = {json.loads(each.stdout)["name"] for each in done}
        stopped = list(pool.map(lambda name: head.raysearch("stop", name).stdout, names))
    assert len(names) == 2
    assert all("asked the driver" in said or "not started again" in said for said in stopped)
    wait_until(lambda: not any(drivers(head, name) for name in names))
    assert not {view(head, name).state for name in names if name in searches(head)} - {
        "stopped",
        "interrupted",
    }


def test_a_driver_that_ends_at_once_is_said_by_status_with_its_last_lines(head: Head) -> None:
    broken = "import os\nif '.code' in os.getcwd():\n    import lacking\n" + OWN
    (head.work / "own.py").write_text(broken)
    name = head.raysearch("submit", "own:valley", "--name=broken").stdout.strip()
    (head.work / "own.py").write_text(OWN)
    wait_until(lambda: head.asked(f"holder/{name}")["state"] != "submitted")
    said = head.raysearch("status", name).stdout
    assert "broken: failed (its driver ended before the search began" in said
    assert "No module named 'lacking'" in said
    assert "broken: failed" in head.raysearch("list").stdout


def test_bad_input_is_found_before_anything_is_sent(head: Head) -> None:
    for typed, why in (
        (["own:vally"], "did you mean 'valley'"),
        (["own:valley", "pausee=1"], "did you mean 'pause'"),
        (["own:valley", "--concurrent=9"], "--concurrent must be between 1 and 2"),
        (["own:valley", "--known=/etc/passwd"], "--known must be a file of the working tree"),
    ):
        before = sorted((head.runs / ".code").iterdir())
        done = head.raysearch("submit", *typed, check=False)
        assert done.returncode == 2 and done.stderr.startswith("error: ") and why in done.stderr
        assert sorted((head.runs / ".code").iterdir()) == before


def test_logs_are_followed_until_ctrl_c_which_leaves_nothing_on_the_head(
    head: Head, slow_search: str
) -> None:
    follower = subprocess.Popen(
        [sys.executable, "-m", "raysearch.cli", "logs", slow_search, "0", "-f"],
        cwd=head.work,
        env={**head.environment, "RAYSEARCH_ADDRESS": head.address},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    heard = [follower.stdout.readline() for _ in range(3)]
    assert heard[0].startswith("== attempt-1") and heard[1:] == ["step 1\n", "step 2\n"]
    follower.send_signal(signal.SIGINT)
    assert follower.wait(900) == 130
    follower.stdout.close()
    wait_until(lambda: not [p for p in head.left() if f"logs --runs {head.runs}" in line(p)])


def test_a_driver_that_is_killed_is_started_again_and_nothing_runs_twice(
    head: Head, slow_search: str
) -> None:
    for process in drivers(head, slow_search):
        process.kill()
    wait_until(lambda: events(head, slow_search, "resumed"))
    assert "started again (1)" in head.raysearch("status", slow_search).stdout
    (head.runs / "go").touch()
    wait_until(lambda: finished(head, slow_search))
    steps = [event.body.plain()["step"] for event in events(head, slow_search, "report")]
    assert len(steps) == len(set(steps)) == 10


def test_no_secret_is_in_any_command_job_or_log(head: Head) -> None:
    for process in head.left():
        assert TOKEN not in line(process) and "hush" not in line(process)
    for path in [*head.folder.glob("*.log"), *(head.folder / "r").rglob("job-driver-*.log")]:
        assert TOKEN not in path.read_text() and "hush" not in path.read_text()
    for path in head.runs.glob("**/*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes()


@pytest.mark.long
def test_a_search_goes_on_after_the_whole_head_was_killed_and_started_again(head: Head) -> None:
    name = head.raysearch("submit", "own:valley", "pause=0.3", "x=0.6", "--trials=1").stdout.strip()
    wait_until(lambda: events(head, name, "report"))
    head.kill_ray()
    head.start_ray()
    wait_until(lambda: events(head, name, "resumed"))
    wait_until(lambda: finished(head, name))
    assert len(events(head, name, "report")) == 10


def test_nothing_is_left_of_drivers(head: Head) -> None:
    wait_until(lambda: not [p for p in head.left() if "raysearch.server.driver_process" in line(p)])
    assert not os.environ.get("RAYSEARCH_ADDRESS") and Path(head.work / "runs").exists() is False
