"""Optimisers by name, with parameters that have one dimension kept from weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


def parameter_groups(
    parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Two groups: tensors of two or more dimensions with decay; biases, gains, tokens without."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in parameters:
        if parameter.requires_grad:
            is_free = parameter.ndim < 2 or name.endswith(("token", "positions"))
            (free if is_free else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]


def adamw(
    groups: list[dict[str, Any]], lr: float, beta1: float, beta2: float
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019): decay apart from the gradient; ε = 1e-8."""
    return torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2), fused=True)


def sgd(
    groups: list[dict[str, Any]], lr: float, momentum: float, nesterov: bool
) -> torch.optim.Optimizer:
    """SGD with momentum: μ ← m·μ + g + λθ, θ ← θ − lr·μ (with Nesterov's look-ahead if asked)."""
    return torch.optim.SGD(
        groups, lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True
    )
