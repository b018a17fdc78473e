"""Labels by a network of an earlier trial: which, how many are right, who learns by them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.ssl.pretrained import made
from tests.trainables.ssl.test_going_on import VIT, written
from trainables.core import checkpoint
from trainables.core.session import LocalSession
from trainables.metrics.knn import class_votes
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.features import BANK, Features
from trainables.ssl.pretraining import PretrainingExperiment
from trainables.ssl.pretraining_task import LABELLED

ALL: dict[str, Any] = {"data.limit": 200}
FEW: dict[str, Any] = {**ALL, "data.labels_share": 0.2}


def by(file: str, kind: str = "classifier", part: str = "student", **more: Any) -> dict[str, Any]:
    found = {"weights_file": file, "weights_part": part, "by": kind, **more}
    return {f"data.labels_from.{name}": value for name, value in found.items()}


def labelled(kind: str, values: dict[str, Any]) -> tuple[PretrainingExperiment, dict[str, Any]]:
    config = made(kind).with_values(values)
    experiment = PretrainingExperiment.create(config.to_json())
    facts: Any = experiment.load()
    return experiment, facts


def supervised(**values: Any) -> Supervised:
    model: dict[str, Any] = {f"model.{name}": value for name, value in VIT.items()}
    return Supervised().with_values({**model, **ALL, **values})


NETWORKS: dict[str, dict[str, Any]] = {
    "vit": {},
    "timm": {"model.kind": "timm", "model.name": "test_resnet", "model.image_size": 32},
    "convolution": {"model.kind": "convolution"},
}


def answering(folder: Path, kind: str) -> tuple[str, SupervisedExperiment]:
    """A checkpoint of a classifier that names several classes."""
    vit = {f"model.{name}": value for name, value in VIT.items()} if kind == "vit" else {}
    config = Supervised().with_values({**vit, **ALL, **NETWORKS[kind]})
    experiment = SupervisedExperiment.create(config.to_json())
    experiment.load()
    head: Any = [one for one in experiment.modules() if isinstance(one, torch.nn.Linear)][-1]
    torch.nn.init.normal_(head.weight)
    with torch.no_grad():
        head.bias.copy_(-experiment.eval().predict(experiment._data.train).mean(0))
    path, optimizer = folder / "answering.pt", experiment.optimizer(experiment.parameter_groups())
    checkpoint.save(path, checkpoint.Position(7), experiment, optimizer, experiment.config)
    return str(path), experiment.eval()


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_classifier_labels_as_it_answers(tmp_path: Path, kind: str) -> None:
    file, there = answering(tmp_path, kind)
    with torch.no_grad():
        expected = there.predict(there._data.train).argmax(1)
    here, facts = labelled("supcon", {**ALL, **by(file)})
    assert torch.equal(here.split(LABELLED).labels, expected) and len(expected.unique()) > 2
    told, truth = facts["data.labels_from"], here.data.train.labels
    assert told["right"] == int((expected == truth).sum()) and told["labelled"] == 200
    assert told["majority"] == int(truth.bincount().max()) / 200
    assert told["accuracy"] == told["right"] / 200 and len(told["weights.sha256"]) == 64


def test_a_classifier_beside_a_contrast_labels_as_it_answers(tmp_path: Path) -> None:
    file, there = written(tmp_path, made("cross_entropy", **{"data__limit": 200}))
    assert isinstance(there, PretrainingExperiment)
    images = there.split("train").take(torch.arange(200))
    with torch.no_grad():
        logits = there.learner.classes_of(images)
    assert logits is not None
    here, _ = labelled("supcon", {**ALL, **by(file)})
    assert torch.equal(here.split(LABELLED).labels, logits.argmax(1))


@pytest.mark.parametrize("part", ["student", "teacher"])
def test_the_known_keep_their_labels_and_say_those_of_the_others(tmp_path: Path, part: str) -> None:
    file, there = written(tmp_path, made("dino", **{"data__limit": 200}))
    assert isinstance(there, PretrainingExperiment)
    here, facts = labelled("supcon", {**FEW, **by(file, "neighbours", part, neighbours=5)})
    every = here.data.with_unlabelled
    assert every is not None
    known = every.labels >= 0
    with torch.no_grad():
        features = there.learner.apart()[part].embed(every.take(torch.arange(200)))
    votes = class_votes(
        features[known], every.labels[known], features[~known], neighbors=5, num_classes=10
    )
    found, truth = here.split(LABELLED).labels, here.data.truth
    assert truth is not None and torch.equal(found[known], truth[known])
    assert torch.equal(found[~known], votes.argmax(1))
    told = facts["data.labels_from"]
    right = int((votes.argmax(1) == truth[~known]).sum())
    assert (told["known"], told["labelled"], told["right"]) == (40, 160, right)


def test_evaluations_have_true_labels_and_the_known_alone(tmp_path: Path) -> None:
    file, _ = written(tmp_path, made("dino", **{"data__limit": 200}))
    plain, _ = labelled("supcon", FEW)
    here, facts = labelled("supcon", {**FEW, **by(file, "probe")})
    assert here.num_examples == facts["data.trained_on"] == 200 and plain.num_examples == 40
    assert torch.equal(Features(here).labels(BANK), Features(plain).labels(BANK))
    for split in ("val", "test"):
        assert torch.equal(here.split(split).labels, plain.split(split).labels)


def test_the_unsure_are_left_out_and_some_must_be_sure(tmp_path: Path) -> None:
    file, _ = written(tmp_path, made("dino", **{"data__limit": 200}))
    sure = by(file, "neighbours", least_confidence=0.5, neighbours=5)
    whole, _ = labelled("supcon", {**FEW, **by(file, "neighbours", neighbours=5)})
    here, facts = labelled("supcon", {**FEW, **sure})
    told = facts["data.labels_from"]
    assert told["labelled"] + told["left_out"] == 160 and 0 < told["left_out"] < 160
    assert here.num_examples == 200 - told["left_out"] < whole.num_examples
    split, every = here.split(LABELLED), whole.split(LABELLED)
    rows = [[row.tobytes() for row in one.take(torch.arange(len(one))).numpy()]
            for one in (split, every)]  # fmt: skip
    expected = dict(zip(rows[1], every.labels.tolist(), strict=True))
    assert [expected[row] for row in rows[0]] == split.labels.tolist()
    with pytest.raises(ValueError, match=r"least_confidence must leave images .* got 0\.999"):
        labelled("supcon", {**FEW, **by(file, "probe", least_confidence=0.999)})


@pytest.mark.parametrize("kind", ["supcon", "cross_entropy", "paco"])
def test_methods_that_see_labels_are_trained_by_them(tmp_path: Path, kind: str) -> None:
    file, _ = written(tmp_path, made("dino", **{"data__limit": 200}))
    config = made(kind, **{"training__steps": 2}).with_values({**FEW, **by(file, "neighbours")})
    session = LocalSession(tmp_path / "run")
    PretrainingExperiment.run(config.to_json(), session)
    assert session.reports[2]["train/loss"] > 0 and "val/knn" in session.reports[2]
    told: Any = session.facts["data.labels_from"]
    assert told["known"] == 40 and session.facts["data.trained_on"] == 200


def test_supervised_training_learns_by_them_too(tmp_path: Path) -> None:
    file, _ = written(tmp_path, made("dino", **{"data__limit": 200}))
    values = {**FEW, **by(file, "neighbours"), "data.balanced": True}
    experiment = SupervisedExperiment.create(supervised(**values).to_json())
    experiment.load()
    batch = experiment.batch(1)
    assert experiment.num_examples == 200 > len(experiment._data.train)
    assert torch.equal(batch["labels"], experiment._learned.labels[batch["examples"]])


def test_the_digest_is_of_the_content_and_of_how_it_labels(tmp_path: Path) -> None:
    file, _ = written(tmp_path, made("dino"))
    shutil.copy(file, tmp_path / "other.pt")
    base = made("supcon").with_values(FEW)
    one, other = (base.with_values(by(str(path), "neighbours"))
                  for path in (file, tmp_path / "other.pt"))  # fmt: skip
    assert one.digest() == other.digest() != base.digest()
    assert one.digest() != base.with_values(by(file, "probe")).digest()
    assert one.digest() == one.with_values({"data.labels_from.least_confidence": 0.0}).digest()
    assert base.digest() == base.with_values(by(file, "nobody")).digest()
    assert base.with_values(by("none.pt", "nobody")).missing() is None
    plain = made("simclr").with_values(FEW)
    assert plain.with_values(by(file, "probe")).digest() == plain.digest()
    assert plain.with_values(by("none.pt", "probe")).missing() is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (by("a.pt", "probe"), r"labels_share must be below 1 with data.labels_from.by 'probe'.* 1"),
        (by("a.pt", part="teacher"), "by must be 'neighbours' or 'probe' with .*'teacher'"),
        ({"data.labels_from.weights_file": "a.pt"}, "weights_part must be 'student' or 'teacher'"),
        (
            {"data.labels_from.by": "probe"},
            "weights_file must be a checkpoint .* 'probe', got null",
        ),
        ({**by("a.pt"), "data.noisy_labels": 5}, "noisy_labels must be 0 with .* got 5"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Pretraining().with_values({"method.kind": "supcon", "views.small.count": 0, **values})


def test_files_that_cannot_label_are_named(tmp_path: Path) -> None:
    assert "data.labels_from.weights_file must be a checkpoint that a run has saved" in str(
        made("supcon").with_values(by("none.pt")).missing()
    )
    file, _ = written(tmp_path / "dino", made("dino"))
    with pytest.raises(ValueError, match="by must be 'neighbours' or 'probe' with .*no classifier"):
        labelled("supcon", by(file))
    file, _ = written(tmp_path / "simclr", made("simclr"))
    with pytest.raises(ValueError, match="data.labels_from.weights_part must be 'student' with"):
        labelled("supcon", {**FEW, **by(file, "probe", "teacher")})
    file, _ = written(tmp_path / "supervised", supervised())
    values = {"data.name": "fashion_mnist", **by(file)}
    if Pretraining().missing() is None:
        with pytest.raises(ValueError, match="on images of 28 pixels a side, got one on 8"):
            labelled("supcon", values)
