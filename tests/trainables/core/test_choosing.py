"""Steps with the second gradient of the examples whose loss rises most: by hand, and in parts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.trainables.groups import together
from tests.trainables.in_double import InDouble, trained
from tests.trainables.ssl.pretrained import made
from trainables.core.choosing import Chosen, most_risen
from trainables.core.session import LocalSession
from trainables.ssl.config import Model, Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.pretraining import PretrainingExperiment


class PreciselySupervised(Supervised):
    """As its parent."""

    experiment: ClassVar[str] = "tests.trainables.core.test_choosing:Precise"
    name: ClassVar[str] = "tests.precisely_chosen"


class Precise(InDouble, SupervisedExperiment):
    """As its second parent, in double precision."""

    config_class = PreciselySupervised

    def forward(self, batch: dict[str, Tensor], step: int) -> Any:
        logits, labels = self.network(batch["images"]), batch["labels"]
        each = functional.cross_entropy(logits, labels, reduction="none")
        return super().forward(batch, step)._replace(total=each.mean(), each=each)


def configured(**values: Any) -> dict[str, Any]:
    """A few steps of ESAM; a double underscore is a dot."""
    start = PreciselySupervised(model=Model(patch_size=4, width=8, mlp_ratio=1.0)).with_values(
        {
            "training.steps": 3,
            "training.batch_size": 12,
            "training.clip_norm": 0.0,
            "training.log_every": 1,
            "optimizer.kind": "sam",
            "optimizer.base": "sgd",
            "optimizer.momentum": 0.0,
            "optimizer.weight_decay": 0.0,
            "optimizer.lr": 0.1,
            "optimizer.rho": 0.5,
            "optimizer.example_share": 0.5,
            "schedule.kind": "constant",
            "schedule.warm_up": 0.0,
        }
    )
    return start.with_values({n.replace("__", "."): v for n, v in values.items()}).to_json()


def run(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a rank reported, and the state."""
    return trained(Precise, config, folder)


def test_the_second_gradient_is_that_of_the_half_whose_loss_rises_most(tmp_path: Path) -> None:
    """Three steps by hand: climb, look again, take six of twelve."""
    config = configured()
    other = Precise.create(config)
    other.load()
    net = other.network.train()
    weights = list(net.parameters())
    said: list[float] = []
    for step in (1, 2, 3):
        batch = other.batch(step)
        each = functional.cross_entropy(net(batch["images"]), batch["labels"], reduction="none")
        slopes = torch.autograd.grad(each.mean(), weights)
        norm = torch.stack([one.norm() for one in slopes]).norm()
        before = [one.detach().clone() for one in weights]
        with torch.no_grad():
            for one, slope in zip(weights, slopes, strict=True):
                one += 0.5 * slope / norm
        again = functional.cross_entropy(net(batch["images"]), batch["labels"], reduction="none")
        chosen = (again - each).sort(descending=True).indices[:6]
        slopes = torch.autograd.grad(again[chosen].mean(), weights)
        said.append(float((again.mean() - each.mean()).detach()))
        with torch.no_grad():
            for one, was, slope in zip(weights, before, slopes, strict=True):
                one.copy_(was - 0.1 * slope)
    found = run(config, tmp_path)
    for name, one in net.state_dict().items():
        torch.testing.assert_close(found["state"][f"network.{name}"], one, rtol=1e-9, atol=1e-11)
    reports = [found["reports"][step]["train/sharpness"] for step in (1, 2, 3)]
    assert reports == pytest.approx(said, rel=1e-9)


@pytest.mark.parametrize("values", [{}, {"optimizer__weight_share": 0.6}])
def test_examples_are_chosen_in_all_parts_of_a_batch_at_once(
    values: dict[str, Any], tmp_path: Path
) -> None:
    """Parts of three images have two, one or none that are chosen."""
    one = run(configured(**values), tmp_path / "one")
    parts = run(configured(**values, training__num_micro_batches=6), tmp_path / "parts")
    for name, state in one["state"].items():
        torch.testing.assert_close(parts["state"][name], state, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_two_workers_choose_as_one(tmp_path: Path) -> None:
    values = {"optimizer__weight_share": 0.6, "training__num_micro_batches": 3}
    config = configured(**values)
    [one] = together(1, tmp_path / "one", partial(run, config))
    first, _ = together(2, tmp_path / "two", partial(run, config))
    for name, state in one["state"].items():
        torch.testing.assert_close(first["state"][name], state, rtol=1e-10, atol=1e-12)
    for step, report in one["reports"].items():
        assert first["reports"][step] == pytest.approx(report, rel=1e-9, abs=1e-10)


def test_shares_of_all_are_no_settings_and_the_way_uphill_is_the_same(tmp_path: Path) -> None:
    all_of_them = configured(optimizer__example_share=1.0)
    assert (
        PreciselySupervised.read(all_of_them)
        .canonical()["optimizer"]
        .keys()
        .isdisjoint({"example_share", "weight_share", "adaptive"})
    )
    ways = [run(all_of_them, tmp_path / "all"), run(configured(), tmp_path / "half")]
    assert ways[0]["reports"][1]["train/sharpness"] == pytest.approx(
        ways[1]["reports"][1]["train/sharpness"], rel=1e-9
    )


def test_a_resumed_run_moves_the_same_weights(tmp_path: Path) -> None:
    config = made(
        "dino",
        optimizer__kind="sam",
        optimizer__weight_share=0.6,
        optimizer__example_share=0.5,
        training__steps=4,
        training__save_every=1,
        evaluation__health=0,
    )
    states: list[dict[str, Tensor]] = []
    restored = None
    for name in ("whole", "rest"):
        session = LocalSession(tmp_path / name, restored)
        PretrainingExperiment.run(config.to_json(), session)
        states.append(torch.load(session.checkpoints[4], weights_only=True)["model"])
        restored = session.checkpoints.get(2)
    assert all(torch.equal(states[1][name], one) for name, one in states[0].items())


EACH: dict[str, dict[str, Any]] = {
    "dino": {},
    "byol": {"method__head__norm": "none", "method__predictor__norm": "none"},
    "cross_entropy": {"method__label_smoothing": 0.1},
    "focal": {},
}


@pytest.mark.parametrize("kind", EACH)
def test_each_image_has_the_loss_that_it_has_alone(kind: str) -> None:
    sam = {"optimizer__kind": "sam", "optimizer__example_share": 0.5}
    experiment = PretrainingExperiment.create(made(kind, **EACH[kind], **sam).to_json())
    experiment.load()
    experiment.eval()
    batch = experiment.batch(1)
    found = experiment(batch, 1)
    assert found.each is not None
    torch.testing.assert_close(found.each.mean(), found.total)
    alone = [experiment({n: one[b : b + 1] for n, one in batch.items()}, 1).total for b in range(8)]
    torch.testing.assert_close(found.each, torch.stack(alone))


def test_each_image_of_supervised_training_has_its_loss() -> None:
    config = Supervised().with_values(
        {"optimizer.kind": "sam", "optimizer.example_share": 0.5, "augmentation.mixup": 0.4}
    )
    experiment = SupervisedExperiment.create({**config.to_json(), "label_smoothing": 0.1})
    experiment.load()
    found = experiment(experiment.batch(1), 1)
    assert found.each is not None and found.each.shape == (32,)
    torch.testing.assert_close(found.each.mean(), found.total)


@pytest.mark.parametrize("kind", ["simclr", "supcon", "moco", "paco", "gpaco", "multi_task"])
def test_a_loss_that_compares_images_is_refused_before_a_run(kind: str) -> None:
    sentence = f"optimizer.example_share must be 1 with method.kind '{kind}', whose loss compares"
    with pytest.raises(ValueError, match=sentence):
        made(kind, optimizer__kind="sam", optimizer__example_share=0.5)
    assert isinstance(made(kind, optimizer__kind="sam", optimizer__adaptive=True), Pretraining)


def test_a_loss_that_says_nothing_of_examples_is_refused_with_a_sentence(tmp_path: Path) -> None:
    class Silent(Precise):
        def forward(self, batch: dict[str, Tensor], step: int) -> Any:
            return super().forward(batch, step)._replace(each=None)

    with pytest.raises(ValueError, match="optimizer.example_share must be 1 for Silent, which"):
        trained(Silent, configured(), tmp_path)


@pytest.mark.parametrize(("share", "number"), [(0.5, 2), (0.01, 1), (0.8, 4), (1.0, 5)])
def test_the_largest_rises_are_chosen_and_one_at_least(share: float, number: int) -> None:
    rises = torch.tensor([0.1, -2.0, 3.0, 0.5, 0.2])
    found = most_risen(rises, share)
    assert found.number == number == int(found.marks.sum())
    assert set(rises[found.marks].tolist()) == set(
        rises.sort(descending=True).values[:number].tolist()
    )


@pytest.mark.parametrize(
    ("marks", "rows", "weights"),
    [
        ([0, 0, 0], [0, 1], [0, 0]),
        ([0, 0, 1], [0, 2], [0, 1]),
        ([0, 1, 1], [1, 2], [1, 1]),
        ([1, 1, 1], [0, 1, 2], [1, 1, 1]),
        ([0], [0], [0]),
    ],
)
def test_where_fewer_than_two_are_chosen_others_count_nothing(
    marks: list[int], rows: list[int], weights: list[int]
) -> None:
    chosen = Chosen(torch.tensor([False] * len(marks) + [one > 0 for one in marks]), 2)
    part, found = chosen.of({"images": torch.arange(len(marks))}, 1, 2)
    assert part["images"].tolist() == rows and found.tolist() == weights
    assert float(chosen.mean(torch.full((len(rows),), 4.0), found)) == 2 * sum(weights)


@pytest.mark.parametrize(
    "values",
    [
        {"training.batch_size": 8, "training.num_micro_batches": 4},
        {"training.batch_size": 16, "optimizer.example_share": 0.01},
    ],
)
def test_networks_with_batch_statistics_take_the_second_gradient_of_few(
    values: dict[str, Any], tmp_path: Path
) -> None:
    """The last maps of 32 pixels are single places: one image alone has no variance."""
    config = Supervised().with_values(
        {
            "data.limit": 60,
            "model.kind": "timm",
            "model.name": "resnet10t",
            "model.image_size": 32,
            "optimizer.kind": "sam",
            "optimizer.example_share": 0.5,
            "training.steps": 2,
            "training.log_every": 1,
            **values,
        }
    )
    found = trained(SupervisedExperiment, config.to_json(), tmp_path)
    assert all(one.isfinite().all() for one in found["state"].values() if one.is_floating_point())
