"""A project of its own with a small experiment, as it lies in a user's folder."""

from __future__ import annotations

from pathlib import Path

SWEEP = """
from typing import ClassVar

from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.training import ExperimentConfig


class Walk(ExperimentConfig):
    experiment: ClassVar[str] = "mine.walk:Walking"
    name: ClassVar[str] = "mine.walk"
    x: float = 0.5


@sweep(metrics=[Metric("val/x", "maximize")], sampler="random", trials=2)
def walks(trial):
    return Walk(x=trial.suggest_float("x", 0.25, 0.75))
"""

WALK = """
import json

from mine.rate import RATE


class Walking:
    @staticmethod
    def run(config, session):
        session.describe({"data.fingerprint": "f" * 16, "data.name": "walk", "threads": 1})
        x = config["x"]
        for step in range(1, 6):
            x = x * RATE if step > 2 else x / 2
            path = session.folder / "checkpoints" / f"step-{step}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"x": x, "step": step}))
            session.report(step, {"val/x": x, "progress/epochs": step, "same": step}, path)

    @staticmethod
    def test(config, session):
        state = json.loads(session.restored().read_text())
        session.report(state["step"], {"test/x": 2 * state["x"]})
"""


def write_project(folder: Path, rate: str = "0.9") -> Path:
    """A package `mine`: a sweep of walks, the experiment, and a module with its rate."""
    package = folder / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "sweeps.py").write_text(SWEEP)
    (package / "walk.py").write_text(WALK)
    set_rate(folder, rate)
    return folder


def set_rate(folder: Path, rate: str) -> None:
    """Another rate, another walk from the third step on."""
    (folder / "mine" / "rate.py").write_text(f"RATE = {rate}\n")


def walk(x: float, rate: float) -> list[float]:
    """The walk in closed form, step by step."""
    found: list[float] = []
    for step in range(1, 6):
        x = x * rate if step > 2 else x / 2
        found.append(x)
    return found
