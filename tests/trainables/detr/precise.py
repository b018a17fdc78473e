"""A detector in double precision, for groups of processes to be compared with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests.trainables.in_double import InDouble, trained
from trainables.detr.config import Detection
from trainables.detr.experiment import DetectionExperiment


class PreciseDetection(Detection):
    """As its parent."""

    experiment: ClassVar[str] = "tests.trainables.detr.precise:Precise"
    name: ClassVar[str] = "tests.precise_detection"


class Precise(InDouble, DetectionExperiment):
    """As its second parent, in double precision."""

    config_class = PreciseDetection


def run(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a rank reported, and the state."""
    return trained(Precise, config, folder)
