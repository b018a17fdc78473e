"""Time boxes, extension and retries through the command: what goes on, and what is refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.trial.child import kill_orphans
from raysearch.trial.session import PRELOAD
from tests.raysearch.command import (
    ENVIRONMENT,
    NOWHERE,
    end_all,
    label,
    left_alive,
    raysearch,
    started,
    view_of,
    wait_until,
)
from trainables.core.checkpoint import fingerprint

pytestmark = [pytest.mark.search, pytest.mark.slow, pytest.mark.timeout(1800)]
SWEEPS = "tests.raysearch.searches.sweeps"
CAREFUL = ["search", "tests.raysearch.searches.careful_sweep:careful", "--name", "careful"]


@pytest.fixture(autouse=True)
def nothing_is_left_over(tmp_path: Path) -> Iterator[None]:
    yield
    end_all()
    for folder in (tmp_path, tmp_path / "whole", tmp_path / "boxed"):
        for search in ("one", "careful"):
            kill_orphans(label(folder, search), living=True)


def at_work(folder: Path, attempt: int) -> bool:
    """Whether both trials have made 30 steps in this attempt."""
    files = [folder / f"runs/careful/{n:04d}/attempt-{attempt}/data.txt" for n in (0, 1)]
    return all(file.exists() and len(file.read_text().splitlines()) > 30 for file in files)


def test_boxes_end_with_124_and_the_identical_command_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a scheduler does it: SIGTERM when it wants its machine back, then the same job again.

    Nothing is due before the end of a trial, so nothing is saved unless it is asked for.
    """
    monkeypatch.delitem(ENVIRONMENT, PRELOAD)  # as a user's search: with all libraries ahead
    whole, boxed = tmp_path / "whole", tmp_path / "boxed"
    whole.mkdir()
    boxed.mkdir()
    command = [*CAREFUL, *NOWHERE, "training.epochs=16"]
    command += [f"training.{cadence}_every=100000" for cadence in ("log", "evaluate", "save")]
    assert raysearch(whole, *command, limit=600).returncode == 0
    for attempt in (1, 2):
        driver = started(boxed, *command, "--time-box", "2h")
        wait_until(lambda n=attempt: at_work(boxed, n), what="for training")
        os.kill(driver.pid, signal.SIGTERM)
        output, _ = driver.communicate(timeout=900)
        assert driver.returncode == 124, output
        assert "go on" in output and left_alive(boxed, "careful") == []
        assert raysearch(boxed, "check", "careful").returncode == 0
    other = raysearch(boxed, *command, "training.seed=1", "--time-box", "2h")
    assert other.returncode == 2 and "another overrides" in other.stderr
    done = raysearch(boxed, *command, "--time-box", "2h", limit=600)
    assert done.returncode == 0, done.stdout + done.stderr
    expected, found = view_of(whole, "careful"), view_of(boxed, "careful")
    for number, trial in expected.trials.items():
        end = found.trials[number]
        assert [attempt["attempt"] for attempt in end.attempts] == [1, 2, 3]
        assert end.reports == trial.reports and end.values == trial.values
        ends = [whole / f"runs/careful/{trial.last_checkpoint}"]
        ends += [boxed / f"runs/careful/{end.last_checkpoint}"]
        assert fingerprint(ends[0]) == fingerprint(ends[1])
    assert raysearch(boxed, "check", "careful").returncode == 0


def test_a_finished_search_is_extended_and_its_failures_run_again(tmp_path: Path) -> None:
    search = ["search", f"{SWEEPS}:chain", "--name", "one", "--trials", "4", "--sampler", "random"]
    assert raysearch(tmp_path, *search).returncode == 0
    before = view_of(tmp_path, "one")
    refused = raysearch(tmp_path, "extend", "one")
    assert refused.returncode == 2 and "--trials or --time must be given" in refused.stderr
    done = raysearch(tmp_path, "extend", "one", "--trials", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    after = view_of(tmp_path, "one")
    assert [len(view.trials) for view in (before, after)] == [4, 7]
    for number, trial in before.trials.items():
        assert after.trials[number].reports == trial.reports
        assert len(after.trials[number].attempts) == 1
    refused = raysearch(tmp_path, "retry", "one")
    assert refused.returncode == 2 and "no failed trial" in refused.stderr
    assert raysearch(tmp_path, "check", "one").returncode == 0
