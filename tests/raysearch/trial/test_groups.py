"""A search whose trial has two workers, paused and killed on the way: no bit differs at the end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.cluster.nodes import environment_of
from tests.raysearch.command import (
    ENVIRONMENT,
    NOWHERE,
    end_all,
    raysearch,
    started,
    view_of,
    wait_until,
)
from tests.raysearch.searches.grouped_sweep import STEPS
from tests.trainables import groups
from trainables.core.checkpoint import fingerprint

pytestmark = [
    pytest.mark.search,
    pytest.mark.kill,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]
MARK = "RAYSEARCH_TEST_GROUP"
"""The environment variable with the folder of a search, in all that it starts."""
COMMAND = ["search", "tests.raysearch.searches.grouped_sweep:grouped", "--name", "one"]
COMMAND += [*NOWHERE, "--time-box", "1h"]


@pytest.fixture(autouse=True)
def nothing_is_left_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(ENVIRONMENT, MARK, str(tmp_path))
    yield
    end_all()
    wait_until(lambda: not workers(tmp_path), what="for the end of all workers")


def workers(folder: Path) -> set[int]:
    """Processes of Ray Train's workers that a search in this folder has started, by their mark:
    it is there also when all that started them is gone.
    """
    found = psutil.process_iter(["pid", "cmdline"])
    known = [one.pid for one in found if "RayTrainWorker" in " ".join(one.info["cmdline"] or [])]
    return {pid for pid in known if environment_of(pid).get(MARK) == str(folder)}


def steps(folder: Path) -> list[int]:
    """The steps on record, of all attempts."""
    return [said[0] for trial in view_of(folder, "one").trials.values() for said in trial.reports]


def interrupted(
    folder: Path, signum: signal.Signals, behind: int, process: subprocess.Popen[str] | None = None
) -> int:
    """Runs the command until it has reported some steps more; its exit status."""
    process = process or started(folder, *COMMAND)
    wait_until(lambda: process.poll() is not None or has_begun(folder, behind))
    process.send_signal(signum)
    process.communicate(timeout=900)
    return process.returncode


def has_begun(folder: Path, behind: int) -> bool:
    database = folder / "runs" / "raysearch.db"
    return database.exists() and len(steps(folder)) > behind + 1


def kill_the_hosts(driver: int) -> None:
    """Those of Ray Tune's actors that hold a trial."""
    for one in psutil.Process(driver).children(recursive=True):
        with suppress(psutil.Error):  # some have just ended
            if " ".join(one.cmdline()).startswith(("ray::Host", "ray::ResourceTrainable")):
                one.kill()


def with_a_lost_host(folder: Path) -> subprocess.Popen[str]:
    """A search whose host was killed: it takes its workers along and holds no resources."""
    process = started(folder, *COMMAND)
    wait_until(lambda: has_begun(folder, 0))
    first = workers(folder)
    assert len(first) == 2
    kill_the_hosts(process.pid)
    wait_until(lambda: not first & workers(folder), what="for the end of the workers")
    return process


def test_hurt_paused_killed_and_resumed_it_equals_an_uninterrupted_group(tmp_path: Path) -> None:
    process = with_a_lost_host(tmp_path)
    assert interrupted(tmp_path, signal.SIGTERM, len(steps(tmp_path)), process) == 124
    [lost] = view_of(tmp_path, "one").trials[0].failures
    assert lost["kind"] == "host_lost"
    assert interrupted(tmp_path, signal.SIGKILL, len(steps(tmp_path))) == -signal.SIGKILL
    before = len(steps(tmp_path))
    done = raysearch(tmp_path, *COMMAND)
    assert done.returncode == 0, done.stdout + done.stderr
    trial = view_of(tmp_path, "one").trials[0]
    assert trial.state == "complete" and before < len(trial.reports) == STEPS // 20
    work = partial(groups.run, "precise", trial.config, None, 0)
    whole = groups.together(2, tmp_path / "whole", work)[0]
    saved = tmp_path / "runs" / "one" / str(trial.last_checkpoint)
    assert fingerprint(saved) == fingerprint(whole["checkpoints"][STEPS])
