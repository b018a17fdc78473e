"""Optimisers by their configuration."""

from __future__ import annotations

from typing import Any

import torch

from trainables.core import optimizers
from trainables.ssl.config import LARS, SAM, SGD, AdamW


def build(
    settings: AdamW | SGD | LARS | SAM, groups: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimiser over groups of parameters."""
    if isinstance(settings, LARS):
        return optimizers.lars(
            groups, settings.lr, settings.momentum, settings.nesterov, settings.trust
        )
    if isinstance(settings, SAM):
        return optimizers.SAM(_base(settings, settings.base, groups), settings.rho)
    return _base(settings, settings.kind, groups)


def _base(settings: Any, name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if name == "sgd":
        return optimizers.sgd(groups, settings.lr, settings.momentum, settings.nesterov)
    return optimizers.adamw(groups, settings.lr, settings.beta1, settings.beta2)
