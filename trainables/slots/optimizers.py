"""Optimisers and learning rates of the configurations."""

from __future__ import annotations

from typing import Any

import torch

from trainables.core import optimizers
from trainables.core.schedules import half_lives
from trainables.slots.parts import SGD, Adam, AdamTF, RMSprop, Schedule


def build(
    settings: AdamTF | Adam | RMSprop | SGD, groups: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimiser of these settings."""
    if isinstance(settings, SGD):
        return optimizers.sgd(groups, settings.lr, settings.momentum, nesterov=False)
    if isinstance(settings, RMSprop):
        return torch.optim.RMSprop(
            groups,
            lr=settings.lr,
            alpha=settings.alpha,
            momentum=settings.momentum,
            eps=settings.eps,
            foreach=True,
        )
    kind = optimizers.AdamTF if isinstance(settings, AdamTF) else torch.optim.Adam
    betas = (settings.beta1, settings.beta2)
    return kind(groups, lr=settings.lr, betas=betas, eps=settings.eps, fused=True)


def factor(settings: Schedule, updates: int) -> float:
    """The factor of the rate after so many updates."""
    return half_lives(updates, settings.warm_up, settings.first, settings.half_life)
