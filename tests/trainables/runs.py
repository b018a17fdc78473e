"""Small runs with everything on, and sessions that end them at chosen moments."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import torch

from trainables.core.session import LocalSession
from trainables.core.training import Training
from trainables.ssl.config import Augmentation, Model, Supervised
from trainables.ssl.experiment import SupervisedExperiment

EVERYTHING = Supervised(
    augmentation=Augmentation(shift=1, smallest_crop=0.7, mixup=0.4, cutmix=0.4),
    model=Model(
        patch_size=4, width=8, mlp_ratio=1.0, dropout=0.2, attention_dropout=0.1, drop_path=0.2
    ),
    label_smoothing=0.1,
    training=Training(
        steps=7, batch_size=16, num_micro_batches=2, log_every=1, evaluate_every=3, save_every=2
    ),
)
"""Seven steps with dropout, drop path, augmentation, MixUp, CutMix and two micro-batches."""


class Killed(BaseException):
    """The end of a process, as far as a test in one process can play it."""


class Ending(LocalSession):
    """Ends the run in the report of a step: before it is on record, or before it is answered."""

    def __init__(self, folder: Path, step: int, *, recorded: bool) -> None:
        super().__init__(folder)
        self._step, self._recorded = step, recorded

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        if step != self._step or self._recorded:
            super().report(step, metrics, checkpoint, costs=costs)
        if step == self._step:
            raise Killed


class Asked(LocalSession):
    """Is told to stop when it asks for the nth time: it asks once after each step."""

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__(folder)
        self._left = step

    def should_stop(self) -> bool:
        self._left -= 1
        return self._left <= 0


def run(config: Supervised, folder: Path, restored: Path | None = None) -> LocalSession:
    """A whole run, or what is left of it."""
    session = LocalSession(folder, restored)
    SupervisedExperiment.run(config.to_json(), session)
    return session


def last(session: LocalSession) -> Path | None:
    """The newest checkpoint on record."""
    return session.checkpoints[max(session.checkpoints)] if session.checkpoints else None


class FileSession(LocalSession):
    """Keeps its record in a file, line by line, as another process can read it after a kill."""

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        line = json.dumps([step, dict(metrics), str(checkpoint) if checkpoint else None])
        with open(self.folder / "reports.jsonl", "a") as file:
            file.write(line + "\n")


def read_reports(folder: Path) -> list[tuple[int, dict[str, float], str | None]]:
    """The reports on record; the line in which the process was killed is none."""
    path = folder / "reports.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(step, metrics, saved) for step, metrics, saved in map(json.loads, lines)]


def run_in_process(data: dict, folder: Path, restored: Path | None, fatal_save: int) -> None:
    """The main function of a process that is killed, if not from outside in its nth save."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True)
    replace, saves = os.replace, iter(range(1, 1_000_000))

    def fatal(source: Path, target: Path) -> None:
        if str(target).endswith(".pt") and next(saves) == fatal_save:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = fatal
    SupervisedExperiment.run(data, FileSession(folder, restored))
