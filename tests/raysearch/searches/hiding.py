"""An experiment whose trials start processes that hide, in every way, and a sweep over it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from raysearch.sweeps.sweep import Metric, sweep
from tests.raysearch.trial.offspring import hide
from trainables.core.training import ExperimentConfig


class Hiding(ExperimentConfig):
    """One number."""

    experiment = "tests.raysearch.searches.hiding:run"
    name = "tests.hiding"
    x: float = 0.0


def run(config: dict[str, Any], session: Any) -> None:
    """Reports three times, and waits as long as there is a file `hold`."""
    hide(session.folder)
    for step in (1, 2, 3):
        metrics = {"val/loss": config["x"] * step, "progress/epochs": float(step)}
        session.report(step, metrics)
        while Path("hold").exists():
            time.sleep(0.05)


@sweep(metrics=[Metric("val/loss", "minimize")], sampler="grid", pruner="median:startup=1")
def hiding(trial: Any) -> Hiding:
    return Hiding(x=trial.suggest_categorical("x", [0.0, 0.5, 1.0, 2.0]))
