"""A representation in double precision, for groups of processes to be compared with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests.trainables.in_double import InDouble, trained
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment


class PreciseRepresentation(Representation):
    """As its parent."""

    experiment: ClassVar[str] = "tests.trainables.osc.precise:Precise"
    name: ClassVar[str] = "tests.precise_representation"


class Precise(InDouble, RepresentationExperiment):
    """As its second parent, in double precision."""

    config_class = PreciseRepresentation


def run(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a rank reported, and the state."""
    return trained(Precise, config, folder)
