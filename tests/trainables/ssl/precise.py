"""Pretraining in double precision, for groups of processes to be compared with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from trainables.core.experiment import Batch
from trainables.core.loop import train
from trainables.core.session import LocalSession
from trainables.ssl.config import Pretraining
from trainables.ssl.pretraining import PretrainingExperiment


class PrecisePretraining(Pretraining):
    """As its parent."""

    experiment: ClassVar[str] = "tests.trainables.ssl.precise:Precise"
    name: ClassVar[str] = "tests.precise_pretraining"


class Precise(PretrainingExperiment):
    """As its parent, in double precision."""

    config_class = PrecisePretraining

    def __init__(self, config: Pretraining) -> None:
        super().__init__(config)
        self.double()

    def share(self, step: int, places: Any) -> Batch:
        made = super().share(step, places)
        return {
            name: one.double() if one.is_floating_point() else one for name, one in made.items()
        }

    def evaluations(self) -> list[Any]:
        return []


def run(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Trains on this rank, alone or in a group: what was reported, and the state."""
    session = LocalSession(folder)
    experiment = Precise.create(config)
    train(experiment, session)
    return {"reports": session.reports, "state": experiment.state_dict()}
