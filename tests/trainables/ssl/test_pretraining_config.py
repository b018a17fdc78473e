"""Settings of pretraining: what has an effect, what does not fit, and what no run reports."""

from __future__ import annotations

from typing import Any

import pytest

from trainables.ssl.config import Pretraining
from trainables.ssl.optimization import peak


def config(**values: Any) -> Pretraining:
    """The default with other values; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    return Pretraining().with_values(named)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"clip_each": 3.0}, {}),
        ({"method__first_teacher_temperature": 0.02}, {}),
        ({"method__teacher": "frozen", "method__momentum": 0.5}, {"method__teacher": "frozen"}),
        (
            {"method__head__layers": 1, "method__head__hidden": 7},
            {"method__head__layers": 1},
        ),
        (
            {"method__kind": "simclr", "method__head__layers": 1, "method__head__norm": "batch"},
            {"method__kind": "simclr", "method__head__layers": 1},
        ),
        ({"evaluation__figures__views": 4, "evaluation__figures__embedding__points": 1000}, {}),
        ({"evaluation__probe__rates": [0.1], "evaluation__probe__blocks": 2}, {}),
        ({"evaluation__neighbours__weights": "exponential"}, {}),
        (
            {
                "evaluation__neighbours__weights": "distance",
                "evaluation__neighbours__temperature": 1.0,
            },
            {"evaluation__neighbours__weights": "distance"},
        ),
        (
            {"evaluation__probe__steps": 9, "evaluation__probe__weight_decays": [0.1]},
            {"evaluation__probe__steps": 9},
        ),
    ],
)
def test_a_setting_without_effect_is_void(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert config(**one).digest() == config(**other).digest()


@pytest.mark.parametrize(
    "values",
    [
        {"method__teacher": "frozen"},
        {"method__centre": "scalar"},
        {"method__momentum": 0.99},
        {"method__kind": "simclr"},
        {"method__kind": "supcon"},
        {"compatibility": "official", "training__clip_norm": 0.0},
        {"optimizer__final_weight_decay": None},
        {"evaluation__neighbours__number": 5},
        {"evaluation__neighbours__weights": "uniform"},
        {"evaluation__figures__embedding__perplexity": 20.0},
        {"evaluation__figures__attention": 0},
        {"evaluation__probe__steps": 9, "evaluation__probe__blocks": 2},
    ],
)
def test_a_setting_with_effect_is_another_trial(values: dict[str, Any]) -> None:
    assert config(**values).digest() != config().digest()


@pytest.mark.parametrize(
    ("values", "digest"),
    [({}, "41fdf0cccf3382ba"), ({"evaluation__probe__steps": 10}, "0080354156a0c62e")],
)
def test_the_digest_is_the_one_that_was_recorded(values: dict[str, Any], digest: str) -> None:
    assert config(**values).digest() == digest


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"method__momentum": 0.999, "method__final_momentum": 0.99},
            r"method.final_momentum must be at least momentum \(0.999\), got 0.99",
        ),
        (
            {"compatibility": "official"},
            "training.clip_norm must be 0 with compatibility 'official', .* by clip_each, got 3",
        ),
        (
            {"compatibility": "official", "training__clip_norm": 0.0, "schedule__kind": "linear"},
            "schedule.kind must be 'cosine' with compatibility 'official', got 'linear'",
        ),
        (
            {"method__kind": "simclr", "training__batch_size": 4, "training__num_micro_batches": 4},
            "at least 2 images in each micro-batch with method.kind 'simclr', .* got 1",
        ),
        (
            {"method__kind": "byol"},
            "views.small.count must be 0 with method.kind 'byol', .* got 8 small ones",
        ),
        (
            {"method__kind": "moco", "views__kind": "contrastive", "views__count": 3},
            "views.count must be 2 with method.kind 'moco', got 3",
        ),
        ({"evaluation__health": 1}, "health must be 0, or at least 2 images"),
        (
            {"evaluation__probe__steps": 9, "evaluation__probe__blocks": 5},
            r"evaluation.probe.blocks must be at most model.layers \(4\), got 5",
        ),
        ({"model__patch_size": 3}, r"model.patch_size must divide .*views\.\w+ makes .* got 3"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        config(**values)


def test_distillation_needs_no_second_image() -> None:
    assert config(training__batch_size=4, training__num_micro_batches=4).method.kind == "dino"


@pytest.mark.parametrize(("scaling", "expected"), [("none", 1), ("linear", 4), ("sqrt", 2)])
def test_the_peak_is_that_of_the_batch(scaling: str, expected: float) -> None:
    """That of the published ViT-S: 5e-4 · 1024 / 256 = 2e-3."""
    found = config(optimizer__scaling=scaling, optimizer__lr=5e-4)
    assert peak(found.optimizer, 1024) == pytest.approx(5e-4 * expected)


@pytest.mark.parametrize(
    ("values", "metric", "sentence"),
    [
        ({"method__kind": "simclr"}, "val/teacher/knn", "needs a teacher, which method.kind"),
        ({"method__kind": "supcon"}, "test/student/knn_f1", "take dino"),
        ({}, "val/probe", "needs a probe; take evaluation.probe.steps of at least 1"),
        ({}, "test/teacher/probe_f1", "needs a probe; take evaluation.probe.steps"),
        (
            {"evaluation__figures__embedding__points": 0},
            "pictures/tsne_purity",
            "needs a map; take evaluation.figures.embedding.points above 0",
        ),
        ({}, "pictures/tsne_purity", None),
        (
            {"evaluation__figures__embedding__points": 0},
            "pictures/pca_purity",
            "needs a map; take evaluation.figures.embedding.points above 0",
        ),
        (
            {"evaluation__health": 0},
            "health/effective_rank",
            "needs images of its own; take evaluation.health of at least 2",
        ),
        ({"evaluation__health": 2}, "health/effective_rank", None),
        (
            {},
            "landscape/roughness",
            "a landscape; take evaluation.landscape.resolution of at least",
        ),
        ({"evaluation__landscape__resolution": 3}, "landscape/roughness", None),
        (
            {"evaluation__landscape__resolution": 3},
            "landscape/accuracy",
            "needs a classifier; take evaluation.landscape.loss 'probe'",
        ),
        (
            {"evaluation__landscape__resolution": 3, "evaluation__landscape__loss": "probe"},
            "landscape/accuracy",
            None,
        ),
        ({}, "val/teacher/knn", None),
        ({"method__kind": "simclr"}, "val/knn", None),
        ({"evaluation__probe__steps": 10}, "val/student/probe", None),
    ],
)
def test_what_no_run_reports_is_said(
    values: dict[str, Any], metric: str, sentence: str | None
) -> None:
    said = config(**values).unreported(metric)
    assert said is None if sentence is None else sentence in str(said)
