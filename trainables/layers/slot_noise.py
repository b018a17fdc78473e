"""Noise from which slots start, spread more evenly than independent draws."""

# B images, K slots, D width of slots.

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def quasi_normal(shifts: Tensor, num_slots: int) -> Tensor:
    """Noise for the prior of slots that fills space more evenly than independent draws.

    The first K points of a scrambled Sobol sequence in D dimensions, those of image b moved by a
    digital shift (exclusive or of the first 24 binary digits; Dick and Pillichshammer 2010), then
    the inverse normal distribution function. So each number is standard normal over random shifts,
    whereas the slots of an image spread: one of two points is in each half of an axis.

    Args:
        shifts: uniform in [0, 1), [B, D]: all the randomness there is, to be drawn for each image.
        num_slots: K.

    Returns:
        [B, K, D], of the kind and on the device of `shifts`, within ±5.5.
    """
    points = _sobol(num_slots, shifts.shape[1]).to(shifts.device)
    digits = (shifts * 2**24).to(torch.int64)[:, None] ^ points
    return torch.special.ndtri((digits.double() + 0.5) / 2**24).to(shifts.dtype)


@lru_cache(maxsize=16)
def _sobol(count: int, width: int) -> Tensor:
    """Points of a scrambled Sobol sequence as numbers of 24 binary digits, [count, width]."""
    points = torch.quasirandom.SobolEngine(width, scramble=True, seed=0).draw(count)
    return (points.double() * 2**24).to(torch.int64)
