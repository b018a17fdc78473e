"""An experiment that says which GPU it was given, and whether anybody used one before it did."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, ClassVar

from raysearch.sweeps.sweep import Metric, Resources, Trial, sweep
from trainables.core.training import ExperimentConfig

SCORE = [Metric("val/score", "maximize", reduce="best")]


class Device(ExperimentConfig):
    """`greedy` runs out of the device's memory at its first attempt; so many begin `together`."""

    experiment: ClassVar[str] = "tests.cluster.devices:run"
    name: ClassVar[str] = "tests.device"
    number: int = 0
    greedy: bool = False
    together: int = 4


def run(config: dict[str, Any], session: Any) -> None:
    """Looks at the device and stays for a while beside others."""
    torch = sys.modules.get("torch")  # not imported here: that takes seconds of each trial
    used = torch is not None and torch.cuda.is_initialized()
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
    session.describe({"device": shown, "used": used, "pid": os.getpid()})
    (session.folder / "begun").touch()
    while len(list(session.folder.parents[1].glob("*/*/begun"))) < config["together"]:
        time.sleep(0.1)
    session.report(1, {"val/score": float(config["number"]), "progress/epochs": 1.0})
    if config["greedy"] and session.folder.name == "attempt-1":
        import torch

        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    time.sleep(2.0)
    session.report(2, {"val/score": float(config["number"]), "progress/epochs": 2.0})


@sweep(metrics=SCORE, sampler="grid", resources=Resources(cpus=0.25, gpus=0.5))
def halves(trial: Trial) -> Device:
    """Two trials share a GPU."""
    number = trial.suggest_int("number", 0, 3)
    return Device(number=number, greedy=number == 1)


@sweep(metrics=SCORE, sampler="grid", resources=Resources(cpus=0.5, gpus=1))
def wholes(trial: Trial) -> Device:
    """Each trial has a GPU of its own."""
    return Device(number=trial.suggest_int("number", 0, 3), together=2)
