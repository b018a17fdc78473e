"""A host whose trial is simulated: it reports a closed form, and times the answers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ray import tune

from benchmarks.bowl import loss
from raysearch.trial.job import Job

ANSWERS = "answers.json"
"""The file in the folder of an attempt: seconds from each report to its answer."""


class SimulatedHost(tune.Trainable):
    """Takes the place of `raysearch.trial.host.Host` for the driver; nothing is forked or trained.

    With `every` (seconds) in its configuration all hosts of a machine report at the same moments;
    without, each as soon as it was answered.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Begins the first attempt."""
        self._begin(Job.read(config["job"]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins another attempt."""
        self._begin(Job.read(new_config["job"]))
        return True

    def _begin(self, job: Job) -> None:
        self._job, self._epoch, self._sent = job, 0, 0.0
        self._waited: list[float] = []
        Path(job.folder).mkdir(parents=True, exist_ok=True)

    def step(self) -> dict[str, Any]:
        """The next report; the call of the next step is its answer."""
        if self._sent:
            self._waited.append(time.perf_counter() - self._sent)
        config = self._job.config
        if not self._epoch and not self._all_are_there():
            time.sleep(1.0)
            return {"messages": "[]"}
        if self._epoch == config["reports"]:
            Path(self._job.folder, ANSWERS).write_text(json.dumps(self._waited))
            return {"messages": json.dumps([{"kind": "end", "outcome": "complete", "message": ""}])}
        self._epoch += 1
        if config["every"]:
            time.sleep(config["every"] - time.time() % config["every"])
        metrics = {"loss": loss(config, self._epoch), "progress/epochs": float(self._epoch)}
        message = {"kind": "report", "step": self._epoch, "metrics": metrics, "checkpoint": None}
        self._sent = time.perf_counter()
        return {"messages": json.dumps([message])}

    def _all_are_there(self) -> bool:
        """Whether all trials have a host: before that, a host has the driver for itself."""
        return len(list(Path(self._job.root).glob("*/attempt-1"))) >= self._job.config["together"]

    def end_attempt(self, delete: list[str]) -> None:
        """Ends the attempt: there is no process."""

    def pause_attempt(self) -> None:
        """Nothing to save."""

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | None:
        """Nothing to save."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing to load."""
