"""The sweep of simulated trials: the bowl's eight parameters, and how they report."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.bowl_sweep import Bowl, suggested
from raysearch.sweeps.sweep import Metric, Resources, Trial, sweep


class Simulated(Bowl):
    """So many reports, `every` so many seconds (0: without a pause), once all have begun."""

    name: ClassVar[str] = "benchmarks.simulated"
    reports: int = 100
    every: float = 0.0
    together: int = 1


@sweep(
    metrics=[Metric("loss", "minimize", reduce="last")],
    sampler="random",
    pruner="median:warmup=1000000",
    trials=100,
    resources=Resources(cpus=0.01),
)
def simulated(trial: Trial) -> Simulated:
    """The median pruner looks at each report and never stops a trial."""
    return Simulated(**suggested(trial))
