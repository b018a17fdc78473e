"""Training of representations: what a batch is, what learns, and that workers equal one."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.groups import together
from tests.trainables.osc import precise, small
from trainables.core.training import Training
from trainables.osc.config import Representation
from trainables.osc.experiment import RepresentationExperiment
from trainables.osc.optimization import AdamW
from trainables.settings.crops import PublishedCrops, TurnedCrops


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data sets with tiny stores."""
    folder = tmp_path_factory.mktemp("data")
    small.provide(folder)
    return folder


def made(config: Representation, root: Path, **values: Any) -> Representation:
    """The configuration made small, with other values."""
    return config.with_values({**small.values(config), "data.root": str(root), **values})


def loaded(config: Representation) -> RepresentationExperiment:
    """The experiment with its data."""
    experiment = RepresentationExperiment.create(config.to_json())
    experiment.load()
    return experiment


@pytest.mark.parametrize(
    "values",
    [
        {"queries.kind": "sampled"},
        {"queries.kind": "kmeans"},
        {"views.kind": "turned"},
        {"views.kind": "frames", "data.name": "digit_grids", "data.made": True},
    ],
)
def test_a_share_is_what_the_whole_batch_has_at_its_places(
    values: dict[str, Any], root: Path
) -> None:
    start = Representation().with_values({**values, "training.batch_size": 6})
    experiment = loaded(made(start, root))
    places = torch.tensor([4, 1])
    whole, part = experiment.batch(2), experiment.share(2, places)
    assert whole.keys() == part.keys()
    for name, one in part.items():
        torch.testing.assert_close(one, whole[name][places], rtol=0, atol=1e-6)


def test_all_parameters_lose_weight_or_matrices_alone(root: Path) -> None:
    config = made(Representation(), root)
    experiment = RepresentationExperiment(config)
    decayed, free = experiment.parameter_groups()
    assert not free["params"] and len(decayed["params"]) == len(list(experiment.parameters()))
    config = config.with_values({"optimizer.decays": "matrices"})
    experiment = RepresentationExperiment(config)
    names = {id(one): name for name, one in experiment.named_parameters()}
    decayed, free = experiment.parameter_groups()
    assert all(one.ndim > 1 for one in decayed["params"])
    kept = {names[id(one)] for one in free["params"] if one.ndim > 1}
    assert kept == {"model.backbone.positions", "model.queries.table"}


def test_the_rate_is_that_of_the_published_schedule(root: Path) -> None:
    experiment = RepresentationExperiment(made(Representation(), root))
    rates = [experiment.learning_rate(step, 100) for step in (1, 11, 21, 100)]
    assert rates[0] == pytest.approx(7e-14) and rates[2] == 7e-4
    assert rates[1] == pytest.approx(3.5e-4) and rates[3] == pytest.approx(3.0015e-4, rel=1e-3)


EPOCHS = {8: 8750, 16: 4375, 32: 2187, 64: 1093}
"""Steps in an epoch of 70,000 images, by the size of a batch."""


@pytest.mark.parametrize("size", EPOCHS)
@pytest.mark.parametrize("times", [1, 2, 5, 10, 20])
def test_a_run_rises_for_a_fifth_of_its_epochs_and_falls_for_the_rest(
    times: int, size: int, root: Path
) -> None:
    values = {"training.batch_size": size, "training.epochs": 5 * times}
    experiment = RepresentationExperiment(made(Representation(), root, **values))
    total, rise = experiment.config.training.total_steps(70_000), times * EPOCHS[size]
    assert total == 5 * rise
    for done in (1, rise // 2, rise, rise + 1, 3 * rise, total - 1):
        falling = 3e-4 + 2e-4 * (1 + math.cos(math.pi * (done - rise) / (4 * rise)))
        expected = 7e-4 * done / rise if done <= rise else falling
        assert experiment.learning_rate(done + 1, total) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("implicit", ["none", "last_step", "extra_step"])
def test_learned_queries_have_a_gradient(implicit: str, root: Path) -> None:
    """With a step whose start is cut off, as published, they have none at all."""
    values = {"objects.implicit": implicit, "training.batch_size": 4}
    experiment = loaded(made(Representation(), root, **values))
    experiment(experiment.batch(1), 1).total.backward()
    gradient = experiment.model.get_parameter("queries.table").grad
    assert gradient is not None and float(gradient.abs().max()) > 0


def test_a_teacher_follows_and_is_never_trained(root: Path) -> None:
    values = {"loss.objects": "distillation", "loss.momentum": 0.5, "training.batch_size": 4}
    experiment = loaded(made(Representation(), root, **values))
    assert experiment.teacher is not None
    before = {name: one.clone() for name, one in experiment.teacher.state_dict().items()}
    optimizer = experiment.optimizer(experiment.parameter_groups())
    for group in optimizer.param_groups:
        group["lr"] = 1e-2
    experiment(experiment.batch(1), 1).total.backward()
    optimizer.step()
    experiment.after_update(1)
    student = dict(experiment.model.named_parameters())
    moved = 0
    for name, one in experiment.teacher.named_parameters():
        own = name.removeprefix("network.")
        assert one.grad is None
        torch.testing.assert_close(one, (before[name] + student[own]) / 2)
        moved += not torch.equal(one, before[name])
    assert moved


SETTINGS: dict[str, dict[str, Any]] = {
    "all slots": {"loss.objects": "ctr_all", "loss.of_images.covariance": 0.3},
    "a teacher": {
        "loss.objects": "distillation",
        "loss.images": "sim",
        "loss.of_images.variance": 0.5,
        "loss.of_slots.covariance": 0.3,
        "queries.kind": "sampled",
    },
    "small crops": {"loss.objects": "sim_img", "loss.small_crops": 1.0, "queries.kind": "normal"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_two_workers_equal_one(name: str, root: Path, tmp_path: Path) -> None:
    """The negatives, and what is kept of small crops, are those of all workers."""
    start = Representation(
        optimizer=AdamW(lr=1e-3),
        training=Training(steps=3, batch_size=8, num_micro_batches=2, log_every=1, clip_norm=0.0),
        views=TurnedCrops() if name == "small crops" else PublishedCrops(),
    )
    config = made(start, root, **SETTINGS[name])
    plain = precise.PreciseRepresentation.read(config.to_json()).to_json()
    [one] = together(1, tmp_path / "one", partial(precise.run, plain))
    first, _ = together(2, tmp_path / "two", partial(precise.run, plain))
    assert first["reports"].keys() == one["reports"].keys()
    for step, report in one["reports"].items():
        assert first["reports"][step] == pytest.approx(report, rel=1e-9, abs=1e-12)
    for key, value in one["state"].items():
        torch.testing.assert_close(first["state"][key], value, rtol=1e-9, atol=1e-12)


def test_losses_are_in_single_precision_where_networks_are_in_half(root: Path) -> None:
    experiment = loaded(made(Representation(), root, **{"training.batch_size": 4}))
    batch = experiment.batch(1)
    plain = experiment(batch, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = experiment(batch, 1)
    assert found.total.dtype == torch.float32
    assert float(found.terms["images/ctr"]) == pytest.approx(
        float(plain.terms["images/ctr"]), rel=0.05
    )
