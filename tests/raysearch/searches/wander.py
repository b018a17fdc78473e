"""A walk by chance that keeps its random state in its checkpoint, and sweeps of it."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any, ClassVar

from raysearch.sweeps.sweep import Metric, Resources, Trial, sweep
from trainables.core.training import ExperimentConfig


class Wander(ExperimentConfig):
    """Steps that each depend on all before and on chance."""

    experiment: ClassVar[str] = "tests.raysearch.searches.wander:run"
    name: ClassVar[str] = "tests.wander"
    x: float = 0.2
    steps: int = 20
    pause: float = 0.1


def walk(x: float, steps: int) -> list[dict[str, float]]:
    """What an undisturbed walk reports of each step."""
    draw, place, found = random.Random(repr(x)), 4.0, list[dict[str, float]]()
    for step in range(1, steps + 1):
        place = step_from(place, x, draw)
        found.append(metrics_of(step, place))
    return found


def step_from(place: float, x: float, draw: random.Random) -> float:
    """The next place."""
    return place - 0.2 * (place - x) + 0.05 * draw.gauss(0, 1)


def metrics_of(step: int, place: float) -> dict[str, float]:
    """What is reported of a step."""
    return {"val/loss": (place - 1) ** 2, "progress/epochs": float(step)}


def run(config: dict[str, Any], session: Any) -> None:
    """Walks, saves after each step, and goes on from where it was."""
    draw, place, first = random.Random(repr(config["x"])), 4.0, 1
    if restored := session.restored():
        saved = json.loads(restored.read_text())
        version, state, gauss = saved["draw"]
        draw.setstate((version, tuple(state), gauss))
        place, first = saved["place"], saved["step"] + 1
    session.describe({"threads": int(os.environ["OMP_NUM_THREADS"])})
    for step in range(first, config["steps"] + 1):
        time.sleep(config["pause"])
        place = step_from(place, config["x"], draw)
        saved = {"step": step, "place": place, "draw": draw.getstate()}
        path = _save(session.folder, step, json.dumps(saved))
        session.report(step, metrics_of(step, place), path)
        if session.should_stop():
            return


def _save(folder: Path, step: int, text: str) -> Path:
    path = folder / "checkpoints" / f"step-{step:08d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".partial").write_text(text)
    os.replace(path.with_suffix(".partial"), path)
    return path


LOSS = [Metric("val/loss", "minimize", reduce="best")]


@sweep(metrics=LOSS, sampler="random", trials=8)
def wander(trial: Trial) -> Wander:
    """Where to walk to."""
    return Wander(x=trial.suggest_float("x", -2.0, 2.0))


@sweep(metrics=LOSS, sampler="tpe:startup=4", pruner="median:warmup=3,startup=2", trials=10)
def pruned(trial: Trial) -> Wander:
    """The same with a sampler that learns and a pruner."""
    return Wander(x=trial.suggest_float("x", -2.0, 2.0))


@sweep(metrics=LOSS, sampler="random", trials=4, resources=Resources(cpus=2))
def wide(trial: Trial) -> Wander:
    """The same, with two CPUs a trial."""
    return Wander(x=trial.suggest_float("x", -2.0, 2.0))
