"""Supervised training that writes down its data, and that may be killed in the middle of a save."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from trainables.core.experiment import Batch
from trainables.core.loop import train
from trainables.core.session import LocalSession
from trainables.ssl.experiment import SupervisedExperiment

KILLS = "KILLS_WHILE_SAVING"
"""Environment variable: the share of saves in which the driver and the trial are killed; from 1 on
the number of the file of an attempt before whose appearance they are: 3 in the second save."""


class Careful(SupervisedExperiment):
    """As its parent; each batch leaves a line `step hash` in `data.txt` of the attempt."""

    record: ClassVar[Path]

    def batch(self, step: int) -> Batch:
        batch = super().batch(step)
        pixels = batch["images"].numpy().tobytes() + batch["labels"].numpy().tobytes()
        with self.record.open("a") as file:
            file.write(f"{step} {hashlib.sha256(pixels).hexdigest()}\n")
        return batch

    @classmethod
    def run(cls, config: Any, session: Any) -> None:
        cls.record = session.folder / "data.txt"
        share = float(os.environ.get(KILLS, "0"))
        draw, replace, saves = random.Random(str(session.folder)), os.replace, count(1)

        def deadly_replace(source: Any, target: Any) -> None:
            if next(saves) == share if share >= 1 else draw.random() < share:
                lock = json.loads((session.folder.parents[1] / "lock").read_text())
                os.kill(lock["pid"], signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = deadly_replace
        train(cls.create(config), session)


def undisturbed(config: Mapping[str, Any], folder: Path) -> LocalSession:
    """The same training here, in one go."""
    folder.mkdir(parents=True)
    session, Careful.record = LocalSession(folder), folder / "data.txt"
    train(Careful.create(config), session)
    return session


def scores_of(config: Mapping[str, Any], folder: Path, checkpoint: Path) -> dict[str, float]:
    """What a test of a checkpoint reports here."""
    session = LocalSession(folder, checkpoint)
    Careful.test(config, session)
    (metrics,) = session.reports.values()
    return metrics


def data_of(folder: Path) -> dict[int, set[str]]:
    """Which data each step saw, in any attempt below a folder."""
    seen: dict[int, set[str]] = {}
    for file in folder.rglob("data.txt"):
        for step, digest in lines_of(file):
            seen.setdefault(step, set()).add(digest)
    return seen


def lines_of(file: Path) -> list[tuple[int, str]]:
    """The steps of an attempt with what their data hash to; a kill may cut the last line."""
    if not file.exists():
        return []
    lines = (line.partition(" ") for line in file.read_text().splitlines())
    return [(int(step), digest) for step, _, digest in lines if len(digest) == 64]
