"""Snow, frost, fog, and drops on the lens."""

# B images, C channels, S × S pixels; images are float 0…1, of one channel or red, green, blue.

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainables.data.corruptions.blurs import moved, zoomed
from trainables.data.corruptions.edges import smoothed
from trainables.data.corruptions.noise import Draws, normal

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
_ICE = (0.934, 1.01, 1.056)
"""The colour of the published photographs of frost, by their mean brightness."""
_ICE_LEVELS = (0.45, 0.83)
"""Between these is the mean brightness of places of 32 × 32 pixels on five of them, of whose
six the published code draws; below it is their mean deviation from it."""
_ICE_DEVIATION = 0.086
_WATER = (175 / 255, 238 / 255, 238 / 255)
_MUD = (63 / 255, 42 / 255, 20 / 255)
_SEEN = 0.35
"""So much of water is seen: published drops are bright at edges only, on average by this much."""
_WIBBLE = 100.0
"""What is added to the middles of the whole square, ± its square."""


def fog(images: Tensor, draws: Draws, amount: float, decay: float) -> Tensor:
    """(x + c · p) · m / (m + c): m the largest value of an image, p clouds, `amount` c.

    Clouds are smoother the larger the `decay`.
    """
    side = images.shape[-1]
    size = 1 << (side - 1).bit_length()
    clouds = plasma(draws("clouds", size * size - 1), size, decay)[:, None, :side, :side]
    most = images.amax((1, 2, 3), keepdim=True)
    mixed = images + amount * clouds.to(images.dtype)
    return (mixed * most / (most + amount)).clamp(0, 1)


def plasma(draws: Tensor, size: int, decay: float) -> Tensor:
    """Clouds [B, size, size], float64, from 0 to 1, by the algorithm of diamonds and squares.

    `size` is a power of two; draws [B, size² − 1] in [0, 1): of each step, from the whole square to
    single pixels, those of the middles, then of the upper and of the left edges.
    """
    heights = torch.zeros(len(draws), size, size, dtype=torch.float64)
    left, step, wibble = draws.double(), size, _WIBBLE

    def mean(total: Tensor) -> Tensor:
        nonlocal left
        own, left = left[:, : total[0].numel()], left[:, total[0].numel() :]
        return total / 4 + wibble**2 * (2 * own.reshape(total.shape) - 1)

    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        total = corners + corners.roll(-1, 1)
        heights[:, half::step, half::step] = mean(total + total.roll(-1, 2))
        middles, corners = heights[:, half::step, half::step], heights[:, ::step, ::step]
        heights[:, ::step, half::step] = mean(
            middles + middles.roll(1, 1) + corners + corners.roll(-1, 2)
        )
        heights[:, half::step, ::step] = mean(
            middles + middles.roll(1, 2) + corners + corners.roll(-1, 1)
        )
        step, wibble = half, wibble / decay
    heights -= heights.amin((1, 2), keepdim=True)
    return heights / heights.amax((1, 2), keepdim=True)


def frost(images: Tensor, draws: Draws, kept: float, amount: float) -> Tensor:
    """a · x + b · ice, `kept` a and `amount` b.

    The published ice is photographs; this one is clouds with their colour, brightness and contrast.
    """
    side = images.shape[-1]
    size = 1 << (side - 1).bit_length()
    clouds = plasma(draws("ice", size * size - 1), size, 2.0)[:, None, :side, :side]
    deviation, mean = torch.std_mean(clouds, (2, 3), keepdim=True)
    low, high = _ICE_LEVELS
    level = (low + (high - low) * draws("level", 1).double())[:, :, None, None]
    ice = _coloured(level + _ICE_DEVIATION * (clouds - mean) / deviation, _ICE, images)
    return (kept * images + amount * ice.clamp(0, 1)).clamp(0, 1)


def snow(
    images: Tensor,
    draws: Draws,
    mean: float,
    deviation: float,
    size: float,
    threshold: float,
    radius: float,
    blur: float,
    kept: float,
) -> Tensor:
    """Flakes of noise above a threshold, enlarged, falling, from both sides; a whiter image below.

    Flakes fall 45° … 135° from the right.
    """
    side = images.shape[-1]
    flakes = mean + deviation * normal(draws("flakes", side * side)).view(-1, 1, side, side)
    flakes = zoomed(flakes, size)
    flakes = torch.where(flakes < threshold, 0.0, flakes).clamp(0, 1)
    angles = -math.pi * (0.75 - 0.5 * draws("angle", 1)[:, 0].double())
    flakes = moved(flakes, angles, radius, blur).to(images.dtype)
    white = torch.maximum(images, _luma(images) * 1.5 + 0.5)
    return (kept * images + (1 - kept) * white + flakes + flakes.flip(2, 3)).clamp(0, 1)


def spatter(
    images: Tensor,
    draws: Draws,
    mean: float,
    deviation: float,
    size: float,
    threshold: float,
    strength: float,
    is_mud: float,
) -> Tensor:
    """Drops of water that brighten an image, or of mud that hide it, where smooth noise is high.

    Mud is as published; water has no bright edges.
    """
    side = images.shape[-1]
    liquid = mean + deviation * normal(draws("drops", side * side)).view(-1, 1, side, side)
    liquid = smoothed(liquid, size)
    if is_mud:
        drops = smoothed((liquid > threshold).double(), strength)
        drops = torch.where(drops < 0.8, 0.0, drops).to(images.dtype)
        return (images * (1 - drops) + _coloured(drops, _MUD, images)).clamp(0, 1)
    drops = torch.where(liquid < threshold, 0.0, liquid)
    most = drops.amax((2, 3), keepdim=True)
    drops = _SEEN * strength * smoothed(drops / torch.where(most > 0, most, 1.0), 0.5)
    return (images + _coloured(drops, _WATER, images)).clamp(0, 1)


def _coloured(brightness: Tensor, colour: tuple[float, float, float], images: Tensor) -> Tensor:
    """A layer [B, 1, S, S] in a colour; grey where the images are."""
    if images.shape[1] == 1:
        grey = sum(weight * value for weight, value in zip(_LUMA, colour, strict=True))
        return (brightness * grey).to(images.dtype)
    return (brightness * brightness.new_tensor(colour)[:, None, None]).to(images.dtype)


def _luma(images: Tensor) -> Tensor:
    """How bright a pixel is, [B, 1, S, S]."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
