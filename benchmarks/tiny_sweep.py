"""The sweep over `benchmarks.tiny`, for the benchmark of overhead."""

from __future__ import annotations

from typing import ClassVar

from raysearch.sweeps.sweep import Metric, Trial, sweep
from trainables.core.training import ExperimentConfig


class Tiny(ExperimentConfig):
    """One knob is enough."""

    experiment: ClassVar[str] = "benchmarks.tiny:run"
    name: ClassVar[str] = "benchmarks.tiny"
    lr: float = 1e-3


@sweep(
    metrics=[Metric("loss", "minimize", reduce="last")],
    sampler="tpe",
    pruner="median:startup=1000000",
    trials=100,
    question="What does a trial cost?",
)
def tiny(trial: Trial) -> Tiny:
    """A learning rate."""
    return Tiny(lr=trial.suggest_float("lr", 1e-4, 1e-1, log=True))
