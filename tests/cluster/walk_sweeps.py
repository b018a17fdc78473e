"""A walk with a random state in its checkpoint, for campaigns on one machine."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from typing import Any

from raysearch.declare.sweep import Metric, Trial, sweep
from trainables.core.training import ExperimentConfig


class Walk(ExperimentConfig):
    """Towards `x`, in `steps` of `pause` seconds each, with noise."""

    experiment = "tests.cluster.walk_sweeps:run"
    name = "tests.walk"
    x: float = 0.0
    steps: int = 15
    pause: float = 0.15


def positions(x: float, steps: int) -> Iterator[tuple[int, float, Any]]:
    """Each step, where it leads, and the random state behind it: an uninterrupted walk."""
    draw, position = random.Random(repr(x)), 4.0
    for step in range(1, steps + 1):
        position -= 0.2 * (position - x) + 0.05 * draw.gauss(0, 1)
        yield step, position, draw.getstate()


def metrics_of(step: int, position: float) -> dict[str, float]:
    """What is reported of a step."""
    return {"val/loss": (position - 1) ** 2, "progress/epochs": float(step)}


def run(config: dict[str, Any], session: Any) -> None:
    """Goes on from position and random state of its checkpoint."""
    draw, position, first = random.Random(repr(config["x"])), 4.0, 1
    if saved := session.restored():
        state = json.loads(saved.read_text())
        version, internal, gauss = state["random"]
        draw.setstate((version, tuple(internal), gauss))
        position, first = state["position"], state["step"] + 1
    for step in range(first, config["steps"] + 1):
        position -= 0.2 * (position - config["x"]) + 0.05 * draw.gauss(0, 1)
        time.sleep(config["pause"])
        path = session.folder / "checkpoints" / f"{step}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {"step": step, "position": position, "random": draw.getstate()}
        path.with_suffix(".part").write_text(json.dumps(state))
        os.replace(path.with_suffix(".part"), path)
        session.report(step, metrics_of(step, position), path)
        if session.should_stop():
            return


LOSS = [Metric("val/loss", "minimize", reduce="best")]


@sweep(metrics=LOSS, sampler="random", trials=8)
def walk(trial: Trial) -> Walk:
    """Where to walk to."""
    return Walk(x=trial.suggest_float("x", -2.0, 2.0))


@sweep(metrics=LOSS, sampler="tpe:startup=4", pruner="median:warmup=3,startup=2", trials=10)
def pruned(trial: Trial) -> Walk:
    """The same with a sampler that learns and a pruner."""
    return Walk(x=trial.suggest_float("x", -2.0, 2.0))
