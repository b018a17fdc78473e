"""What pretrained features are good for: whose they are, and what stands beside them."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.metrics.pairwise import cosine_similarity

from tests.trainables.ssl.test_pretraining import distilling, loaded, moved
from trainables.metrics.collapse import collapse_of_vectors
from trainables.metrics.intervals import wilson
from trainables.ssl.measuring import Measuring
from trainables.ssl.pretraining import PretrainingExperiment


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
    chosen = Measuring(experiment)._bank()
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
