"""Changes that stand in for neighbouring frames of a video: places and colours that are moved."""

# B images, C channels, H × W pixels.

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from trainables.data.colour import brighten, saturate, turn_hue
from trainables.layers.checks import check_choice

KINDS = ("translation", "saturation", "hue", "brightness")
"""Those that agree most with robustness to the frames of videos (Taori et al. 2020)."""
COLOURED = ("saturation", "hue")
"""Those that images of one channel do not have."""


def changed(pixels: Tensor, kind: str, strength: float, draws: Tensor) -> Tensor:
    """Images [B, C, H, W] in 0…1, changed by so much, each in a direction of its own; 0…1.

    `translation`: moved by `strength` times the sides, at an angle of 2π · draw; what comes in is
    like the edge. `saturation` of HSV times 1 ± strength, `hue` turned by ± strength turns,
    `brightness` ± strength: down where a draw is below ½. A strength of 0 changes nothing.

    Args:
        pixels: of three channels for saturation and hue.
        kind: one of `KINDS`.
        strength: at least 0.
        draws: [B], in 0…1.

    Raises:
        LookupError: there is no such kind. ValueError: saturation or hue of one channel.
    """
    check_choice("kind", kind, KINDS)
    if kind in COLOURED and pixels.shape[1] != 3:
        raise ValueError(f"images must have 3 channels to change {kind}, got {pixels.shape[1]}")
    if kind == "translation":
        angles = 2 * math.pi * draws
        return moved(pixels, strength * torch.stack([angles.sin(), angles.cos()], 1))
    signed = torch.where(draws < 0.5, -strength, strength).to(pixels)
    if kind == "saturation":
        return saturate(pixels, 1 + signed).clamp(0, 1)
    found = turn_hue(pixels, signed) if kind == "hue" else brighten(pixels, signed)
    return found.clamp(0, 1)


def moved(images: Tensor, shares: Tensor) -> Tensor:
    """Images [B, C, H, W] moved down and right by shares [B, 2] of their height and width.

    Bilinear between pixels; what comes in is as the pixels of the edge.
    """
    height, width = images.shape[2:]
    rows, columns = (
        (2 * torch.arange(size, device=images.device) + 1).to(images.dtype) / size - 1
        for size in (height, width)
    )
    shares = shares.to(images)
    down = (rows - 2 * shares[:, :1])[:, :, None].expand(-1, -1, width)
    right = (columns - 2 * shares[:, 1:])[:, None].expand(-1, height, -1)
    grid = torch.stack([right, down], -1)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
