"""Blur of lenses, of frosted glass, of motion and of a zoom."""

# B images, C channels, S × S pixels; images are float 0…1.

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from trainables.data.corruptions.edges import filtered, inside, smoothed
from trainables.data.corruptions.noise import Draws

_STEEPEST = math.pi / 4
"""Motion is to the right, at most half of a right angle up or down."""


def gaussian_blur(images: Tensor, draws: Draws, deviation: float) -> Tensor:
    """A Gaussian of so many pixels."""
    return smoothed(images, deviation)


def defocus_blur(images: Tensor, draws: Draws, radius: float, softness: float) -> Tensor:
    """A disc of so many pixels, its edge a Gaussian of `softness`."""
    return filtered(images, disc(radius, softness), "mirror").clamp(0, 1)


def disc(radius: float, softness: float) -> Tensor:
    """The kernel of a lens out of focus, [2r + 1, 2r + 1], with sum 1.

    The Gaussian at its edge is 3 pixels wide, 5 for radii above 8.
    """
    reach = 8 if radius <= 8 else math.ceil(radius)
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    whole = (places**2 + places[:, None] ** 2 <= radius**2).double()
    half = 1 if radius <= 8 else 2
    weights = torch.exp(-0.5 * (torch.arange(-half, half + 1).double() / softness) ** 2)
    weights /= weights.sum()
    soft = filtered((whole / whole.sum())[None, None], weights[:, None] * weights, "mirror")[0, 0]
    kept = min(reach, math.floor(radius) + half)  # all beyond it is 0
    return soft[reach - kept : reach + kept + 1, reach - kept : reach + kept + 1]


def glass_blur(
    images: Tensor, draws: Draws, deviation: float, largest: float, rounds: float
) -> Tensor:
    """Pixels take values from nearby, −largest … largest − 1 away, between two Gaussians.

    From the last pixel to the first, in each round. As in the published code, where they are meant
    to be swapped, the other pixel keeps its value.
    """
    reach, side = int(largest), images.shape[-1]
    order = np.arange(side - reach, reach, -1)
    rows, columns = (one.reshape(-1) for one in np.meshgrid(order, order, indexing="ij"))
    inner = (rows < side) & (columns < side)
    count = 2 * len(rows) * int(rounds)
    drawn = draws("places", count).numpy().reshape(len(images), int(rounds), len(rows), 2)
    moves = np.floor(drawn * 2 * reach).astype(np.int64) - reach
    sources = np.tile(np.arange(side * side), (len(images), 1))
    each = np.arange(len(images))
    for number in range(int(rounds)):
        for index in np.flatnonzero(inner):
            place = rows[index] * side + columns[index]
            across, down = moves[:, number, index].T
            sources[:, place] = sources[each, place + down * side + across]
    blurred = smoothed(images, deviation).flatten(2)
    at = torch.from_numpy(sources)[:, None].expand_as(blurred)
    return smoothed(blurred.gather(2, at).view(images.shape), deviation).clamp(0, 1)


def motion_blur(images: Tensor, draws: Draws, radius: float, deviation: float) -> Tensor:
    """Motion in a direction of its own for each image, −45° … 45° from the right."""
    angles = _STEEPEST * (2 * draws("angle", 1)[:, 0].double() - 1)
    return moved(images, angles, radius, deviation).clamp(0, 1)


def moved(images: Tensor, angles: Tensor, radius: float, deviation: float) -> Tensor:
    """Each pixel the mean of those before it, 0 … 2 · radius away, with weights of a half Gaussian.

    Angles [B] in radians, clockwise from the right. Whole pixels, as in ImageMagick.
    """
    steps = torch.arange(2 * math.ceil(radius) + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (steps / deviation) ** 2)
    weights /= weights.sum()
    down = torch.ceil(steps * angles.sin()[:, None] - 0.5).long()
    across = torch.ceil(steps * angles.cos()[:, None] - 0.5).long()
    height, width = images.shape[-2:]
    which = torch.arange(len(images))[:, None, None]
    found = torch.zeros_like(images)
    for number, weight in enumerate(weights.tolist()):
        rows = inside(torch.arange(height) + down[:, number, None], height, "nearest")
        columns = inside(torch.arange(width) + across[:, number, None], width, "nearest")
        found += weight * images[which, :, rows[:, :, None], columns[:, None]].movedim(-1, 1)
    return found


def zoom_blur(images: Tensor, draws: Draws, end: float, step: float) -> Tensor:
    """The mean of an image and of it enlarged by 1, 1 + step, … to its middle."""
    factors = np.arange(1, end, step)  # which has `end` itself where rounding lets it
    found = images.clone()
    for factor in factors.tolist():
        found += zoomed(images, factor)
    return (found / (len(factors) + 1)).clamp(0, 1)


def zoomed(images: Tensor, factor: float) -> Tensor:
    """The middle of images [B, C, S, S] enlarged by a factor of at least 1, bilinear."""
    weights = _zoom(images.shape[-1], factor).to(images.dtype)
    return weights @ images @ weights.T


def _zoom(side: int, factor: float) -> Tensor:
    """What each pixel of a line takes from each pixel, [S, S]; corners come from corners."""
    kept = math.ceil(side / factor)
    top, enlarged = (side - kept) // 2, round(kept * factor)
    first = (enlarged - side) // 2
    places = torch.arange(first, first + side, dtype=torch.float64)
    places = (places * (kept - 1) / (enlarged - 1)).clamp(max=kept - 1)
    return (1 - (places[:, None] - torch.arange(side) + top).abs()).clamp(min=0)
