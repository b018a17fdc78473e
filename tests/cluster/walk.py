"""A small experiment that saves when it is asked to end, and a sweep of it."""

from __future__ import annotations

import json
import time
from typing import Any, ClassVar

from raysearch.sweeps.sweep import Metric, Trial, sweep
from tests.raysearch.searches.chain import advance, save
from trainables.core.training import ExperimentConfig


class Walk(ExperimentConfig):
    """Steps that each depend on all before; `pause` seconds before each, until it is restored."""

    experiment: ClassVar[str] = "tests.cluster.walk:run"
    name: ClassVar[str] = "tests.walk"
    x: float = 0.2
    steps: int = 40
    pause: float = 0.0


def run(config: dict[str, Any], session: Any) -> None:
    """Reports each step, and saves only when it ends: by its last step, or because it is asked."""
    restored = session.restored()
    state: dict[str, Any] = {"step": 0, "chain": "start"}
    if restored:
        state = json.loads(restored.read_text())
    session.describe({"data.name": "walk", "data.fingerprint": "0" * 16, "parameters": 1})
    for step in range(state["step"] + 1, config["steps"] + 1):
        time.sleep(0.0 if restored else config["pause"])
        state = {"step": step, "chain": advance(state["chain"], step)}
        metrics = {"val/score": config["x"], "progress/epochs": float(step)}
        is_last = step == config["steps"] or session.should_stop()
        session.report(step, metrics, save(session.folder, state) if is_last else None)
        if is_last:
            return


def last_link(steps: int) -> str:
    """The chain after so many steps, none lost and none doubled."""
    chain = "start"
    for step in range(1, steps + 1):
        chain = advance(chain, step)
    return chain


@sweep(metrics=[Metric("val/score", "maximize")], sampler="grid")
def walks(trial: Trial) -> Walk:
    """Two of them."""
    return Walk(x=trial.suggest_categorical("x", [0.1, 0.2]))
