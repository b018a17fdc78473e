"""A sweep whose one trial is trained by two workers, long enough to be interrupted."""

from __future__ import annotations

from raysearch.sweeps.sweep import Metric, Resources, Trial, sweep
from tests.trainables.group_configs import TWENTY_STEPS, PreciselySupervised

STEPS = 400
EVERY = 20


@sweep(metrics=[Metric("val/loss", "minimize")], sampler="grid", resources=Resources(workers=2))
def grouped(trial: Trial) -> PreciselySupervised:
    """One cell."""
    training = {f"training.{name}_every": EVERY for name in ("log", "evaluate", "save")}
    return TWENTY_STEPS.with_values(
        {
            "optimizer.lr": trial.suggest_categorical("optimizer.lr", [0.003]),
            "training.steps": STEPS,
            **training,
        }
    )
