"""A detector in double precision, for groups of processes to be compared with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from trainables.core.experiment import Batch
from trainables.core.loop import train
from trainables.core.session import LocalSession
from trainables.detr.config import Detection
from trainables.detr.experiment import DetectionExperiment


class PreciseDetection(Detection):
    """As its parent."""

    experiment: ClassVar[str] = "tests.trainables.detr.precise:Precise"
    name: ClassVar[str] = "tests.precise_detection"


class Precise(DetectionExperiment):
    """As its parent, in double precision."""

    config_class = PreciseDetection

    def __init__(self, config: Detection) -> None:
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
