"""Training that writes down, with the time, each batch and each save: who wrote what, and when."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

from tests.cluster.nodes import NODE
from trainables.core.experiment import Batch
from trainables.core.loop import train
from trainables.ssl.experiment import SupervisedExperiment

LOG = "written.jsonl"
STEP = 0.06
"""Seconds that a step takes at least: so that a trial lives long enough to be killed."""
RENAME = 0.15
"""Seconds between the whole temporary file of a checkpoint and its rename."""


class Writing(SupervisedExperiment):
    """As its parent; its saves are slow, and all that it writes leaves a line in its folder."""

    folder: ClassVar[Path]

    def batch(self, step: int) -> Batch:
        time.sleep(STEP)
        batch = super().batch(step)
        pixels = batch["images"].numpy().tobytes() + batch["labels"].numpy().tobytes()
        write(self.folder, "batch", step, hashlib.sha256(pixels).hexdigest())
        return batch

    @classmethod
    def run(cls, config: Any, session: Any) -> None:
        cls.folder, replace = session.folder, os.replace

        def slow_replace(source: Any, target: Any) -> None:
            name = Path(target).name
            write(cls.folder, "saving", 0, name)
            time.sleep(RENAME)
            replace(source, target)
            write(cls.folder, "saved", 0, name)

        os.replace = slow_replace
        train(cls.create(config), session)


def write(folder: Path, what: str, step: int, text: str) -> None:
    """Appends one line; a kill may cut it."""
    line = {"time": time.time(), "what": what, "step": step, "text": text}
    line |= {"pid": os.getpid(), "node": os.environ.get(NODE, "")}
    with (folder / LOG).open("a") as file:
        file.write(json.dumps(line) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a log, without one that was cut."""
    lines: list[dict[str, Any]] = []
    for text in file.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
