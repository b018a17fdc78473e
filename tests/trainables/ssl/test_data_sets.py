"""Supervised training on sets of the catalogue: every set's shapes, exact when resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables import runs
from tests.trainables.data import files
from tests.trainables.runs import EVERYTHING, Ending, Killed
from trainables.core import checkpoint
from trainables.core.session import LocalSession
from trainables.data import images
from trainables.data.catalog import MNIST
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment

SETS = ("fashion_mnist", "mnist", "cifar10", "cifar100", "folder")


def of(name: str, root: Path, **more: Any) -> Supervised:
    """Everything on, over a small set written below a root."""
    values: dict[str, Any] = {"data.name": name, "data.root": str(root), "augmentation.flips": True}
    if name == "folder":
        files.write_images(root / "pets")
        values |= {"data.path": str(root / "pets"), "data.image_size": 16}
    elif name.startswith("cifar"):
        files.write_cifar(root, name, packed=False)
    else:
        files.write_mnist(root / name)
    values |= {"training.batch_size": 8, "augmentation.shift": 2, "model.patch_size": 4}
    return EVERYTHING.with_values(values | more)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_resumed_equals_uninterrupted(tmp_path: Path, name: str) -> None:
    config = of(name, tmp_path)
    whole = runs.run(config, tmp_path / "whole")
    killed = Ending(tmp_path / "killed", 5, recorded=True)
    with pytest.raises(Killed):
        SupervisedExperiment.run(config.to_json(), killed)
    rest = runs.run(config, tmp_path / "rest", runs.last(killed))
    assert killed.reports | rest.reports == whole.reports and rest.reports.keys() == {5, 6, 7}
    ends = [checkpoint.fingerprint(one.checkpoints[7]) for one in (rest, whole)]
    assert ends[0] == ends[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_a_run_says_which_data_it_saw(tmp_path: Path, name: str) -> None:
    facts = runs.run(of(name, tmp_path, **{"training.steps": 1}), tmp_path / "run").facts
    sizes = {
        "fashion_mnist": (100, 20, 40),
        "mnist": (100, 20, 40),
        "cifar10": (90, 10, 20),
        "cifar100": (18, 2, 20),
        "folder": (16, 4, 4),
    }[name]
    assert facts["data.name"] == name and len(str(facts["data.fingerprint"])) == 16
    assert facts["data.split_sizes"] == dict(zip(("train", "val", "test"), sizes, strict=True))


@pytest.mark.slow
def test_where_a_set_lies_changes_nothing(tmp_path: Path) -> None:
    here, there = of("mnist", tmp_path / "here"), of("mnist", tmp_path / "there")
    assert here.digest() == there.digest()
    first, second = (runs.run(one, Path(one.data.root) / "run") for one in (here, there))
    assert first.reports == second.reports
    assert first.facts["data.fingerprint"] == second.facts["data.fingerprint"]


def test_a_checkpoint_is_evaluated_where_the_set_lies_now(tmp_path: Path) -> None:
    trained = runs.run(of("mnist", tmp_path / "here"), tmp_path / "run")
    (tmp_path / "here").rename(tmp_path / "there")
    saved = trained.checkpoints[7]
    found = SupervisedExperiment.trained(saved, {"data.root": str(tmp_path / "there")})
    session = LocalSession(tmp_path / "again", saved)
    SupervisedExperiment.evaluate(found, session)
    assert session.reports[7]["val/loss"] == trained.reports[7]["val/loss"]


def test_a_batch_holds_the_examples_that_it_names(tmp_path: Path) -> None:
    values: dict[str, Any] = {f"augmentation.{name}": 0 for name in ("shift", "mixup", "cutmix")}
    values |= {"augmentation.smallest_crop": 1, "augmentation.flips": False, "data.limit": 50}
    experiment = SupervisedExperiment.create(of("mnist", tmp_path, **values).to_json())
    experiment.load()
    batch = experiment.batch(3)
    train = images.load(MNIST, root=tmp_path, limit=50).train
    assert experiment.num_examples == 50
    assert torch.equal(batch["images"], train.take(batch["examples"]))
    assert torch.equal(batch["labels"], train.labels[batch["examples"]])


def test_flips_are_functions_of_seed_and_step(tmp_path: Path) -> None:
    config = of("mnist", tmp_path)
    one, other, plain = (
        SupervisedExperiment.create(each.to_json())
        for each in (config, config, config.with_values({"augmentation.flips": False}))
    )
    for experiment in (one, other, plain):
        experiment.load()
    assert torch.equal(one.batch(4)["images"], other.batch(4)["images"])
    assert not torch.equal(one.batch(4)["images"], plain.batch(4)["images"])


def test_what_is_missing_is_said_by_the_configuration(tmp_path: Path) -> None:
    config = Supervised().with_values({"data.name": "cifar10", "data.root": str(tmp_path)})
    assert "raysearch data get cifar10 --root" in str(config.missing())
    absent = {"data.name": "folder", "data.path": str(tmp_path / "no")}
    assert "data.path must be a folder" in str(Supervised().with_values(absent).missing())
    assert Supervised().missing() is None and of("mnist", tmp_path).missing() is None
