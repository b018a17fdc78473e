"""Optimisers against their formulas, and who is spared from weight decay."""

from __future__ import annotations

import torch
from torch import nn

from trainables.core import optimizers
from trainables.layers.vit import ViT


def one(value: float) -> nn.Parameter:
    """A 1 × 1 matrix, as small as a tensor with decay can be."""
    return nn.Parameter(torch.full((1, 1), value, dtype=torch.float64))


def test_adamw_follows_its_formula() -> None:
    weight, lr, decay = one(2.0), 0.1, 0.5
    groups = optimizers.parameter_groups([("weight", weight)], decay)
    optimizer = optimizers.adamw(groups, lr, 0.9, 0.99)
    theta, m, v = 2.0, 0.0, 0.0
    for step, gradient in enumerate((1.0, -3.0, 0.5), 1):
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        adapted = m / (1 - 0.9**step) / ((v / (1 - 0.99**step)) ** 0.5 + 1e-8)
        theta -= lr * (adapted + decay * theta)
    torch.testing.assert_close(float(weight.detach()), theta)


def test_sgd_follows_its_formula() -> None:
    weight, lr, decay = one(2.0), 0.1, 0.5
    groups = optimizers.parameter_groups([("weight", weight)], decay)
    optimizer = optimizers.sgd(groups, lr, momentum=0.9, nesterov=False)
    theta, mu = 2.0, 0.0
    for gradient in (1.0, -3.0, 0.5):
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        mu = 0.9 * mu + gradient + decay * theta
        theta -= lr * mu
    torch.testing.assert_close(float(weight.detach()), theta)


def test_nesterov_without_momentum_is_plain_sgd() -> None:
    weight = one(2.0)
    groups = optimizers.parameter_groups([("weight", weight)], 0.0)
    weight.grad = torch.ones_like(weight)
    optimizers.sgd(groups, 0.1, momentum=0.0, nesterov=True).step()
    torch.testing.assert_close(float(weight.detach()), 1.9)


def test_only_matrices_and_filters_decay() -> None:
    vit = ViT(
        image_size=8, channels=1, patch_size=4, width=8, layers=1, heads=2, mlp_ratio=2, classes=3
    )
    decayed, free = optimizers.parameter_groups(vit.named_parameters(), 0.3)
    names = {id(parameter): name for name, parameter in vit.named_parameters()}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    assert {names[id(parameter)] for parameter in decayed["params"]} == {
        *("patches.weight", "head.weight", "blocks.0.mlp.0.weight", "blocks.0.mlp.3.weight"),
        *("blocks.0.attention.qkv.weight", "blocks.0.attention.out.weight"),
    }
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_frozen_parameters_are_left_out() -> None:
    weight = one(1.0)
    weight.requires_grad = False
    groups = optimizers.parameter_groups([("a", weight)], 0.1)
    assert [group["params"] for group in groups] == [[], []]
