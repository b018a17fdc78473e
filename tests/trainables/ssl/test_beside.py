"""Another checkpoint beside a network: what is said of both is what each of them says alone."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables import runs
from tests.trainables.ssl.pretrained import made, moved
from trainables.core import checkpoint
from trainables.core.checkpoint import Position
from trainables.core.experiment import Evaluated, Experiment
from trainables.core.session import LocalSession
from trainables.metrics.cka import linear_cka
from trainables.metrics.intervals import paired
from trainables.ssl.beside import compared
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.features import BANK, Features
from trainables.ssl.measuring import Measuring
from trainables.ssl.pretraining import PretrainingExperiment

LIMIT = {"data__limit": 200, "evaluation__health": 0}


def saved(experiment: Experiment, path: Path) -> Path:
    """A checkpoint of the networks as they are."""
    optimizer = torch.optim.SGD(experiment.parameters(), 0.1)
    return checkpoint.save(path, Position(3), experiment, optimizer, experiment.config)


def drawn(config: Pretraining | Supervised) -> Any:
    kind = SupervisedExperiment if isinstance(config, Supervised) else PretrainingExperiment
    experiment = kind.create(config.to_json())
    experiment.load()
    return experiment.eval()


def beside(config: Pretraining, file: Path, **values: Any) -> Evaluated:
    named = {f"evaluation.{k.replace('__', '.')}": one for k, one in values.items()}
    experiment = drawn(config.with_values({"evaluation.beside.file": str(file), **named}))
    [evaluation] = [one for one in experiment.evaluations() if one.name == "beside"]
    with torch.inference_mode():
        assert evaluation.function(False) == Evaluated({})
        return evaluation.function(True)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of DINO, whose student has moved away."""
    experiment = drawn(made("dino", training__seed=5, **LIMIT))
    moved(experiment.learner.student)
    return saved(experiment, tmp_path_factory.mktemp("other") / "dino.pt")


def test_another_way_to_learn_from_the_same_images_may_stand_beside(tmp_path: Path) -> None:
    """One that was taught by labels of a network which is gone, and saw images in 0…1."""
    values = {**LIMIT, "data__standardise": "none"}
    config = made("simclr", **values)
    labels = {"weights_file": str(tmp_path / "gone.pt"), "weights_part": "student"}
    taught = config.with_values(
        {"data.labels_from.by": "probe", "data.labels_share": 0.5}
        | {f"data.labels_from.{name}": one for name, one in labels.items()}
    )
    experiment = drawn(config)
    experiment.config = taught
    other = saved(experiment, tmp_path / "taught.pt")
    found = beside(made("simclr", **LIMIT), other).values
    [alone] = [one for one in drawn(config).evaluations() if one.name == "val"]
    with torch.inference_mode():
        wanted = alone.function(False).values["knn"]
    assert found["knn"] == pytest.approx(wanted)


def test_a_network_beside_itself_agrees_in_everything(tmp_path: Path) -> None:
    config = made("simclr", evaluation__probe__steps=20, **LIMIT)
    file = saved(drawn(config), tmp_path / "own.pt")
    found = beside(config, file, beside__images=0).values
    for name in ("knn", "probe"):
        assert found[f"{name}_agreement"] == 1 and found[f"{name}_gain"] == 0
        assert found[f"{name}_only_here"] == found[f"{name}_only_other"] == 0
    assert found["cka"] == pytest.approx(1)


@pytest.mark.parametrize("part", [None, "student"])
def test_what_is_said_of_both_is_what_each_says_alone(teacher: Path, part: str | None) -> None:
    """By neighbours in one bank; the other one is its teacher unless it is told otherwise."""
    config = made("simclr", **LIMIT)
    here, there = drawn(config), drawn(made("dino", training__seed=5, **LIMIT))
    checkpoint.load(teacher, there)
    network = there.learner.apart()[part or "teacher"]
    with torch.inference_mode():
        both = []
        for experiment, one in ((here, here.learner.kept), (there, network)):
            features = Features(experiment)
            bank, tested = features.of(one, BANK), features.of(one, "val")
            both.append((Measuring(experiment, features).votes(bank, tested).argmax(1), tested))
    labels = here.data.val.labels
    rights = [answers == labels for answers, _ in both]
    found = beside(config, teacher, beside__part=part, beside__images=0).values
    assert found["knn"] == float(rights[1].double().mean())
    gain = paired(rights[1], rights[0])
    assert tuple(found[f"knn_gain{end}"] for end in ("", "_low", "_high")) == gain
    assert gain[0] == pytest.approx(found["knn_only_here"] - found["knn_only_other"])
    assert found["cka"] == pytest.approx(linear_cka(both[0][1], both[1][1]), rel=1e-5)


def test_pictures_and_answers_of_both_are_written(teacher: Path, tmp_path: Path) -> None:
    found = beside(made("simclr", **LIMIT), teacher)
    assert found.figures.keys() == {"maps", "tsne"}
    names = [name for name, _ in found.figures["maps"].keywords["rows"]]  # pyright: ignore
    assert names == [
        "attention, this one", "attention, the other", "Grad-CAM, this one", "Grad-CAM, the other",
    ]  # fmt: skip
    for name, write in found.figures.items():
        write(tmp_path / f"{name}.png")
    found.records["answers"](tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open() as file:
        rows = list(csv.DictReader(file))
    right = [row["class"] == row["knn_other"] for row in rows]
    assert sum(right) / len(rows) == pytest.approx(found.values["knn"])


def test_a_supervised_network_of_another_kind_is_put_beside(tmp_path: Path) -> None:
    """Of fewer images, which are only those that it has learned from."""
    config = Supervised().with_values({"data.limit": 100, "model.patch_size": 4})
    file = saved(drawn(config), tmp_path / "supervised.pt")
    found = beside(made("simclr", **LIMIT), file, probe__steps=5, beside__images=2)
    assert 0 <= found.values["probe_agreement"] <= 1 and found.figures.keys() == {"maps", "tsne"}


def test_a_run_says_it_once_and_evaluating_its_checkpoint_the_same(
    teacher: Path, tmp_path: Path
) -> None:
    """With settings of evaluations alone: networks that were trained are not trained again."""
    config = made("simclr", training__steps=2, training__evaluate_every=1, **LIMIT)
    off = {f"evaluation.figures.{one}": 0 for one in ("views", "attention", "grad_cam")}
    config = config.with_values({**off, "evaluation.figures.embedding.points": 0})
    values = {"evaluation.beside.file": str(teacher), "evaluation.beside.images": 0}
    trained = LocalSession(tmp_path / "trained")
    PretrainingExperiment.run(config.with_values(values).to_json(), trained)
    assert "beside/knn" not in trained.reports[1]
    again = LocalSession(tmp_path / "again", runs.last(trained))
    PretrainingExperiment.evaluate(config.with_values(values).to_json(), again)
    said = {k: v for k, v in trained.reports[2].items() if k.startswith("beside/")}
    assert said and said.items() <= again.reports[2].items()


def test_gains_are_differences_of_shares() -> None:
    labels = torch.tensor([0, 1, 2, 3])
    found = compared("knn", torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 0, 3]), labels)
    assert found["knn"] == 0.5 and found["knn_gain"] == 0.25
    assert (found["knn_only_here"], found["knn_only_other"]) == (0.5, 0.25)
    assert found["knn_agreement"] == 0.25


def test_a_checkpoint_counts_by_its_content(teacher: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied.pt"
    copied.write_bytes(teacher.read_bytes())
    start = made("simclr")
    both = [start.with_values({"evaluation.beside.file": str(one)}) for one in (teacher, copied)]
    assert both[0].digest() == both[1].digest() != start.digest()
    assert "beside" not in start.canonical()["evaluation"]
    other = start.with_values({"evaluation.beside.images": 3, "evaluation.beside.part": "student"})
    assert other.digest() == start.digest()


def test_one_that_does_not_fit_is_refused_before_training(teacher: Path, tmp_path: Path) -> None:
    start = made("simclr", evaluation__beside__file=str(tmp_path / "none.pt"))
    assert start.missing() == (
        f"evaluation.beside.file must be a checkpoint that a run has saved, got "
        f"'{tmp_path / 'none.pt'}': no file"
    )
    with pytest.raises(ValueError, match=r"same images: data.split_seed is 0 in .* and 1 here"):
        beside(made("simclr", data__split_seed=1, **LIMIT), teacher)
    file = saved(drawn(made("simclr", **LIMIT)), tmp_path / "simclr.pt")
    with pytest.raises(ValueError, match="beside.part must be null or 'student'"):
        beside(made("simclr", **LIMIT), file, beside__part="teacher")
    config = Supervised().with_values({"model.kind": "perceptron"})
    file = saved(drawn(config), tmp_path / "perceptron.pt")
    with pytest.raises(ValueError, match="with features .* got 'perceptron'"):
        beside(made("simclr", **LIMIT), file)


def test_values_of_no_other_checkpoint_are_said() -> None:
    start = Pretraining()
    assert "take evaluation.beside.file" in str(start.unreported("beside/knn_gain"))
    there = start.with_values({"evaluation.beside.file": "a.pt"})
    assert there.unreported("beside/knn_gain") is None
    assert "needs a probe" in str(there.unreported("beside/probe_gain"))
