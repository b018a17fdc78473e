"""Pictures of pretraining: whose they are, what they say, and that none ends a run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.ssl.pretrained import loaded, made, moved
from trainables.core.experiment import Evaluated
from trainables.core.session import LocalSession
from trainables.layers.last_maps import map_and_gradient
from trainables.metrics.embedding_maps import principal_components, purity
from trainables.metrics.grad_cam import grad_cam
from trainables.ssl.explaining import class_means
from trainables.ssl.features import BANK, Features, digest
from trainables.ssl.measuring import Measuring
from trainables.ssl.pictures import Pictures, one_of_each, pairs_of_classes
from trainables.ssl.pretraining import PretrainingExperiment

NAMES = {"views", "tsne", "pca", "attention", "grad_cam", "correspondence"}


def drawn(experiment: PretrainingExperiment, last: bool = True) -> Evaluated:
    with torch.inference_mode():
        return Pictures(experiment.eval(), Features(experiment)).draw(last)


def given(found: Evaluated, name: str) -> dict[str, Any]:
    """What a picture is drawn of."""
    draw: Any = found.figures[name]
    return draw.keywords


def test_all_are_drawn_at_the_last_time_and_leave_no_trace(tmp_path: Path) -> None:
    experiment = loaded(data__limit=200)
    before = {name: one.clone() for name, one in experiment.state_dict().items()}
    assert drawn(experiment, last=False) == Evaluated({})
    found = drawn(experiment)
    assert found.figures.keys() == NAMES and found.values.keys() == {"tsne_purity", "pca_purity"}
    for name, write in found.figures.items():
        write(tmp_path / f"{name}.png")
    assert all(torch.equal(one, before[name]) for name, one in experiment.state_dict().items())
    assert all(one.grad is None for one in experiment.parameters())


def test_what_is_not_asked_for_is_not_drawn() -> None:
    names = {"views": "views", "tsne": "embedding__points", "attention": "attention"}
    names |= {"grad_cam": "grad_cam", "correspondence": "correspondence"}
    for name, setting in names.items():
        others = {f"evaluation__figures__{one}": 0 for one in names.values() if one != setting}
        assert name in drawn(loaded("simclr", **others)).figures
        nothing = others | {f"evaluation__figures__{setting}": 0}
        assert drawn(loaded("simclr", **nothing)) == Evaluated({})


def test_they_are_of_the_network_that_one_goes_on_with() -> None:
    experiment = loaded(data__limit=200)
    moved(experiment.learner.student)
    found = given(drawn(experiment), "grad_cam")
    positions = one_of_each(experiment.data.val.labels, 8)
    labels = experiment.data.val.labels[positions]
    backbone = experiment.learner.kept.backbone
    train = experiment.data.train
    with torch.no_grad():
        bank = backbone.embed(train.take(torch.arange(len(train))))
    goals = torch.stack([bank[train.labels == one].mean(0) for one in labels.tolist()])
    maps = map_and_gradient(
        backbone,
        experiment.data.val.take(positions),
        lambda one: torch.cosine_similarity(one, goals),
    )
    torch.testing.assert_close(found["maps"], grad_cam(*maps), rtol=1e-4, atol=1e-7)
    assert experiment.learner.kept is not experiment.learner.student


def test_views_are_pixels_again_beside_their_sources() -> None:
    """Of crops that are whole images which nothing distorts it is the source."""
    plain = {"views.kind": "contrastive", "views.size": 8, "views.min_area": 1.0}
    values = plain | {"views.strength": 0.0, "views.flips": False}
    experiment = PretrainingExperiment.create(made("simclr").with_values(values).to_json())
    experiment.load()
    found = given(drawn(experiment), "views")
    sources, [views] = found["sources"], found["views"]
    positions = one_of_each(experiment.data.train.labels, 4)
    assert torch.equal(sources, experiment.data.train.pixels(positions))
    torch.testing.assert_close(views, sources[:, None].expand_as(views), rtol=0, atol=1e-5)
    assert found["notes"] == ["large: 8 px, 1 … 1 of area"]


def test_purity_is_that_of_the_map_that_is_drawn() -> None:
    experiment = loaded("simclr", data__limit=400, evaluation__figures__embedding__points=40,
                        evaluation__figures__embedding__class_means=True)  # fmt: skip
    found = drawn(experiment)
    shown = given(found, "pca")
    assert shown["points"].shape == (40, 2) and shown["means"].shape == (10, 2)
    assert found.values["pca_purity"] == purity(shown["points"], shown["labels"])
    assert found.values["tsne_purity"] == purity(given(found, "tsne")["points"], shown["labels"])
    vectors = Features(experiment).of(experiment.learner.kept, "val").detach()
    assert len(vectors) > 40
    with pytest.raises(AssertionError):  # means move the components a little
        torch.testing.assert_close(shown["points"], principal_components(vectors)[0][:40])


def test_a_class_without_a_point_has_no_mean() -> None:
    values = {"points": 8, "class_means": True}
    experiment = loaded(
        "simclr", **{f"evaluation__figures__embedding__{k}": v for k, v in values.items()}
    )
    shown = given(drawn(experiment), "tsne")
    assert len(shown["means"]) == len(shown["labels"].unique()) < 10


def test_means_are_those_of_each_class() -> None:
    vectors, labels = torch.randn(7, 3), torch.tensor([0, 2, 2, 0, 3, 3, 3])
    found = class_means(vectors, labels)
    for label in (0, 2, 3):
        torch.testing.assert_close(found[label], vectors[labels == label].mean(0))
    assert not found[1].any()


def test_pairs_are_of_one_class_each() -> None:
    """A class with a single image has none; the first pair of each class comes first."""
    labels = torch.tensor([0, 1, 2, 1, 2, 1, 2, 1])
    first, second = pairs_of_classes(labels, 9)
    assert (first.tolist(), second.tolist()) == ([1, 2, 5], [3, 4, 7])
    assert [one.tolist() for one in pairs_of_classes(labels, 1)] == [[1], [3]]
    assert [len(one) for one in pairs_of_classes(torch.arange(3), 4)] == [0, 0]


def test_images_areone_of_each_class_in_turn() -> None:
    labels = torch.tensor([2, 0, 0, 1, 2, 0])
    assert one_of_each(labels, 4).tolist() == [1, 3, 0, 2]


@pytest.mark.usefixtures("figures")
def test_one_that_fails_ends_no_run_and_the_others_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Pictures) -> Evaluated:
        raise RuntimeError("no memory left")

    monkeypatch.setattr(Pictures, "_grad_cam", fails)
    config = made("simclr", training__steps=1, evaluation__health=0)
    session = LocalSession(tmp_path)
    with caplog.at_level(logging.WARNING):
        PretrainingExperiment.run(config.to_json(), session)
    assert "pictures: grad_cam was not written" in caplog.text and "no memory left" in caplog.text
    drawn = {name for name in session.artifacts if "pictures" in name}
    assert drawn == {f"figures/pictures-{name}.png" for name in NAMES - {"grad_cam"}}
    assert "figures/val-knn_confusion.png" in session.artifacts
    assert 0 <= session.reports[1]["pictures/tsne_purity"] <= 1


@pytest.mark.usefixtures("figures")
def test_they_are_drawn_during_training_under_names_of_their_own(tmp_path: Path) -> None:
    """All but the views, at the steps that are asked for; those of the last time as ever."""
    off = {f"evaluation.figures.{one}": 0 for one in ("grad_cam", "embedding.points", "views")}
    values = {"training.steps": 3, "evaluation.health": 0, "evaluation.figures.draw_every": 2}
    config = made("simclr", data__limit=100).with_values({**off, **values})
    session = LocalSession(tmp_path)
    PretrainingExperiment.run(config.to_json(), session)
    drawn = {name for name in session.artifacts if "pictures" in name}
    assert drawn == {
        f"figures/pictures-{name}{step}.png"
        for name in ("attention", "correspondence")
        for step in ("-00000002", "")
    }
    assert config.digest() != config.with_values({"evaluation.figures.draw_every": 0}).digest()


def test_a_network_that_collapsed_is_drawn(tmp_path: Path) -> None:
    experiment = loaded("simclr")
    with torch.no_grad():
        for one in experiment.learner.student.parameters():
            one.zero_()
    found = drawn(experiment)
    assert found.figures.keys() == NAMES
    for name, write in found.figures.items():
        write(tmp_path / f"{name}.png")


class Counting(Features):
    """Counts how often images are looked at."""

    def __init__(self, experiment: PretrainingExperiment) -> None:
        super().__init__(experiment)
        self.looks: list[str] = []

    def _computed(self, embed: Any, split: str) -> Tensor:
        self.looks.append(split)
        return super()._computed(embed, split)


def test_features_are_computed_once_until_weights_change() -> None:
    experiment = loaded(evaluation__probe__steps=3).eval()
    features = Counting(experiment)
    with torch.inference_mode():
        for split in ("val", "test"):
            Measuring(experiment, features).classify(split, True)
        Pictures(experiment, features).draw(True)
        assert sorted(features.looks) == sorted([BANK, "val", "test"] * 2)
        for looks in ([BANK, "val"] * 2, [BANK, "val"]):  # of both; of the student, that moved
            features.looks.clear()
            Measuring(experiment, features).classify("val", False)
            assert features.looks == looks
            moved(experiment.learner.student)


def test_the_digest_of_weights_is_of_their_names_and_bits() -> None:
    student = loaded("simclr").learner.student
    before = digest(student)
    assert digest(student) == before
    with torch.no_grad():
        next(student.buffers(), next(student.parameters())).view(-1)[0] += 1e-6
    assert digest(student) != before
