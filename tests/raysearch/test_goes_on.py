"""Time boxes, extension and retries through the command: what goes on, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

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
from tests.raysearch.searches.careful import KILLS, data_of, lines_of, scores_of, undisturbed
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
    return all(len(lines_of(file)) > 30 for file in files)


def steps_of(folder: Path, attempt: int) -> list[int]:
    """The steps that an attempt of the first trial has made or begun."""
    file = folder / f"runs/careful/0000/attempt-{attempt}/data.txt"
    return [step for step, _ in lines_of(file)]


def ended_in_order(folder: Path, driver: subprocess.Popen[str]) -> None:
    """A driver that a scheduler ends says how to go on, and leaves nothing half done."""
    os.kill(driver.pid, signal.SIGTERM)
    output, _ = driver.communicate(timeout=900)
    assert driver.returncode == 124, output
    assert "go on" in output and left_alive(folder, "careful") == []
    assert raysearch(folder, "check", "careful").returncode == 0


def equals_an_undisturbed_one(folder: Path, elsewhere: Path) -> None:
    """Reports, data, last checkpoint and test are those of the same trainings in one go here."""
    view, runs = view_of(folder, "careful"), folder / "runs/careful"
    threads = torch.get_num_threads()
    torch.set_num_threads(view.spec.threads)
    for number, trial in view.trials.items():
        here = elsewhere / str(number)
        expected = undisturbed(trial.config, here)
        assert {step: metrics for step, _, _, metrics in trial.reports} == expected.reports
        assert data_of(runs / f"{number:04d}") == data_of(here)
        last = expected.checkpoints[max(expected.checkpoints)]
        assert fingerprint(runs / str(trial.last_checkpoint)) == fingerprint(last)
        if trial.tested:
            best = runs / str(trial.best_checkpoint)
            assert trial.tested["metrics"] == scores_of(trial.config, here, best)
    torch.set_num_threads(threads)
    assert len(view.trials) == 2 and any(trial.tested for trial in view.trials.values())


@pytest.mark.kill
def test_killed_in_a_save_and_boxed_the_identical_command_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a scheduler does it: SIGTERM when it wants its machine back, then the same job again."""
    monkeypatch.delitem(ENVIRONMENT, PRELOAD)  # as a user's search: with all libraries ahead
    monkeypatch.setitem(ENVIRONMENT, "OMP_WAIT_POLICY", "PASSIVE")  # several threads a trial
    command = [*CAREFUL, *NOWHERE, "training.epochs=6", "--concurrent", "1", "--time-box", "2h"]
    with monkeypatch.context() as patch:
        patch.setitem(ENVIRONMENT, KILLS, "3")
        killed = raysearch(tmp_path, *command)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    driver = started(tmp_path, *command)
    wait_until(lambda: len(steps_of(tmp_path, 2)) > 30, what="for training")
    ended_in_order(tmp_path, driver)
    other = raysearch(tmp_path, *command, "training.seed=1")
    assert other.returncode == 2 and "another overrides" in other.stderr
    done = raysearch(tmp_path, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    found = view_of(tmp_path, "careful").trials
    assert [attempt["attempt"] for attempt in found[0].attempts] == [1, 2, 3]
    first, second, third = (steps_of(tmp_path, attempt) for attempt in (1, 2, 3))
    assert second[0] == first[-1] // 2 + 1, "from the save before that"
    assert third[0] == second[-1] + 1, "no step is lost where there is time to save"
    equals_an_undisturbed_one(tmp_path, tmp_path / "here")
    assert raysearch(tmp_path, "check", "careful").returncode == 0


@pytest.mark.long
def test_two_boxes_of_two_trials_at_once_end_with_124_and_go_on_bit_for_bit(
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
        ended_in_order(boxed, driver)
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


@pytest.mark.long
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
