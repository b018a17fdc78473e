"""Brightness, contrast, colour, elastic deformation, coarse pixels and compression."""

# B images, C channels, S × S pixels; images are float 0…1, of one channel or red, green, blue.

from __future__ import annotations

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainables.data.corruptions.edges import sampled, smoothed
from trainables.data.corruptions.noise import Draws


def brightness(images: Tensor, draws: Draws, amount: float) -> Tensor:
    """Adds to V of HSV; hue and saturation stay."""
    most = images.amax(1, keepdim=True)
    brighter = (most + amount).clamp(0, 1)
    return torch.where(most > 0, images * brighter / most, brighter).clamp(0, 1)


def contrast(images: Tensor, draws: Draws, factor: float) -> Tensor:
    """Moves values towards the mean of their channel: m + f · (x − m)."""
    return torch.lerp(images.mean((2, 3), keepdim=True), images, factor).clamp(0, 1)


def saturate(images: Tensor, draws: Draws, factor: float, more: float) -> Tensor:
    """S of HSV becomes f · S + `more`, at most 1; what was grey becomes red.

    An image of one channel stays as it is.
    """
    if images.shape[1] == 1:
        return images.clone()
    most, least = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    span = most - least
    before = torch.where(most > 0, span / most, 0.0)
    after = (before * factor + more).clamp(0, 1)
    red = images.new_tensor([0.0, 1.0, 1.0])[:, None, None]
    away = torch.where(span > 0, (most - images) / span, red)  # 0 for V, 1 for the least channel
    return (most * (1 - after * away)).clamp(0, 1)


def pixelate(images: Tensor, draws: Draws, share: float) -> Tensor:
    """Scaled to so large a share of its side and back, by means and by the nearest pixel."""
    side = images.shape[-1]
    small = max(1, int(side * share))
    edges = torch.arange(small + 1, dtype=torch.float64) * (side / small)
    middles = torch.arange(side) + 0.5
    # Pillow's box: pixels whose middles are inside count as one, the others not at all
    takes = ((middles > edges[:-1, None]) & (middles <= edges[1:, None])).to(images.dtype)
    takes /= takes.sum(1, keepdim=True)
    nearest = (middles.double() * (small / side)).long()
    weights = takes[nearest]
    return weights @ images @ weights.T


def jpeg_compression(images: Tensor, draws: Draws, quality: float) -> Tensor:
    """Written as JPEG and read again, colour at half the resolution as Pillow has it."""
    pixels = (images * 255).round().byte().movedim(1, -1).numpy()
    return torch.stack([_compressed(one, int(quality)) for one in pixels]).to(images.dtype) / 255


def _compressed(pixels: np.ndarray, quality: int) -> Tensor:
    """Of an image [S, S, C] of bytes, [C, S, S]."""
    file = BytesIO()
    Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0]).save(
        file, "JPEG", quality=quality
    )
    found = torch.from_numpy(np.array(Image.open(file)))
    return found[None] if found.ndim == 2 else found.movedim(-1, 0)


def elastic_transform(
    images: Tensor, draws: Draws, amount: float, deviation: float, corners: float
) -> Tensor:
    """An affine map that moves three corners at random, and a smooth field of displacements.

    All three are shares of the side: how far pixels move before the field is smoothed, its
    deviation, and how far corners move at most.
    """
    count, side = len(images), images.shape[-1]
    middle, arm = side // 2, side // 3
    before = middle + arm * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]).double()
    moves = corners * side * (2 * draws("corners", 6).double().view(count, 3, 2) - 1)
    after = torch.cat([before + moves, torch.ones(count, 3, 1, dtype=torch.float64)], 2)
    back = torch.linalg.solve(after, before.expand(count, -1, -1))  # x, y, 1 → x, y before
    places = torch.arange(side, dtype=torch.float64)
    columns, rows = places.expand(side, side), places[:, None].expand(side, side)
    grid = torch.stack([columns, rows, torch.ones_like(rows)], -1) @ back[:, None]
    images = sampled(images, grid[..., 1], grid[..., 0], "mirror")
    fields = 2 * draws("field", 2 * side * side).double().view(count, 2, side, side) - 1
    fields = amount * side * smoothed(fields, deviation * side, "reflect", truncate=3)
    return sampled(images, rows + fields[:, 1], columns + fields[:, 0], "reflect").clamp(0, 1)
