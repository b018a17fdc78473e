"""The configuration of supervised runs: what fits, and what has no effect."""

from __future__ import annotations

from typing import Any

import pytest

from trainables.core.training import Training
from trainables.ssl.config import Evaluation, Supervised


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"model.patch_size": 3},
            "model.patch_size must divide the side of digits (8), got 3; try 1, 2, 4 or 8",
        ),
        ({"model.heads": 3}, "model.heads must divide width (32), got 3"),
        (
            {"model.positions": "sine_cosine", "model.width": 6},
            "model.width must be a multiple of 4 with sine_cosine, got 6",
        ),
        ({"model.dropout": 1.0}, "model.dropout must be less than 1, got 1.0"),
        ({"optimizer.lr": 0.0}, "optimizer.lr must be greater than 0, got 0.0"),
        (
            {"data.name": "digit"},
            "data.name must be 'digits', 'fashion_mnist', 'mnist', 'cifar10', 'cifar100', 'folder' "
            "or 'boxes', got 'digit'",
        ),
        (
            {"data.name": "folder"},
            "data.path must be given with data.name 'folder': where the images are",
        ),
        (
            {"data.name": "cifar10", "model.patch_size": 5},
            "model.patch_size must divide the side of cifar10 (32), got 5; try 1, 2, 4, 8, 16 or "
            "32",
        ),
        (
            {"model.kind": "timm", "model.image_size": 7},
            "model.image_size must be at least the side of digits (8), got 7",
        ),
        (
            {"model.kind": "cnn"},
            "model.kind must be 'vit' or 'timm' or 'residual' or 'convolution' or 'perceptron' or "
            "'modern_resnet', "
            "got 'cnn'",
        ),
        (
            {"model.kind": "residual", "model.depth": 50 + 4},
            "model.depth must be 6n + 2, got 54; try 50 or 56",
        ),
        (
            {"model.kind": "perceptron", "model.image_size": 8, "data.name": "cifar10"},
            "model.image_size must be at least the side of cifar10 (32), got 8",
        ),
        (
            {"evaluation.landscape.resolution": 50},
            "evaluation.landscape.resolution must be 0 or odd and at least 3, so that the network "
            "itself is a point, got 50; try 51",
        ),
        (
            {"optimizer.kind": "sam", "optimizer.base": "lars"},
            "optimizer.base must be 'adamw' or 'sgd', got 'lars'",
        ),
        (
            {"optimizer.kind": "sam", "optimizer.rho": -0.1},
            "optimizer.rho must be greater than or equal to 0, got -0.1",
        ),
        (
            {"optimizer.kind": "lars", "optimizer.trust": 0.0},
            "optimizer.trust must be greater than 0, got 0.0",
        ),
        (
            {"schedule.kind": "exponential", "schedule.half_life": 0.0},
            "schedule.half_life must be greater than 0, got 0.0",
        ),
        (
            {"evaluation.noise": -0.1},
            "evaluation.noise must be greater than or equal to 0, got -0.1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        Supervised().with_values(values)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "values",
    [
        {"model.patch_size": 8},
        {"model.dropout": 0.0},
        {"model.width": 8},
        {"model.kind": "timm", "model.image_size": 8},
        {"optimizer.kind": "sam", "optimizer.rho": 0.0},
        {"optimizer.kind": "lars", "optimizer.trust": 1.0},
    ],
)
def test_the_edges_that_fit_are_taken(values: dict[str, Any]) -> None:
    Supervised().with_values(values)


@pytest.mark.parametrize(
    ("when", "path", "value"),
    [
        ({"schedule.kind": "constant"}, "schedule.floor", 0.5),
        ({"model.layers": 1}, "model.drop_path", 0.5),
        ({"optimizer.kind": "sgd", "optimizer.momentum": 0.0}, "optimizer.nesterov", True),
        ({"schedule.kind": "cosine"}, "schedule.half_life", 0.5),
        ({"optimizer.kind": "lars", "optimizer.momentum": 0.0}, "optimizer.nesterov", True),
        ({"optimizer.kind": "sam"}, "optimizer.momentum", 0.5),
        ({"optimizer.kind": "sam", "optimizer.base": "sgd"}, "optimizer.beta2", 0.5),
        ({"model.kind": "timm"}, "model.weights_file", "weights.pth"),
        ({"model.kind": "timm", "model.frozen": True}, "model.drop_path", 0.5),
        ({}, "training.seed", 7),
        ({}, "training.log_every", 7),
        ({"training.steps": 10}, "training.epochs", 7),
        ({}, "data.root", "/elsewhere"),
        ({}, "data.path", "/elsewhere"),
        ({}, "data.image_size", 64),
        ({}, "data.channels", 1),
    ],
)
def test_a_value_without_effect_changes_no_digest(
    when: dict[str, Any], path: str, value: object
) -> None:
    config = Supervised().with_values(when)
    assert config.with_values({path: value}).digest() == config.digest()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schedule.floor", 0.5),
        ("schedule.kind", "exponential"),
        ("model.drop_path", 0.5),
        ("model.kind", "timm"),
        ("optimizer.kind", "sam"),
        ("training.epochs", 7),
        ("training.evaluate_every", 7),
        ("data.split_seed", 1),
        ("data.name", "mnist"),
        ("data.limit", 100),
        ("augmentation.flips", True),
        ("evaluation.noise", 0.5),
    ],
)
def test_a_value_with_effect_changes_the_digest(path: str, value: object) -> None:
    assert Supervised().with_values({path: value}).digest() != Supervised().digest()


def test_without_noise_the_digest_is_the_one_from_before_there_was_any() -> None:
    assert "evaluation" not in Supervised().canonical()
    assert Supervised(training=Training(batch_size=5000)).digest() == "ca219a3c43621832"


def test_each_level_of_noise_has_a_digest_of_its_own() -> None:
    levels = [Supervised(evaluation=Evaluation(noise=noise)) for noise in (0.0, 0.25, 0.5)]
    assert len({config.digest() for config in levels}) == 3


def test_a_model_without_a_kind_is_a_vision_transformer() -> None:
    written_before_there_were_kinds = Supervised().to_json()
    del written_before_there_were_kinds["model"]["kind"]
    assert Supervised.read(written_before_there_were_kinds) == Supervised()
    assert "kind" not in Supervised().canonical()["model"]


def test_a_value_of_another_kind_of_model_is_refused() -> None:
    with pytest.raises(LookupError) as error:
        Supervised().with_values({"model.kind": "timm", "model.heads": 2})
    assert str(error.value) == "model.heads is no field of ssl.supervised with model.kind 'timm'"
