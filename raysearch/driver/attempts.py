"""The job of one attempt at a trial, made of the trial and the settings of a search."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.driver.live_trial import LiveTrial
from raysearch.driver.resources import in_one_piece
from raysearch.sweeps.program import PROGRAM
from raysearch.sweeps.program_config import split
from raysearch.sweeps.search_spec import SearchSpec, to_plain
from raysearch.sweeps.sweep import Resources
from raysearch.trial.checkpoints import Kept
from raysearch.trial.job import Job
from raysearch.trial.process_mark import mark_of_process

LEASE = "RAYSEARCH_LEASE"
"""Environment variable: the lease of attempts in seconds."""


@dataclass(frozen=True)
class Limits:
    """What a search may use. `memory` in bytes a trial (0: no limit), times in seconds.

    `time` is for the whole search, `trial_time` for each trial, `time_box` for this command; `disk`
    is for all checkpoints together, in bytes. Each worker of a trial has so many `cpus` and `gpus`.
    A trial that waits longer than `lease` for an answer looks whether its driver is still there.
    """

    concurrent: int
    threads: int = 1
    memory: int = 0
    patience: float = 1800.0
    time: float | None = None
    trial_time: float | None = None
    time_box: float | None = None
    disk: int | None = None
    workers: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    lease: float = field(default_factory=lambda: float(os.environ.get(LEASE, "300")))


def attempt_job(
    live: LiveTrial,
    name: str,
    spec: SearchSpec,
    limits: Limits,
    folder: Path,
    paths: list[str],
) -> Job:
    """The job of the next attempt, which writes to `folder / name`.

    A trial goes on from its last checkpoint, the evaluation on the test split takes the best one.
    Whether it is as it was when it was reported is seen in the trial's process, not by the driver,
    for which all trials wait.
    """
    kept = [one for one in live.retention.kept() if not live.retention.is_damaged(one.path)]
    wanted = live.last if live.role is None else live.best
    purpose = "run" if live.role is None else "test"
    if live.evaluates is not None:  # one that is gone fails by its name
        purpose = "evaluate"
        wanted = Kept.read({"step": 0, **live.evaluates}, str(live.evaluates["checkpoint"]))
        kept = [wanted]
    restored = folder / wanted.path if wanted is not None else None
    need = Resources(cpus=limits.cpus, gpus=limits.gpus, workers=limits.workers)
    need = in_one_piece(need, spec.experiment)
    return Job(
        search=spec.search,
        root=str(folder),
        trial=live.number,
        attempt=live.attempt,
        experiment=spec.experiment,
        config=live.config,
        folder=str(folder / name),
        purpose=purpose,
        restored=str(restored) if restored is not None else None,
        threads=limits.threads,
        memory=limits.memory,
        patience=limits.patience,
        lease=limits.lease,
        driver=mark_of_process(),
        objectives=[to_plain(metric) for metric in spec.metrics],
        kept=[one.below(folder) for one in kept],
        paths=paths,
        workers=need.workers,
        own_workers=limits.workers // need.workers,
        cpus=need.cpus,
        gpus=need.gpus,
        code=spec.code.snapshot if spec.code is not None else "",
        grace=_grace(live.config) if spec.experiment == PROGRAM else 0.0,
        reported=[
            metric.name
            for metric in spec.metrics
            if any(metric.name in one for one in live.reported.values())
        ],
    )


def _grace(config: Mapping[str, Any]) -> float:
    """How long what a program started may take to end by itself."""
    return float(split(config)[2].get("grace", 0.0))
