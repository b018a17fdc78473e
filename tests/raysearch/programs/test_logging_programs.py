"""Programs that log, and know nothing of a search, are heard without a changed line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.sweeps.program import PROGRAM
from raysearch.trial.child import start_server, stop_server
from raysearch.trial.session import PRELOAD
from tests.raysearch.programs.test_running import ROOT, job_of, reports, run

pytestmark = pytest.mark.slow

WANDB = """
import sys, wandb
run = wandb.init(project="mine", config={"lr": 1.0})
assert run.config.lr == 0.25, run.config
for epoch in range(1, 4):
    for step in range(10):
        wandb.log({"loss": 1 / epoch}, commit=False)
    wandb.log({"val/acc": epoch / 10})
"""

EVENTS = """
import os, struct, sys, time
sys.path.append(os.environ["SITE"])
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

os.makedirs("out/run", exist_ok=True)
with open("out/run/events.out.tfevents.1.here.2.0", "wb") as file:
    writer = RecordWriter(file)
    def scalar(tag, value, step):
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.write(Event(wall_time=time.time(), step=step, summary=summary).SerializeToString())
        file.flush()
    for epoch in (1, 2, 3):
        for step in range(epoch * 50 - 50, epoch * 50):
            scalar("loss", step, step)
        scalar("val/acc", epoch / 4, epoch)
        with open("metrics.csv", "a") as table:
            table.write(("step,val/acc\\n" if epoch == 1 else "") + f"{epoch},{epoch / 4}\\n")
        time.sleep(0.7)
"""


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv(PRELOAD, "")
    start_server("program-tests", 1, PROGRAM, [ROOT])
    yield
    stop_server()
    patch.undo()


def test_a_program_with_wandb_is_heard_where_no_wandb_is(tmp_path: Path) -> None:
    made = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    python = str(made / "bin/python")
    messages = run(job_of(tmp_path, WANDB, python=python, values={"lr": 0.25}))
    assert reports(messages) == [(0, 0.1), (1, 0.2), (2, 0.3)], messages
    losses = [one["metrics"]["loss"] for one in messages if one["kind"] == "report"]
    assert losses == [1.0, 0.5, 1 / 3]


@pytest.mark.parametrize("keep", [None, "out"])
def test_event_files_and_tables_are_heard_while_they_are_written(
    keep: str | None, tmp_path: Path
) -> None:
    import tensorboard

    site = {"SITE": str(Path(tensorboard.__file__).parents[1]), "HOME": os.environ["HOME"]}
    messages = run(job_of(tmp_path, EVENTS, keep=keep, environment=site))
    assert reports(messages) == [(1, 0.25), (2, 0.5), (3, 0.75)], messages
    losses = [one["metrics"]["loss"] for one in messages if one["kind"] == "report"]
    assert losses == [49.0, 99.0, 149.0]


def test_a_later_attempt_that_has_nothing_left_to_say_ends_well(tmp_path: Path) -> None:
    first, second = (
        run(job_of(tmp_path / str(number), "print('nothing')", number, job={"reported": before}))
        for number, before in ((1, []), (2, ["val/acc"]))
    )
    assert first[-1]["outcome"] == "unreported" and "nothing was heard" in first[-1]["message"]
    assert second[-1]["outcome"] == "complete", second
