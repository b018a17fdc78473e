"""Supervised training: its batches, its loss, what it reports, and that it learns."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.trainables import runs
from trainables.core.experiment import Batch
from trainables.data import digits
from trainables.metrics.classification import confusion, scores
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment

SMALL = {"model.patch_size": 4, "model.width": 8, "training.batch_size": 16}


def loaded(**values: Any) -> SupervisedExperiment:
    """A small experiment with its data; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    experiment = SupervisedExperiment.create(Supervised().with_values(SMALL | named).to_json())
    experiment.load()
    return experiment


def equal(one: Batch, other: Batch) -> bool:
    """Whether two batches are the same, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_an_epoch_visits_each_example_at_most_once_and_drops_the_rest() -> None:
    experiment = loaded(training__batch_size=100)
    first = torch.cat([experiment.batch(step)["examples"] for step in range(1, 12)])
    second = torch.cat([experiment.batch(step)["examples"] for step in range(12, 23)])
    assert len(first.unique()) == len(second.unique()) == 1100
    assert not torch.equal(first, second)


def test_a_batch_holds_the_examples_that_it_names() -> None:
    batch, train = loaded().batch(3), digits.load().train
    assert torch.equal(batch["images"], train.images[batch["examples"]])
    assert torch.equal(batch["labels"], train.labels[batch["examples"]])


@pytest.mark.parametrize("augmentation", ["shift", "smallest_crop", "mixup", "cutmix"])
def test_batches_are_functions_of_seed_and_step(augmentation: str) -> None:
    value = {"shift": 1, "smallest_crop": 0.6}.get(augmentation, 0.5)
    changes = {f"augmentation__{augmentation}": value}
    first, again, plain = loaded(**changes), loaded(**changes), loaded()
    assert equal(first.batch(5), again.batch(5))
    assert not equal(first.batch(5), first.batch(6))
    assert not equal(first.batch(5), plain.batch(5))
    assert not equal(first.batch(5), loaded(**changes, training__seed=1).batch(5))


def test_batches_begin_at_any_step() -> None:
    experiment = loaded()
    batches = experiment.batches(4)
    assert all(equal(next(batches), experiment.batch(step)) for step in (4, 5))


def test_weights_are_a_function_of_the_seed() -> None:
    first, again, other = loaded(), loaded(), loaded(training__seed=1)
    weights = [one.network.get_parameter("patches.weight") for one in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_the_first_loss_is_the_logarithm_of_the_number_of_classes() -> None:
    experiment = loaded()
    loss = experiment(experiment.batch(1), 1)
    assert loss.total.item() == pytest.approx(math.log(10), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_of_smoothed_labels(smoothing: float) -> None:
    experiment = loaded(label_smoothing=smoothing)
    torch.nn.init.normal_(experiment.network.get_parameter("head.weight"))
    batch = experiment.batch(1)
    targets = functional.one_hot(batch["labels"], 10) * (1 - smoothing) + smoothing / 10
    expected = -(targets * experiment.network(batch["images"]).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(experiment(batch, 1).total, expected)


@pytest.mark.usefixtures("figures")
def test_a_whole_run_learns_and_reports_what_it_promises(tmp_path: Path) -> None:
    config = Supervised().with_values(
        {**SMALL, "training.epochs": 3, "optimizer.lr": 0.01, "model.layers": 1}
    )
    session = runs.run(config, tmp_path)
    first, *_, last = session.reports.values()
    assert last["val/accuracy"] > 0.7 > first["val/accuracy"] - 0.1
    training = {f"train/{name}" for name in ("loss", "accuracy", "gradient_norm", "learning_rate")}
    every_time = training | {f"val/{name}" for name in ("loss", "accuracy", "f1", "ece", "brier")}
    every_time |= {"progress/epochs", "progress/samples"}
    at_last = {
        f"val/{score}/{digit}" for score in ("precision", "recall", "f1") for digit in range(10)
    }
    assert first.keys() == every_time and last.keys() == every_time | at_last
    assert [said["progress/epochs"] for said in session.reports.values()] == [1.0, 2.0, 3.0]
    drawn = [f"figures/val-{name}.png" for name in ("confusion", "reliability", "wrong")]
    assert list(session.artifacts) == drawn


def test_the_reported_scores_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    config = Supervised().with_values({**SMALL, "training.steps": 30})
    session = runs.run(config, tmp_path)
    experiment = SupervisedExperiment.create(config.to_json()).eval()
    state = torch.load(session.checkpoints[30], weights_only=True)["model"]
    experiment.load_state_dict(state)
    val = digits.load().val
    with torch.no_grad():
        logits = experiment.network(val.images)
    found, said = scores(confusion(logits.argmax(1), val.labels, 10)), session.reports[30]
    assert (said["val/accuracy"], said["val/f1"]) == (found.accuracy, found.macro_f1)
    assert said["val/loss"] == pytest.approx(float(functional.cross_entropy(logits, val.labels)))
    assert said["val/recall/3"] == float(found.recall[3])
