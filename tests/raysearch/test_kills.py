"""Kills at named and at random moments: nothing is lost, nothing doubled, no bit differs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.trial.child import _label, kill_orphans
from raysearch.trial.process_tree import alive
from tests.raysearch.command import (
    COMMAND,
    ENVIRONMENT,
    NOWHERE,
    label,
    left_alive,
    raysearch,
    store_of,
    view_of,
    wait_until,
)
from tests.raysearch.searches.careful import KILLS, data_of
from tests.raysearch.searches.chain import advance
from trainables.core.checkpoint import fingerprint

pytestmark = [pytest.mark.search, pytest.mark.kill, pytest.mark.slow, pytest.mark.timeout(1800)]
SWEEPS = "tests.raysearch.searches.sweeps"
CAREFUL = "tests.raysearch.searches.careful_sweep:careful"
HIDING = "tests.raysearch.searches.hiding:hiding"
KILLER = [sys.executable, "-m", "tests.raysearch.killing"]

MOMENTS = [
    ("before", "asked", 3),
    ("before", "decision", 1),
    ("after", "told", 3),
    ("before", "told", 2),
    ("in", "report", 5),
    ("after", "asked", 4),
    ("in", "asked", 5),
    ("in", "told", 1),
    ("before", "started", 2),
    ("after", "started", 3),
    ("after", "report", 7),
    ("after", "decision", 1),
    ("before", "finished", 1),
    ("before", "created", 1),
    ("after", "tested", 1),
]


@pytest.fixture(autouse=True)
def nothing_is_left_over(tmp_path: Path) -> Iterator[None]:
    yield
    for folder in (tmp_path, tmp_path / "whole", tmp_path / "killed"):
        for search in ("one", "careful"):
            kill_orphans(label(folder, search), living=True)


def hash_chain(steps: int) -> dict[int, float]:
    """What `val/link` must be at each step."""
    chain, links = "start", dict[int, float]()
    for step in range(1, steps + 1):
        chain = advance(chain, step)
        links[step] = float(int(chain[:6], 16))
    return links


SEARCH = ["search", f"{SWEEPS}:chain", "--name", "one"]


def kill_at(folder: Path, moment: str, kind: str, count: int, arguments: list[str]) -> None:
    """Runs the command, which is killed at a moment."""
    killed = raysearch(folder, moment, kind, str(count), "--", *arguments, program=KILLER)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr


def goes_on_to_its_end(folder: Path, arguments: list[str]) -> None:
    """Goes on with a search of 12 trials; none of their steps is lost, doubled or different."""
    done = raysearch(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    view = view_of(folder, "one")
    run = [trial for trial in view.trials.values() if trial.duplicate_of is None]
    assert len(run) == 12
    links = hash_chain(8)
    for trial in run:
        assert trial.ended is not None
        reported = {step: metrics["val/link"] for step, _, _, metrics in trial.reports}
        assert reported == {step: links[step] for step in reported}
        if trial.state == "complete":
            assert sorted(reported) == [2, 4, 6, 8]
    wait_until(lambda: left_alive(folder, "one") == [], what="for processes to end")
    checked = raysearch(folder, "check", "one")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_driver_killed_before_a_question_and_before_a_decision_loses_nothing(
    tmp_path: Path,
) -> None:
    kill_at(tmp_path, "before", "asked", 3, [*SEARCH, "--concurrent", "1", *NOWHERE])
    kill_at(tmp_path, "before", "decision", 1, ["resume", "one"])
    goes_on_to_its_end(tmp_path, ["resume", "one"])


@pytest.mark.long
@pytest.mark.parametrize(("moment", "kind", "count"), MOMENTS)
def test_a_driver_killed_at_any_moment_loses_nothing(
    tmp_path: Path, moment: str, kind: str, count: int
) -> None:
    kill_at(tmp_path, moment, kind, count, SEARCH)
    begun = store_of(tmp_path).exists("one")
    goes_on_to_its_end(tmp_path, ["resume", "one"] if begun else SEARCH)


def drive(folder: Path, *arguments: str, kills: float = 0.0) -> subprocess.Popen[bytes]:
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env={**ENVIRONMENT, KILLS: str(kills)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def killed_after(driver: subprocess.Popen[bytes], seconds: float) -> int:
    """Kills a driver unless it ends before; returns its exit status."""
    try:
        return driver.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(driver.pid, signal.SIGKILL)
        return driver.wait()


def trains(folder: Path) -> bool:
    """Whether an attempt has seen data within the last second."""
    files = (folder / "runs/careful").glob("*/attempt-*/data.txt")
    return any(time.time() - file.stat().st_mtime < 1 for file in files)


def killed_at_random_equals_unkilled(folder: Path, kills: int, epochs: int, seed: int) -> None:
    whole, killed = folder / "whole", folder / "killed"
    whole.mkdir()
    killed.mkdir()
    search = ["search", CAREFUL, f"training.epochs={epochs}", "--name", "careful"]
    done = raysearch(whole, *search, *NOWHERE, limit=900)
    assert done.returncode == 0, done.stderr
    draw = random.Random(seed)
    count = deaths = 0
    while count < 4 * kills:
        known = (killed / "runs/raysearch.db").exists() and store_of(killed).exists("careful")
        saving = 0.3 if draw.random() < 0.4 else 0.0
        last = deaths >= kills
        arguments = ["resume", "careful"] if known else search
        driver = drive(killed, *arguments, kills=0.0 if last else saving)
        if last:
            status = driver.wait(900)
        else:
            early = draw.random() < 0.2  # while it starts, otherwise while it trains
            if not early:
                wait_until(lambda d=driver: d.poll() is not None or trains(killed))
            status = killed_after(driver, draw.uniform(0, 3))
        count += 1
        deaths += status == -signal.SIGKILL
        time.sleep(draw.uniform(0, 0.5))
        if status == 0:
            break
    assert deaths >= kills, (killed / "output.txt").read_text()[-3000:]
    expected, found = view_of(whole, "careful"), view_of(killed, "careful")
    for number, trial in expected.trials.items():
        other, place = found.trials[number], f"runs/careful/{number:04d}"
        assert other.reports == trial.reports
        for path, same in ((trial.last_checkpoint, other.last_checkpoint),):
            assert fingerprint(whole / "runs/careful" / str(path)) == fingerprint(
                killed / "runs/careful" / str(same)
            )
        assert data_of(killed / place) == data_of(whole / place)
        assert other.best_checkpoint is not None
        assert other.tested == {**trial.tested} or not trial.tested
    checked = raysearch(killed, "check", "careful")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    print(f"{deaths} kills, {sum(len(t.attempts) for t in found.trials.values())} attempts")


def hidden(folder: Path) -> list[int]:
    """The processes that trials have started and that hide, as they have said themselves."""
    files = (folder / "runs/one").glob("*/attempt-*/*.pid")
    return [int(text) for file in files if (text := file.read_text().strip())]


def test_nothing_outlives_a_killed_driver_even_if_a_host_is_stopped(tmp_path: Path) -> None:
    """No session, parent or environment of its own saves a process; nor does a stopped host."""
    (tmp_path / "hold").touch()
    driver = drive(tmp_path, "search", HIDING, "--name", "one", *NOWHERE)
    wait_until(lambda: len(hidden(tmp_path)) >= 6, 240, "for processes that hide")
    marks = {_label(pid) for pid in hidden(tmp_path)} - {""}
    os.kill(int(next(iter(marks)).rpartition("@")[2]), signal.SIGSTOP)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not any(map(alive, hidden(tmp_path))), 120, "for their end")
    wait_until(lambda: left_alive(tmp_path, "one") == [], 120, "for the end of all others")
    (tmp_path / "hold").unlink()
    done = raysearch(tmp_path, "resume", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(hidden(tmp_path)) >= 6 * 4 and not any(map(alive, hidden(tmp_path)))
    assert raysearch(tmp_path, "check", "one").returncode == 0


@pytest.mark.long
def test_a_search_killed_at_random_equals_an_unkilled_one(tmp_path: Path) -> None:
    killed_at_random_equals_unkilled(tmp_path, kills=3, epochs=12, seed=0)


@pytest.mark.long
def test_a_search_killed_twenty_times_equals_an_unkilled_one(tmp_path: Path) -> None:
    killed_at_random_equals_unkilled(tmp_path, kills=20, epochs=60, seed=1)
