"""One batch is learned by heart: losses begin where they are known to, and fall."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.ssl.pretrained import loaded, made
from trainables.core import checkpoint
from trainables.core.checkpoint import Position
from trainables.core.experiment import Experiment
from trainables.core.session import LocalSession
from trainables.core.training import ExperimentConfig
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.pretraining import PretrainingExperiment


def test_the_first_loss_of_many_prototypes_is_about_their_logarithm() -> None:
    """Scores are cosines, so that a student is almost uniform at a temperature of 1."""
    experiment = loaded(method__temperature=1.0, method__head__prototypes=1024)
    assert float(experiment(experiment.batch(1), 1).total.detach()) == pytest.approx(
        math.log(1024), rel=0.1
    )


@pytest.mark.parametrize("kind", ["simclr", "supcon"])
def test_one_batch_is_learned_by_heart(kind: str) -> None:
    """From about log 15, which one vector for all has, to below half of it."""
    values: dict[str, Any] = {
        "model__width": 16,
        "method__head__width": 16,
        "method__temperature": 0.2,
        "views__small__count": 0,
    }
    experiment = loaded(kind, **values)
    batch = experiment.batch(1)
    optimizer = torch.optim.Adam(experiment.learner.student.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        experiment(batch, 1).total.backward()
        optimizer.step()
    found = experiment(batch, 1)
    assert float(found.total.detach()) < 0.5 * math.log(15) and float(found.terms["accuracy"]) > 0.5


TAUGHT: dict[str, tuple[dict[str, Any], float, float]] = {
    "dino": (
        {"method__head__bottleneck": 256, "method__head__prototypes": 1024},
        math.log(1024),  # a student that says the same of all prototypes
        0.95,
    ),
    "byol": ({}, 4.0, 0.5),  # two views that are orthogonal
    "moco": (
        {"method__head__width": 16, "method__temperature": 0.2},
        math.log(9),  # the key and the eight of the step before, all alike
        0.75,
    ),
}
"""Settings, about the first loss, and the part of it below which it falls."""


@pytest.mark.parametrize("kind", TAUGHT)
def test_one_batch_is_learned_by_heart_from_a_teacher_that_stands_still(kind: str) -> None:
    """The first loss of DINO is about the logarithm of the number of prototypes."""
    values, first, part = TAUGHT[kind]
    experiment = loaded(kind, model__width=16, **values)
    if kind == "moco":
        experiment(experiment.batch(2), 2)
        experiment.after_update(2)
    batch, losses = experiment.batch(1), list[float]()
    learned = [one for one in experiment.parameters() if one.requires_grad]
    optimizer = torch.optim.Adam(learned, 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        total = experiment(batch, 1).total
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[0] == pytest.approx(first, rel=0.25)
    assert losses[-1] < part * losses[0]


@pytest.mark.parametrize("kind", [Supervised, Pretraining])
def test_a_run_on_one_batch_sees_nothing_else_and_learns_it(
    kind: type[ExperimentConfig], tmp_path: Path
) -> None:
    """Supervised logits begin at 0: the first loss is the logarithm of ten classes."""
    values: dict[str, Any] = {"training.steps": 60, "training.log_every": 1}
    values |= {"training.one_batch": True, "training.evaluate_every": 60}
    if kind is Pretraining:
        config = made("supcon", model__width=16, method__temperature=0.2).with_values(values)
        off = {f"evaluation.figures.{one}": 0 for one in ("grad_cam", "embedding.points")}
        config = config.with_values({**off, "evaluation.health": 0, "optimizer.lr": 0.3})
    else:
        config = Supervised().with_values({**values, "optimizer.lr": 0.02})
    experiment = resolved(config)
    session = LocalSession(tmp_path)
    experiment.run(config.to_json(), session)
    losses = [report["train/loss"] for report in session.reports.values()]
    assert losses[-1] < (0.75 if kind is Pretraining else 0.2) * losses[0]
    if kind is Supervised:
        assert losses[0] == pytest.approx(math.log(10), abs=1e-5)
    alone = experiment.create(config.to_json())
    alone.load()
    position, examples = Position(), alone.batch(1)["examples"]
    for _ in range(60):
        position = position.after(examples)
    saved = checkpoint.read(session.checkpoints[60]).position
    assert saved.data_order == position.data_order


def test_batches_that_go_on_are_the_same_one_and_all_of_them_change_no_digest() -> None:
    config = Supervised().with_values({"training.one_batch": True})
    experiment = SupervisedExperiment.create(config.to_json())
    experiment.load()
    first, later = (next(experiment.batches(step))["images"] for step in (1, 7))
    assert torch.equal(first, later)
    assert "one_batch" not in Supervised().canonical()["training"]
    assert config.digest() != Supervised().digest()


def resolved(config: ExperimentConfig) -> type[Experiment]:
    return SupervisedExperiment if isinstance(config, Supervised) else PretrainingExperiment
