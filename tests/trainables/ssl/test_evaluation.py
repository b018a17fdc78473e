"""Noise at evaluation: none at 0, the same for each image each time, and unknown to training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainables import runs
from tests.trainables.runs import EVERYTHING
from trainables.core import checkpoint
from trainables.core.randomness import normal
from trainables.core.session import LocalSession
from trainables.data import digits
from trainables.metrics.classification import confusion, scores
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment

READER = Supervised().with_values(
    {"model.patch_size": 4, "model.width": 8, "training.steps": 40, "optimizer.lr": 0.02}
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> LocalSession:
    return runs.run(READER, tmp_path_factory.mktemp("reader"))


def evaluated(config: Supervised, folder: Path, path: Path, split: str = "val") -> dict[str, float]:
    session = LocalSession(folder, path)
    SupervisedExperiment.evaluate(config.to_json(), session, split)
    return session.reports[40]


def with_noise(config: Supervised, noise: float) -> Supervised:
    return config.with_values({"evaluation.noise": noise})


@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_training_does_not_depend_on_it(tmp_path: Path, noise: float) -> None:
    plain = runs.run(EVERYTHING, tmp_path / "plain")
    noisy = runs.run(with_noise(EVERYTHING, noise), tmp_path / "noisy")
    prints = [checkpoint.fingerprint(one.checkpoints[7]) for one in (plain, noisy)]
    assert prints[0] == prints[1]
    assert plain.reports[7]["val/loss"] != noisy.reports[7]["val/loss"]
    assert plain.reports[7]["train/loss"] == noisy.reports[7]["train/loss"]


def test_noise_of_size_0_is_none(reader: LocalSession, tmp_path: Path) -> None:
    found = evaluated(with_noise(READER, 0.0), tmp_path, reader.checkpoints[40])
    assert found["val/accuracy"] == reader.reports[40]["val/accuracy"]
    assert found["val/loss"] == reader.reports[40]["val/loss"]


def test_it_is_added_to_the_images_before_they_are_read(
    reader: LocalSession, tmp_path: Path
) -> None:
    found = evaluated(with_noise(READER, 0.7), tmp_path, reader.checkpoints[40], "all")
    experiment = SupervisedExperiment.create(READER.to_json()).eval()
    checkpoint.load(reader.checkpoints[40], experiment)
    for name, split in (("val", digits.load().val), ("test", digits.load().test)):
        drawn = normal(0, "evaluation noise", 0, torch.arange(300), 64).reshape(300, 1, 8, 8)
        with torch.no_grad():
            logits = experiment.network(split.images + 0.7 * drawn)
        counts = scores(confusion(logits.argmax(1), split.labels, 10))
        assert found[f"{name}/accuracy"] == counts.accuracy


def test_more_noise_is_harder_to_read_through(reader: LocalSession, tmp_path: Path) -> None:
    path = reader.checkpoints[40]
    losses = [
        evaluated(with_noise(READER, noise), tmp_path, path)["val/loss"] for noise in (0.0, 2.0)
    ]
    assert losses[1] > 1.2 * losses[0]
