"""Lightning's callback in programs: two processes are heard once and go on, a search prunes one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from raysearch import Program
from raysearch.sweeps.program import PROGRAM
from raysearch.trial.child import Child, kill_orphans, start_server, stop_server
from raysearch.trial.job import Job, Message
from raysearch.trial.session import PRELOAD
from tests.raysearch.command import (
    NOWHERE,
    end_all,
    label,
    left_alive,
    raysearch,
    store_of,
    view_of,
)

pytest.importorskip("lightning.pytorch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = str(Path(__file__).parents[3])
OBJECTIVE = [{"name": "loss", "direction": "minimize", "reduce": "last"}]
TRAIN = """
import argparse, logging, warnings
warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import lightning.pytorch as pl
import torch
from raysearch.adapters.lightning import Reporting, checkpoint

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--devices", type=int, default=1)
args = parser.parse_args()
x = torch.arange(8.0).double() / 8
y = 3 * x


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(1).double())

    def training_step(self, batch, index):
        loss = (self.slope * batch[0] - batch[1]).square().mean()
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=args.lr)

    def train_dataloader(self):
        data = torch.utils.data.TensorDataset(x, y)
        return torch.utils.data.DataLoader(data, batch_size=8 // args.devices)


trainer = pl.Trainer(
    max_epochs=4, accelerator="cpu", devices=args.devices, callbacks=[Reporting()], logger=False,
    strategy="ddp" if args.devices > 1 else "auto", enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False,
)
trainer.fit(Line(), ckpt_path=checkpoint())
"""


def losses(rate: float, epochs: int) -> list[float]:
    """Gradient descent on the mean of (a x − 3 x)²: the error shrinks by 1 − 2 rate ⟨x²⟩ a step."""
    square = float((torch.arange(8.0).double() / 8).square().mean())
    return [9 * square * (1 - 2 * rate * square) ** (2 * epoch) for epoch in range(epochs)]


@pytest.fixture
def server() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv(PRELOAD, "")
    start_server("lightning-tests", 1, PROGRAM, [ROOT])
    yield
    stop_server()
    patch.undo()


def attempt(folder: Path, number: int, restored: str | None, stop_at: int | None) -> list[Message]:
    """The reports of an attempt at two processes, which is asked to stop at a step."""
    program = Program("python train.py --devices {workers}", folder=folder / "code")
    job = Job(
        "lightning-tests",
        str(folder / "search"),
        0,
        number,
        PROGRAM,
        program({}).to_json(),
        str(folder / f"search/0000/attempt-{number}"),
        objectives=OBJECTIVE,
        paths=[ROOT],
        own_workers=2,
        restored=restored,
    )
    child, reports = Child(job), list[Message]()
    while (message := child.next(1.0)) is None or message["kind"] != "end":
        if message is not None and message["kind"] == "report":
            child.answer(stop=message["step"] == stop_at)
            reports.append(message)
    assert message["outcome"] in ("complete", "paused"), (message, job.log.read_text())
    return reports


@pytest.mark.long
def test_two_processes_report_once_and_go_on_where_they_stopped(
    server: None, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/train.py").write_text(TRAIN)
    first = attempt(tmp_path, 1, None, stop_at=2)
    second = attempt(tmp_path, 2, first[-1]["checkpoint"], stop_at=None)
    assert [one["step"] for one in first] == [1, 2] and [one["step"] for one in second] == [3, 4]
    found = [one["metrics"]["loss"] for one in (*first, *second)]
    assert found == pytest.approx(losses(0.1, 4), rel=1e-12)


@pytest.mark.search
def test_a_search_prunes_by_what_the_callback_reports(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "space.yaml").write_text("lr: [0.5, 0.001]\n")
    command = ("search", "--command", f"{sys.executable} train.py --lr {{lr}}")
    what = ("--space", "space.yaml", "--metric", "loss", "--minimize", "--sampler", "grid")
    how = ("--pruner", "median:startup=1", "--concurrent", "1", "--name", "one", *NOWHERE)
    try:
        done = raysearch(tmp_path, *command, *what, *how)
        assert done.returncode == 0, done.stdout + done.stderr
        view = view_of(tmp_path, "one")
        good, bad = view.trials[0], view.trials[1]
        assert (good.state, good.params["lr"], bad.state) == ("complete", 0.5, "pruned")
        steps = {step for step, *_ in bad.reports}
        assert steps and max(steps) < 4 and {step for step, *_ in good.reports} == {1, 2, 3, 4}
        reported = [event.body.plain() for event in store_of(tmp_path).events("one", trial=1)]
        kept = [one["checkpoint"] for one in reported if one.get("checkpoint")]
        assert len(kept) == len(steps)  # what a pruned trial has saved is deleted with its end
        assert left_alive(tmp_path, "one") == []
    finally:
        end_all()
        kill_orphans(label(tmp_path, "one"), living=True)
