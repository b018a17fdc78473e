"""Pretraining in double precision, for groups of processes to be compared with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests.trainables.in_double import InDouble, trained
from trainables.ssl.config import Pretraining
from trainables.ssl.pretraining import PretrainingExperiment


class PrecisePretraining(Pretraining):
    """As its parent."""

    experiment: ClassVar[str] = "tests.trainables.ssl.precise:Precise"
    name: ClassVar[str] = "tests.precise_pretraining"


class Precise(InDouble, PretrainingExperiment):
    """As its second parent, in double precision."""

    config_class = PrecisePretraining


def run(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a rank reported, and the state."""
    return trained(Precise, config, folder)
