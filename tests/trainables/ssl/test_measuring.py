"""What pretrained features are good for: whose they are, and what stands beside them."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_recall_fscore_support
from sklearn.metrics.pairwise import cosine_similarity

from tests.trainables.ssl.pretrained import distilling, loaded, moved
from trainables.metrics.collapse import collapse_of_vectors
from trainables.metrics.intervals import wilson
from trainables.ssl.evaluations import Probe
from trainables.ssl.features import BANK, Features, shrunk
from trainables.ssl.measuring import Measuring
from trainables.ssl.pretraining import PretrainingExperiment
from trainables.ssl.probing import probed


def features(experiment: PretrainingExperiment, network: Any) -> tuple[Any, Any]:
    """Of all training images and of the validation split."""
    with torch.no_grad(), experiment.learner.evaluating():
        splits = experiment.eval().data.train, experiment.data.val
        found = [network.embed(one.take(torch.arange(len(one)))).numpy() for one in splits]
    return found[0], found[1]


def voted(bank: Any, labels: Any, queries: Any, number: int, temperature: float | None) -> Any:
    """Class by class, query by query."""
    found: list[int] = []
    for cosines in cosine_similarity(queries, bank).astype(np.float64):
        nearest = np.argsort(-cosines)[:number]
        shown = cosines[nearest] / temperature if temperature else 0 * nearest
        votes = np.zeros(10)
        np.add.at(votes, labels[nearest], np.exp(shown))
        found.append(int(votes.argmax()))
    return np.array(found)


@pytest.mark.parametrize("temperature", [0.07, None])
def test_neighbours_vote_as_counted_one_by_one(temperature: float | None) -> None:
    values = {"number": 5, "temperature": temperature}
    named = {f"evaluation__neighbours__{name}": value for name, value in values.items()}
    experiment = loaded("simclr", **named)
    bank, queries = features(experiment, experiment.learner.student)
    labels, true = experiment.data.train.labels.numpy(), experiment.data.val.labels.numpy()
    answers = voted(bank, labels, queries, 5, temperature)
    found = measured(experiment)
    assert found["knn"] == pytest.approx((answers == true).mean())
    assert found["knn_f1"] == pytest.approx(f1_score(true, answers, average="macro"))
    assert (found["knn_low"], found["knn_high"]) == wilson(found["knn"], len(true))


def measured(experiment: PretrainingExperiment, split: str = "val", last: bool = False) -> Any:
    with torch.inference_mode():
        return Measuring(experiment.eval()).classify(split, last).values


def test_scores_of_the_teacher_are_those_of_the_teacher() -> None:
    """As they would not be if both were computed on the student."""
    experiment = loaded(data__limit=200)
    learner = distilling(experiment)
    with torch.no_grad():
        for one in learner.teacher.network.get_submodule("backbone").parameters():
            one.zero_()  # all images look alike to it
    found = measured(experiment)
    assert found["knn"] == found["teacher/knn"] != found["student/knn"]
    assert found["teacher/knn_f1"] < 0.1 < found["student/knn_f1"]


def test_a_frozen_teacher_is_not_what_one_goes_on_with() -> None:
    experiment = loaded(method__teacher="frozen", data__limit=200)
    moved(experiment.learner.student)
    found = measured(experiment)
    assert found["knn"] == found["student/knn"] != found["teacher/knn"]


def test_the_bank_has_so_many_images_of_each_class() -> None:
    experiment = loaded("simclr", data__limit=100, evaluation__neighbours__bank=20)
    chosen = Features(experiment).bank
    counts = experiment.data.train.labels[chosen].bincount(minlength=10)
    assert len(chosen) == 20 and counts.tolist() == [2] * 10


def test_beside_them_stand_the_majority_and_pixels() -> None:
    experiment = loaded(data__limit=200)
    rows = Measuring(experiment).references("val")
    train, val = experiment.data.train, experiment.data.val
    share = float((val.labels == train.labels.bincount().argmax()).double().mean())
    assert rows["majority"]["knn"] == rows["majority"]["teacher/knn"] == pytest.approx(share)
    pixels = [one.take(torch.arange(len(one))).flatten(1).numpy() for one in (train, val)]
    answers = voted(pixels[0], train.labels.numpy(), pixels[1], 20, 0.07)
    assert rows["pixels"]["knn"] == pytest.approx((answers == val.labels.numpy()).mean())
    names = measured(experiment).keys()
    assert rows["pixels"].keys() == rows["majority"].keys() == names


def test_a_validation_image_that_is_in_the_bank_is_said(caplog: pytest.LogCaptureFixture) -> None:
    experiment = loaded("simclr")
    experiment.data.val.images[1] = experiment.data.train.images[3]  # pyright: ignore
    with caplog.at_level(logging.WARNING):
        Measuring(experiment).references("val")
    assert "1 of 15 images of val are in the bank of training images" in caplog.text


def test_a_probe_reads_at_the_last_time_what_a_regression_reads() -> None:
    experiment = loaded("simclr", data__limit=400, evaluation__probe__steps=200)
    bank, queries = features(experiment, experiment.learner.student)
    labels, true = experiment.data.train.labels.numpy(), experiment.data.val.labels.numpy()
    scale = bank.std(0)
    theirs = LogisticRegression(max_iter=5000).fit(bank / scale, labels)
    expected = theirs.score(queries / scale, true)
    assert measured(experiment, last=True)["probe"] == pytest.approx(expected, abs=0.1)
    assert "probe" not in measured(experiment)
    rows = Measuring(experiment).references("val")
    assert rows["majority"]["probe"] == rows["majority"]["knn"] < rows["pixels"]["probe"]


def test_all_scores_of_both_are_those_of_scikit_learn() -> None:
    """Of the answers in the confusion matrices that are drawn beside them."""
    experiment = loaded("simclr", data__limit=400, evaluation__probe__steps=40)
    with torch.inference_mode():
        found = Measuring(experiment.eval()).classify("val", True)
    assert {"knn_confusion", "probe_confusion"} <= found.figures.keys()
    reference: Any = precision_recall_fscore_support
    for name in ("knn", "probe"):
        draw: Any = found.figures[f"{name}_confusion"]
        counts = draw.keywords["counts"].numpy()
        true, said = (np.repeat(one.ravel(), counts.ravel()) for one in np.indices(counts.shape))
        for average, ending in (("macro", ""), ("weighted", "_weighted")):
            known = reference(true, said, average=average, zero_division=0)
            for score, value in zip(("precision", "recall", "f1"), known[:3], strict=True):
                if f"{score}{ending}" != "recall_weighted":  # it is the accuracy
                    assert found.values[f"{name}_{score}{ending}"] == pytest.approx(value)
        assert found.values[name] == pytest.approx((true == said).mean())
        assert found.values[name] <= found.values[f"{name}_top5"] <= 1


def test_the_probe_is_the_one_that_validation_chooses_whatever_is_tested() -> None:
    """With a rate of which nothing is learned beside one of which much is."""
    rates: Any = (1e-9, 0.3)
    settings = {"evaluation__probe__steps": 30, "evaluation__probe__rates": rates}
    experiment = loaded("simclr", data__limit=400, **settings)
    for split in ("test", "val"):
        found = measured(experiment, split, last=True)
        assert found["probe_rate"] == 0.3 and found["probe_weight_decay"] == 0.0
        assert found["probe"] > 0.2
    rows = Measuring(experiment).references("test")
    assert rows["pixels"]["probe"] > 0.5 and rows["pixels"].keys() == found.keys()


def test_the_probe_is_never_chosen_by_what_it_is_tested_on() -> None:
    """A test split on which all that is learned is wrong changes nothing."""
    random = torch.Generator().manual_seed(0)
    known = {name: torch.arange(40) % 4 for name in (BANK, "val")}
    labels = known | {"test": (known["val"] + 1) % 4}
    seen = {name: torch.eye(4)[torch.arange(40) % 4] + 0.1 * torch.randn(40, 4, generator=random)
            for name in labels}  # fmt: skip
    settings = Probe(steps=40, rates=(1e-9, 0.3))
    for split, accuracy in (("val", 1.0), ("test", 0.0)):
        found = probed(loaded("simclr"), settings, split, 4, seen.__getitem__, labels.__getitem__)
        assert found.values["probe"] == accuracy and found.values["probe_rate"] == 0.3


def test_the_probe_sees_several_blocks_and_neighbours_the_last_alone() -> None:
    settings: dict[str, Any] = {"evaluation__probe__steps": 5, "data__limit": 200}
    one = loaded("simclr", **settings)
    two = loaded("simclr", **settings, evaluation__probe__blocks=2)
    features = Features(two.eval())
    with torch.no_grad():
        wide = features.of_blocks(two.learner.kept, "val")
    assert wide.shape[1] == 2 * two.learner.kept.backbone.width
    assert torch.equal(features.of(two.learner.kept, "val"), wide[:, 8:])
    found, plain = measured(two, last=True), measured(one, last=True)
    assert found["knn"] == plain["knn"] and found["knn_top5"] == plain["knn_top5"]


def test_the_first_five_of_a_majority_are_the_five_largest_classes() -> None:
    experiment = loaded("simclr", data__limit=200)
    rows = Measuring(experiment).references("val")
    counts = experiment.data.train.labels.bincount(minlength=10)
    five = torch.argsort(counts, descending=True, stable=True)[:5]
    share = torch.isin(experiment.data.val.labels, five).double().mean()
    assert rows["majority"]["knn_top5"] == pytest.approx(float(share))


def test_health_is_that_of_validation_images_the_same_each_time() -> None:
    experiment = loaded(data__limit=200).eval()
    with torch.inference_mode():
        found, again = (Measuring(experiment).health(False).values for _ in range(2))
    assert found == again
    assert found["loss"] == pytest.approx(found["entropy"] + found["divergence"], rel=1e-5)
    assert found["distance"] == 0.0 and found["centre"] == 0.0
    _, seen = features(experiment, experiment.learner.kept)
    for name, value in collapse_of_vectors(torch.from_numpy(seen[:8])).items():
        assert found[name] == pytest.approx(float(value))


def test_health_moves_nothing() -> None:
    experiment = loaded().eval()
    before = {name: one.clone() for name, one in experiment.state_dict().items()}
    with torch.inference_mode():
        Measuring(experiment).health(True)
    experiment.train().after_update(1)  # with a centre that was collected it would move
    learner = distilling(experiment)
    assert torch.equal(learner.centre.value, before["learner.centre.value"])
    assert learner.teacher.network.training


def test_large_images_are_averaged_before_their_pixels_are_compared() -> None:
    images = torch.rand(2, 1, 128, 64)
    means = images.view(2, 1, 64, 2, 32, 2).mean((3, 5))
    torch.testing.assert_close(shrunk(images), means.flatten(1))
    small = images[:, :, :64]
    assert torch.equal(shrunk(small), small.flatten(1))
