"""Supervised training that writes down its data, and that may be killed in the middle of a save."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
from pathlib import Path
from typing import Any, ClassVar

from trainables.core.experiment import Batch
from trainables.core.loop import train
from trainables.ssl.experiment import SupervisedExperiment

KILLS = "KILLS_WHILE_SAVING"
"""Environment variable: the share of saves in which the driver and the trial are killed."""


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
        draw, replace = random.Random(str(session.folder)), os.replace

        def deadly_replace(source: Any, target: Any) -> None:
            if draw.random() < share:
                lock = json.loads((session.folder.parents[1] / "lock").read_text())
                os.kill(lock["pid"], signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = deadly_replace
        train(cls.create(config), session)
