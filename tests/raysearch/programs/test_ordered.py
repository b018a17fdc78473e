"""What loggers of a program write is reported in order, whatever their clocks."""

from __future__ import annotations

from pathlib import Path

from raysearch.programs.ordered import OrderedReports
from tests.raysearch.programs.test_reports import Heard


def ordered(folder: Path, *objectives: str) -> Heard:
    heard = Heard(folder, *objectives)
    heard.reports = OrderedReports(heard.session, heard.notes.append)
    return heard


def test_an_accuracy_of_epochs_is_heard_beside_a_loss_of_iterations(tmp_path: Path) -> None:
    heard = ordered(tmp_path, "val/acc")
    for epoch in (1, 2):
        for iteration in range(epoch * 100 - 99, epoch * 100 + 1):
            heard.take(iteration, "tensorboard", loss=float(iteration))
        heard.take(epoch, "tensorboard", val_acc=epoch / 10)
    heard.reports.close()
    assert [(step, said["val/acc"], said["loss"]) for step, said in heard.said] == [
        (1, 0.1, 100.0),
        (2, 0.2, 200.0),
    ]


def test_two_loggers_of_one_metric_are_one(tmp_path: Path) -> None:
    heard = ordered(tmp_path, "acc")
    for step in (1, 2):
        for source in ("wandb", "csv"):
            heard.take(step, source, acc=step / 10, epoch=float(step))
    heard.reports.close()
    assert [(step, said["acc"]) for step, said in heard.said] == [(1, 0.1), (2, 0.2)]


def test_steps_that_go_back_are_said(tmp_path: Path) -> None:
    heard = ordered(tmp_path, "acc")
    for step in (5, 4, 3):
        heard.take(step, "wandb", acc=step / 10)
    heard.reports.close()
    assert [step for step, _ in heard.said] == [5]
    assert "metric 'acc': 2 values are left out, as the steps did not go forward" in heard.notes


def test_a_checkpoint_is_kept_with_a_metric_that_waits(tmp_path: Path) -> None:
    heard = ordered(tmp_path, "acc")
    heard.take(3, "wandb", acc=0.5)
    (tmp_path / "model.pt").write_text("x")
    heard.reports.take(4, {"loss": 0.1}, tmp_path / "model.pt", "wandb")
    assert (tmp_path / "reported" / "00000003" / "model.pt").exists()
