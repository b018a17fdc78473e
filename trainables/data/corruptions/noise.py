"""Noise of sensors: Gaussian, of photons, of dead pixels, in proportion."""

# B images, C channels, H × W pixels; images are float 0…1.

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Draws = Callable[[str, int], Tensor]
"""So many uniform numbers in [0, 1) for each image, [B, count], by what they are for."""

_HALF = 2.0**-25
"""Half the distance of two draws of 24 bits, so that none is 0."""
_ROWS = 4096
"""Of so many brightnesses the shares of each count are kept at a time."""


def normal(draws: Tensor) -> Tensor:
    """Numbers from the standard normal distribution, one for each uniform one; within ±5.5."""
    return torch.special.ndtri(draws.double() + _HALF)


def gaussian_noise(images: Tensor, draws: Draws, scale: float) -> Tensor:
    """x + σ · n, `scale` σ."""
    return (images + scale * _normal_like(images, draws)).clamp(0, 1)


def speckle_noise(images: Tensor, draws: Draws, scale: float) -> Tensor:
    """x + x · σ · n, `scale` σ."""
    return (images + images * (scale * _normal_like(images, draws))).clamp(0, 1)


def impulse_noise(images: Tensor, draws: Draws, amount: float) -> Tensor:
    """So large a share of values is 0 or 1, half of them each."""
    drawn = draws("pixels", images[0].numel()).view(images.shape)
    dead = torch.where(drawn < amount / 2, 0.0, torch.where(drawn < amount, 1.0, images))
    return dead.to(images.dtype)


def shot_noise(images: Tensor, draws: Draws, photons: float) -> Tensor:
    """n / λ, n photons of a Poisson distribution with mean λ · x; `photons` λ."""
    drawn = draws("pixels", images[0].numel()).view(images.shape)
    return (poisson(images * photons, drawn) / photons).clamp(0, 1).to(images.dtype)


def poisson(means: Tensor, draws: Tensor) -> Tensor:
    """Counts from Poisson distributions, float64: the smallest n with P(N ≤ n) ≥ u.

    `means` of at least 0 and `draws` u in [0, 1) have the same shape. Equal means, such as those of
    pixels of 8 bits, cost little; a million different ones cost seconds.
    """
    distinct, which = means.double().flatten().unique(return_inverse=True)
    chances = draws.double().flatten() + _HALF
    found = torch.empty_like(chances)
    largest = float(distinct[-1])
    counts = torch.arange(int(largest + 8 * largest**0.5 + 16), dtype=torch.float64)
    logs = torch.lgamma(counts + 1)
    for start in range(0, len(distinct), _ROWS):
        rates = distinct[start : start + _ROWS, None]
        shares = torch.exp(torch.xlogy(counts, rates) - rates - logs).cumsum(1).clamp(max=1)
        row = torch.arange(len(rates), dtype=torch.float64)
        here = (which >= start) & (which < start + _ROWS)
        own = which[here] - start
        # row i of the table lies in i…i + 1, so that all of it is one sorted line
        at = torch.searchsorted((shares + row[:, None]).flatten(), own + chances[here])
        found[here] = (at - own * len(counts)).clamp(0, len(counts) - 1).double()
    return found.view(means.shape)


def _normal_like(images: Tensor, draws: Draws) -> Tensor:
    return normal(draws("pixels", images[0].numel())).view(images.shape).to(images.dtype)
