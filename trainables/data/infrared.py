"""Augmentations after infrared cameras: noise, and temperatures that are off by a constant."""

# B images, V views, C channels, S × S pixels.

from __future__ import annotations

from torch import Tensor

from trainables.data.corruptions.noise import normal


def with_noise(views: Tensor, draws: Tensor, deviation: float) -> Tensor:
    """x + σ · n, cut off at 0 and 1; views [B, V, C, S, S], draws [B, V · C · S · S] in [0, 1)."""
    noise = normal(draws).view(views.shape).to(views.dtype)
    return (views + deviation * noise).clamp(0, 1)


def with_shift(views: Tensor, draws: Tensor, largest: float) -> Tensor:
    """Adds a number of −largest … largest to each view, cut off at 0 and 1; draws [B, V]."""
    shifts = largest * (2 * draws - 1)
    return (views + shifts[..., None, None, None].to(views.dtype)).clamp(0, 1)
