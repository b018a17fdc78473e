"""A hash chain that listens: asked to leave, it saves and ends; and sweeps that share a cluster."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

from raysearch.sweeps.sweep import Metric, Resources, Trial, sweep
from tests.raysearch.searches.chain import advance, metrics
from trainables.core.training import ExperimentConfig

SCORE = [Metric("val/score", "maximize", reduce="best")]


class Patient(ExperimentConfig):
    """As the hash chain of the other tests, with a checkpoint at each tenth step alone."""

    experiment: ClassVar[str] = "tests.raysearch.searches.sharing:run"
    name: ClassVar[str] = "tests.patient"
    x: float = 0.3
    y: int = 2
    steps: int = 60
    pause: float = 0.0
    way: str = "well"


def run(config: dict[str, Any], session: Any) -> None:
    """Goes its steps; reports at each tenth, and leaves after any, with a checkpoint."""
    restored = session.restored()
    state: dict[str, Any] = {"step": 0, "chain": "start"}
    if restored:
        state = json.loads(restored.read_text())
    session.describe({"data.name": "chain", "data.fingerprint": "0" * 16, "parameters": 1})
    for step in range(state["step"] + 1, config["steps"] + 1):
        time.sleep(config["pause"])
        state = {"step": step, "chain": advance(state["chain"], step)}
        stops = session.should_stop() and step < config["steps"]
        if step % 10 == 0 or step == config["steps"]:
            session.report(step, metrics(config, state), save(session.folder, state))
        elif stops:
            session.report(step, {}, save(session.folder, state))
        if stops:
            return


def save(folder: Path, state: dict[str, Any]) -> Path:
    """Atomic: a temporary name first, of its own for each worker of a group."""
    path = folder / "checkpoints" / f"step-{state['step']:08d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(state))
    os.replace(temporary, path)
    return path


def test(config: dict[str, Any], session: Any) -> None:
    """The last link."""
    state = json.loads(session.restored().read_text())
    session.report(state["step"], {"test/link": float(int(state["chain"][:6], 16))})


run.test = test  # type: ignore[attr-defined]


@sweep(metrics=SCORE, sampler="grid")
def long_grid(trial: Trial) -> Patient:
    """Two cells of eighteen seconds."""
    return Patient(y=trial.suggest_int("y", 2, 3), steps=180, pause=0.1)


@sweep(metrics=SCORE, sampler="grid")
def small(trial: Trial) -> Patient:
    """Two cells of a second."""
    return Patient(y=trial.suggest_int("y", 2, 3), steps=20, pause=0.05)


@sweep(metrics=SCORE, sampler="grid", resources=Resources(workers=2))
def wide(trial: Trial) -> Patient:
    """A cell that takes two workers: as many as a cluster of two CPUs has."""
    return Patient(y=trial.suggest_categorical("y", [3]), steps=20, pause=0.05)
