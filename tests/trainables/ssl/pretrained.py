"""Small pretraining for tests: configurations, experiments with their data, students that moved."""

from __future__ import annotations

import math
from typing import Any

import torch

from tests.trainables.ssl import small
from trainables.ssl.config import Pretraining
from trainables.ssl.learners import Distillation
from trainables.ssl.pretraining import PretrainingExperiment

SMALL = {"training.batch_size": 8, "training.prefetch": 0}
TWO_VIEWS = ("byol", "moco", "paco", "gpaco", "multi_task")


def made(kind: str = "dino", **values: Any) -> Pretraining:
    """A small configuration of a method; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    two: dict[str, Any] = {"views.small.count": 0} if kind in TWO_VIEWS else {}
    start = Pretraining().with_values({"method.kind": kind, **two})
    return start.with_values({**small.values(start), **SMALL, **two, **named})


def loaded(kind: str = "dino", **values: Any) -> PretrainingExperiment:
    """The experiment with its data."""
    experiment = PretrainingExperiment.create(made(kind, **values).to_json())
    experiment.load()
    return experiment


def distilling(experiment: PretrainingExperiment) -> Distillation:
    assert isinstance(experiment.learner, Distillation)
    return experiment.learner


def moved(student: torch.nn.Module) -> None:
    """Other parameters."""
    with torch.no_grad():
        for number, one in enumerate(student.parameters()):
            one.add_(0.1 * math.cos(number + 1))
