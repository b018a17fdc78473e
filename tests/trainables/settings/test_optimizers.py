"""Settings of optimisers, and that each kind is built from all that has an effect in them."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from trainables.core.optimizers import KINDS, build
from trainables.settings import optimizers
from trainables.settings.optimizers import LARS, SAM, SGD, Adam, AdamW, Optimizer, PlainSGD

CLASSES = [
    kind
    for kind in vars(optimizers).values()
    if isinstance(kind, type) and issubclass(kind, Optimizer) and kind is not Optimizer
]


def settings(kind: type[Optimizer], **values: Any) -> Optimizer:
    """Settings with a rate, and a decay where there is one."""
    needed = {"lr": 0.1, "weight_decay": 0.5}
    return kind(**{name: needed[name] for name in needed if name in kind.model_fields} | values)


def test_there_are_settings_of_each_kind_that_can_be_built() -> None:
    kinds = {name for kind in CLASSES for name in get_args(kind.model_fields["kind"].annotation)}
    assert kinds == KINDS.keys()


@pytest.mark.parametrize("kind", CLASSES)
def test_an_optimiser_takes_the_arguments_of_its_settings(kind: type[Optimizer]) -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    groups = [{"params": [weight], "weight_decay": 0.25}]
    optimizer = build(groups=groups, **settings(kind).arguments())

    def slope() -> float:
        weight.sum().backward()
        return float(weight.detach().sum())

    slope()
    optimizer.step(slope)
    assert (weight < 1).all()
    assert {(group["lr"], group["weight_decay"]) for group in optimizer.param_groups} == {
        (0.1, 0.25)  # the decay is that of the group
    }


@pytest.mark.parametrize("kind", CLASSES)
def test_the_rate_is_for_a_family_to_say(kind: type[Optimizer]) -> None:
    with pytest.raises(ValueError, match="lr"):
        kind.read({})


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (Adam(lr=1.0), {"kind", "lr", "beta1", "beta2", "eps"}),
        (AdamW(lr=1.0, weight_decay=0.1), {"kind", "lr", "beta1", "beta2"}),
        (PlainSGD(lr=1.0), {"kind", "lr", "momentum"}),
        (SGD(lr=1.0, weight_decay=0.1), {"kind", "lr", "momentum", "nesterov"}),
        (SGD(lr=1.0, weight_decay=0.1, momentum=0.0), {"kind", "lr", "momentum"}),
        (LARS(lr=1.0, weight_decay=0.1, momentum=0.0), {"kind", "lr", "momentum", "trust"}),
        (SAM(lr=1.0, weight_decay=0.1), {"kind", "base", "rho", "lr", "beta1", "beta2"}),
        (
            SAM(base="sgd", lr=1.0, weight_decay=0.1),
            {"kind", "base", "rho", "lr", "momentum", "nesterov"},
        ),
        (
            SAM(base="sgd", lr=1.0, weight_decay=0.1, momentum=0.0),
            {"kind", "base", "rho", "lr", "momentum"},
        ),
    ],
)
def test_what_has_no_effect_is_no_argument(given: Optimizer, names: set[str]) -> None:
    assert given.arguments().keys() == names


@pytest.mark.parametrize(
    ("kind", "path", "edge", "rule"),
    [
        (Adam, "lr", 0.0, "greater than 0"),
        (Adam, "eps", 0.0, "greater than 0"),
        (AdamW, "beta1", 1.0, "less than 1"),
        (AdamW, "weight_decay", -1e-9, "greater than or equal to 0"),
        (PlainSGD, "momentum", 1.0, "less than 1"),
        (LARS, "trust", 1.1, "less than or equal to 1"),
        (SAM, "rho", 20.1, "less than or equal to 20"),
    ],
)
def test_a_value_outside_of_its_range_is_refused(
    kind: type[Optimizer], path: str, edge: float, rule: str
) -> None:
    with pytest.raises(ValueError, match=f"{path} must be {rule}, got {edge}"):
        settings(kind).with_values({path: edge})


@pytest.mark.parametrize(
    ("kind", "path", "edge"),
    [
        (Adam, "beta1", 0.0),
        (AdamW, "weight_decay", 0.0),
        (PlainSGD, "momentum", 0.0),
        (LARS, "trust", 1.0),
        (SAM, "rho", 0.0),
        (SAM, "rho", 20.0),
    ],
)
def test_the_edge_of_its_range_is_taken(kind: type[Optimizer], path: str, edge: float) -> None:
    assert settings(kind).with_values({path: edge}).value_at(path) == edge
