"""Landscapes of a run: their centre is its loss, nothing of the run moves, no default changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.trainables.ssl.pretrained import loaded, made
from trainables.core.experiment import Evaluated, Experiment
from trainables.core.randomness import derive
from trainables.core.session import LocalSession
from trainables.data.choosing import stratified
from trainables.metrics.directions import random_direction
from trainables.ssl import landscapes
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.pretraining import PretrainingExperiment

LOOKS: dict[str, Any] = {"evaluation.landscape.resolution": 3, "evaluation.landscape.images": 20}
LINE = {"resolution": 3, "dimensions": 1}
METHODS = ("dino", "simclr", "supcon", "byol", "moco")


def supervised(**values: Any) -> SupervisedExperiment:
    """An untrained network with its data."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    config = Supervised().with_values(
        {"model.kind": "residual", "model.depth": 8, **LOOKS, **named}
    )
    experiment = SupervisedExperiment.create(config.to_json())
    experiment.load()
    return experiment


def looked_at(experiment: Experiment) -> Evaluated:
    """As the loop does at the end of a run."""
    [evaluation] = [one for one in experiment.evaluations() if one.name == "landscape"]
    experiment.eval()
    with torch.inference_mode():
        assert evaluation.function(False).values == {}
        return evaluation.function(True)


@pytest.mark.parametrize("kind", ["residual", "convolution", "perceptron", "vit"])
def test_the_centre_is_the_loss_of_the_same_images(kind: str) -> None:
    values = {"model.depth": 8} if kind == "residual" else {}
    config = Supervised().with_values({**LOOKS, "model.kind": kind, **values})
    experiment = SupervisedExperiment.create(config.with_values({"label_smoothing": 0.1}).to_json())
    experiment.load()
    train = experiment._data.train
    chosen = torch.from_numpy(stratified(train.labels.numpy(), 20, 0))
    found = looked_at(experiment).values
    with torch.no_grad():
        logits = experiment.network(train.take(chosen))
    loss = functional.cross_entropy(logits, train.labels[chosen], label_smoothing=0.1)
    assert found["centre"] == pytest.approx(float(loss), abs=1e-6)
    assert found["accuracy"] == float((logits.argmax(1) == train.labels[chosen]).double().mean())
    assert abs(found["cosine"]) < 0.2 and found["not_finite"] == 0


def test_nothing_of_a_run_moves() -> None:
    experiment = supervised()
    before = {k: v.clone() for k, v in experiment.state_dict().items()}
    strides = [one.stride() for one in experiment.parameters()]
    looked_at(experiment)
    assert all(torch.equal(v, before[k]) for k, v in experiment.state_dict().items())
    assert strides == [one.stride() for one in experiment.parameters()]


@pytest.mark.slow
def test_pictures_and_files_are_written(tmp_path: Path) -> None:
    found = looked_at(supervised())
    for name, write in {**found.figures, **found.files}.items():
        write(tmp_path / name)
    assert set(found.figures) == {"contour", "filled", "heat", "surface"}
    with np.load(tmp_path / "grid.npz") as kept:
        assert kept["values"].shape == (3, 3, 2) and kept["axis0"].tolist() == [-1, 0, 1]
        assert kept["values"][1, 1, 0] == found.values["centre"]
    assert "DIMENSIONS 3 3 1" in (tmp_path / "surface.vtk").read_text()


def test_a_line_is_drawn_as_a_curve(tmp_path: Path) -> None:
    found = looked_at(supervised(evaluation__landscape__dimensions=1))
    found.figures["curve"](tmp_path / "curve.png")
    assert set(found.figures) == {"curve"} and "cosine" not in found.values


def test_a_range_that_shows_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    looked_at(supervised(evaluation__landscape__distance=1e-4))
    assert "100.0% of the points of the landscape have a loss below 10" in caplog.text
    assert "take a wider range than evaluation.landscape.distance=0.0001" in caplog.text


def test_directions_are_those_of_their_seed_whatever_that_of_the_run() -> None:
    weights = supervised().state_dict()
    found: list[float] = []
    for run, seed in ((0, 0), (1, 0), (0, 1)):
        experiment = supervised(training__seed=run, evaluation__landscape__seed=seed)
        experiment.load_state_dict(weights)
        found.append(looked_at(experiment).values["cosine"])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("method", METHODS)
def test_the_centre_of_a_method_is_its_loss_of_frozen_views(method: str) -> None:
    """Of views that are the same each time, with the teacher as it is."""
    experiment = loaded(method, **{k.replace(".", "__"): v for k, v in LOOKS.items()})
    train = experiment.split("train")
    chosen = torch.from_numpy(stratified(train.labels.numpy(), 20, 0))
    before = copy.deepcopy(experiment.state_dict())
    found = looked_at(experiment).values
    losses = list[float]()
    experiment.eval()
    with torch.no_grad(), experiment.learner.evaluating():
        for part in chosen.split(8):
            batch = experiment.views("train", part, "landscape", 0, part)
            losses += [float(experiment.compare(batch, lambda v: v).total)] * len(part)
    assert found["centre"] == pytest.approx(sum(losses) / 20, abs=1e-6)
    assert all(torch.equal(v, before[k]) for k, v in experiment.state_dict().items())
    assert looked_at(experiment).values == found


def test_a_teacher_and_a_centre_stay_while_the_student_moves(tmp_path: Path) -> None:
    """A corner of the plane, with weights that are set by hand."""
    values = {"resolution": 3, "images": 20, "loss": "own"}
    given = {f"evaluation__landscape__{k}": v for k, v in values.items()}
    experiment = loaded("dino", training__batch_size=20, **given)
    looked_at(experiment).files["grid.npz"](tmp_path / "grid.npz")
    weights = dict(experiment.learner.named_parameters())
    trained = {k: v.detach() for k, v in weights.items() if v.requires_grad}
    assert not any(name.startswith("teacher") for name in trained)
    both = [random_direction(trained, derive(0, "landscape direction", i)) for i in (0, 1)]
    corner = {name: one - both[0][name] + both[1][name] for name, one in trained.items()}
    chosen = torch.from_numpy(stratified(experiment.split("train").labels.numpy(), 20, 0))
    batch = experiment.views("train", chosen, "landscape", 0, chosen)
    experiment.eval()
    with torch.no_grad(), experiment.learner.evaluating():
        for name, value in corner.items():
            weights[name].copy_(value)
        loss = float(experiment.compare(batch, lambda v: v).total)
    with np.load(tmp_path / "grid.npz") as kept:
        assert kept["values"][0, 2, 0] == pytest.approx(loss, rel=1e-5)


def test_the_loss_of_a_probe_knows_the_classes() -> None:
    """A layer that was fitted to features of the same images: below the loss of equal shares."""
    values = {"loss": "probe", "resolution": 3, "images": 40}
    experiment = loaded("simclr", **{f"evaluation__landscape__{k}": v for k, v in values.items()})
    found = looked_at(experiment).values
    assert found["centre"] < np.log(10) and found["accuracy"] > 0.15


def test_what_is_off_has_no_effect_and_changes_no_digest() -> None:
    for start in (Supervised(), Pretraining()):
        other = start.with_values({"evaluation.landscape.distance": 5.0})
        assert start.digest() == other.digest()
        assert start.digest() != start.with_values({"evaluation.landscape.resolution": 3}).digest()
        assert "landscape" not in start.canonical().get("evaluation", {})
        line = start.with_values({f"evaluation.landscape.{k}": v for k, v in LINE.items()})
        drawn = line.with_values({"evaluation.landscape.heights": "linear"})
        assert line.digest() == drawn.digest()


def test_a_run_reports_its_landscape_once_at_its_end(tmp_path: Path) -> None:
    values = {"training.steps": 2, "training.evaluate_every": 1, **LOOKS}
    session = LocalSession(tmp_path)
    config = made("simclr").with_values(values)
    PretrainingExperiment.run(config.to_json(), session)
    assert not [name for name in session.reports[1] if name.startswith("landscape/")]
    assert {"landscape/centre", "landscape/cosine"} <= session.reports[2].keys()
    assert session.signs_of_life >= 9
    assert {"files/landscape-grid.npz", "files/landscape-surface.vtk"} <= set(session.artifacts)


def test_one_that_fails_ends_no_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any, **__: Any) -> Evaluated:
        raise RuntimeError("no memory is left")

    monkeypatch.setattr(landscapes, "look", fails)
    assert not looked_at(supervised()).values
    assert "landscape was not written" in caplog.text and "no memory is left" in caplog.text


@pytest.mark.parametrize("kind", [Supervised, Pretraining])
def test_values_of_no_landscape_are_said(kind: type[Supervised | Pretraining]) -> None:
    off, on = kind(), kind().with_values(LOOKS)
    sentence = "needs a landscape; take evaluation.landscape.resolution of at least 3, odd"
    for name in ("roughness", "centre", "cosine"):
        metric = f"landscape/{name}"
        assert off.unreported(metric) == f"metric {metric} {sentence}"
        assert on.unreported(metric) is None
    line = on.with_values({"evaluation.landscape.dimensions": 1})
    assert "take evaluation.landscape.dimensions of 2" in str(line.unreported("landscape/cosine"))
    assert line.unreported("landscape/roughness") is None
    assert (on.unreported("landscape/accuracy") is None) == (kind is Supervised)
