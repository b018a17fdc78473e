"""Experiments in double precision, for groups of processes to be compared with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainables.core.experiment import Batch, Evaluation, Experiment
from trainables.core.loop import train
from trainables.core.session import LocalSession
from trainables.core.training import ExperimentConfig


class InDouble(Experiment):
    """To stand before an experiment among parents: as that, but exact, and nothing is evaluated."""

    def __init__(self, config: ExperimentConfig) -> None:
        super().__init__(config)
        self.double()

    def share(self, step: int, places: Any) -> Batch:
        made = super().share(step, places)
        return {
            name: one.double() if one.is_floating_point() else one for name, one in made.items()
        }

    def evaluations(self) -> list[Evaluation]:
        return []


def trained(kind: type[Experiment], config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Trains on this rank, alone or in a group: what was reported, and the state."""
    session = LocalSession(folder)
    experiment = kind.create(config)
    train(experiment, session)
    return {"reports": session.reports, "state": experiment.state_dict()}
