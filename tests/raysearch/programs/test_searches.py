"""Searches over programs, from the command line to the answer, through kills."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.events.schema import CheckpointSaved, Reported
from raysearch.trial.child import kill_orphans
from tests.raysearch.command import (
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

pytestmark = [pytest.mark.search, pytest.mark.slow, pytest.mark.timeout(1800)]

TRAIN = """
import argparse, os, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--layers", type=int)
parser.add_argument("--pause", type=float, default=0)
parser.add_argument("--resume")
args = parser.parse_args()
start = int(open(args.resume).read()) if args.resume else 0
print("begins at", start)
for epoch in range(start + 1, 7):
    acc = 1 - abs(args.lr - 0.03) - 0.05 * args.layers + 0.01 * epoch
    time.sleep(args.pause)
    open("last.txt", "w").write(str(epoch))
    print(f"epoch {epoch} loss {1 - acc:.4f} acc {acc:.6f}")
    if epoch == 3 and not start and args.layers > 3:
        sys.exit(124)
"""
SPACE = """
lr: {low: 1e-3, high: 1e-1, log: true}
layers: [2, 4, 8]
"""
READ = r"epoch (?P<step>\d+) .* acc (?P<val_acc>[\d.]+)"
OPTIONS = (
    *("--space", "space.yaml", "--metric", "val/acc", "--maximize", "--read", READ),
    *("--resume", "--resume {checkpoint}", "--checkpoints", "last.txt", "--again-on", "124"),
)


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "space.yaml").write_text(SPACE)
    yield tmp_path
    end_all()
    kill_orphans(label(tmp_path, "one"), living=True)


def test_a_program_is_searched_over_pruned_started_again_and_run_again(project: Path) -> None:
    command = ("search", "--command", f"{sys.executable} train.py --lr {{lr}}", *OPTIONS)
    more = ("--trials", "9", "--pruner", "median:startup=2", "--name", "one", *NOWHERE)
    done = raysearch(project, *command, *more, "--concurrent", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    view = view_of(project, "one")
    states = [trial.state for trial in view.trials.values()]
    assert len(states) == 9 and set(states) == {"complete", "pruned"}
    for trial in view.trials.values():
        if trial.state == "complete":
            assert {step for step, *_ in trial.reports} == set(range(1, 7))
        again = trial.state == "complete" and trial.params["layers"] > 3
        assert [failure["kind"] for failure in trial.failures] == ["again"] * again
    best = view.best()
    assert best is not None
    log = project / f"runs/one/{best.number:04d}/attempt-1/log.txt"
    assert f"--lr {best.params['lr']!r} --layers={best.params['layers']}" in log.read_text()
    (project / "train.py").unlink()  # it is run again from the code that was kept
    again = raysearch(project, "repro", "one", str(best.number))
    assert again.returncode == 0, again.stdout + again.stderr
    assert left_alive(project, "one") == []


def test_a_killed_search_goes_on_from_the_programs_own_checkpoints(project: Path) -> None:
    command = ("search", "--command", f"{sys.executable} train.py --pause 0.7", *OPTIONS)
    more = ("--trials", "2", "--name", "one", "--concurrent", "1", *NOWHERE, "layers=2")
    search = started(project, *command, *more)
    database = project / "runs/raysearch.db"

    def has_checkpoint() -> bool:
        if not database.exists():
            return False
        events = store_of(project).events("one", kinds=[Reported, CheckpointSaved])
        return any(
            isinstance(each.body, CheckpointSaved) or each.body.plain()["checkpoint"]
            for each in events
        )

    wait_until(has_checkpoint)
    search.send_signal(signal.SIGKILL)
    search.wait()
    wait_until(lambda: left_alive(project, "one") == [])
    done = raysearch(project, "resume", "one", *NOWHERE)
    assert done.returncode == 0, done.stdout + done.stderr
    view = view_of(project, "one")
    assert [trial.state for trial in view.trials.values()] == ["complete"] * 2
    log = (project / "runs/one/0000/attempt-2/log.txt").read_text()
    assert "goes on from last.txt" in log and "begins at 0" not in log
    steps = [step for step, *_ in view.trials[0].reports]
    assert sorted(set(steps)) == list(range(1, 7))
