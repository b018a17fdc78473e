"""How sure probes and classifiers of runs are, beside what is blind."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.trainables.ssl.pretrained import loaded
from trainables.metrics.reliability import brier
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.measuring import Measuring


def test_a_probe_says_how_sure_it_is_and_is_below_the_blind_row(tmp_path: Path) -> None:
    """The shares of the bank's classes have the closed form of the Brier score, and no error."""
    experiment = loaded("simclr", data__limit=200, evaluation__probe__steps=100).eval()
    measuring = Measuring(experiment)
    with torch.inference_mode():
        found, rows = measuring.classify("val", True), measuring.references("val")
    shares = experiment.data.train.labels.bincount(minlength=10).double() / 200
    labels = experiment.data.val.labels
    expected = brier(shares.expand(len(labels), 10), labels)
    assert rows["majority"]["probe_brier"] == pytest.approx(expected)
    gap = abs(float(shares.max()) - float((labels == shares.argmax()).double().mean()))
    assert rows["majority"]["probe_ece"] == pytest.approx(gap)
    assert found.values["probe_brier"] < expected
    assert {"probe_reliability", "probe_wrong"} <= found.figures.keys()
    for name in ("probe_reliability", "probe_wrong"):
        found.figures[name](tmp_path / f"{name}.png")
    with torch.inference_mode():
        assert "probe_reliability" not in measuring.classify("val", False).figures


def test_a_classifier_of_a_method_says_it_each_time() -> None:
    experiment = loaded("cross_entropy").eval()
    measuring = Measuring(experiment)
    with torch.inference_mode():
        values = measuring.classify("val", False).values
        figures = measuring.classify("val", True).figures
        labels = experiment.data.val.labels
        images = experiment.data.val.take(torch.arange(len(labels)))
        logits = experiment.learner.classes_of(images)
    assert logits is not None
    assert values["brier"] == pytest.approx(brier(logits.softmax(1), labels))
    assert {"reliability", "wrong"} <= figures.keys()


def test_a_supervised_network_begins_without_knowing_anything() -> None:
    """Logits that are all 0 are as sure of each of ten classes."""
    config = Supervised().with_values({"evaluation.wrong": 0})
    experiment = SupervisedExperiment.create(config.to_json())
    experiment.load()
    experiment.eval()
    [val, *_] = experiment.evaluations()
    with torch.inference_mode():
        found = val.function(True)
    assert found.values["brier"] == pytest.approx(0.9)
    assert "reliability" in found.figures and "wrong" not in found.figures


@pytest.mark.parametrize("kind", [Supervised, Pretraining])
def test_how_many_are_shown_changes_no_digest_unless_it_is_said(
    kind: type[Supervised | Pretraining],
) -> None:
    assert "wrong" not in kind().canonical().get("evaluation", {})
    assert kind().digest() != kind().with_values({"evaluation.wrong": 3}).digest()


def test_what_only_classifiers_have_is_said() -> None:
    for name in ("val/ece", "val/brier"):
        assert "needs a classifier" in str(Pretraining().unreported(name))
    assert "needs a probe" in str(Pretraining().unreported("val/probe_ece"))
    assert Supervised().unreported("val/ece") is None


def test_a_network_that_has_diverged_is_measured_and_not_refused() -> None:
    experiment = SupervisedExperiment(Supervised().with_values({"data.limit": 50}))
    experiment.load()
    with torch.no_grad():
        for one in experiment.network.parameters():
            one.fill_(math.nan)
    [val] = [one for one in experiment.eval().evaluations() if one.name == "val"]
    with torch.inference_mode():
        found = val.function(True)
    assert math.isnan(found.values["ece"]) and math.isnan(found.values["brier"])
    assert set(found.figures) == {"confusion"}
