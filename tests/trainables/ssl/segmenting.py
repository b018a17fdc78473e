"""Segmentation in double precision, for groups of processes to be compared with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from tests.trainables.in_double import InDouble, trained
from trainables.ssl.config import Segmentation
from trainables.ssl.segmentation import SegmentationExperiment


class PreciseSegmentation(Segmentation):
    """As its parent."""

    experiment: ClassVar[str] = "tests.trainables.ssl.segmenting:Precise"
    name: ClassVar[str] = "tests.precise_segmentation"


class Precise(InDouble, SegmentationExperiment):
    """As its second parent, in double precision."""

    config_class = PreciseSegmentation


def run(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a rank reported, and the state."""
    return trained(Precise, config, folder)
