"""The sweep over `benchmarks.bowl`: eight parameters, as many searches have."""

from __future__ import annotations

from typing import Any, ClassVar

from raysearch.sweeps.sweep import Metric, Trial, sweep
from trainables.core.training import ExperimentConfig


class Bowl(ExperimentConfig):
    """Names of settings that a network has, for a loss that has none."""

    experiment: ClassVar[str] = "benchmarks.bowl:run"
    name: ClassVar[str] = "benchmarks.bowl"
    lr: float = 1e-3
    decay: float = 1e-5
    dropout: float = 0.0
    momentum: float = 0.5
    layers: int = 2
    heads: int = 2
    activation: str = "relu"
    schedule: str = "constant"


@sweep(metrics=[Metric("loss", "minimize", reduce="last")], sampler="random", trials=100)
def bowl(trial: Trial) -> Bowl:
    """Four floats, two integers, two choices."""
    return Bowl(**suggested(trial))


def suggested(trial: Trial) -> dict[str, Any]:
    """The eight values."""
    return {
        "lr": trial.suggest_float("lr", 1e-5, 1.0, log=True),
        "decay": trial.suggest_float("decay", 1e-7, 1e-1, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.8),
        "momentum": trial.suggest_float("momentum", 0.0, 0.99),
        "layers": trial.suggest_int("layers", 1, 12),
        "heads": trial.suggest_int("heads", 1, 8),
        "activation": trial.suggest_categorical("activation", ["relu", "gelu", "tanh"]),
        "schedule": trial.suggest_categorical("schedule", ["constant", "cosine"]),
    }
