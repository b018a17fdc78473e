"""Padding beyond the edges of images, and filters that need it."""

# B images, C channels, H × W pixels.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Edge = Literal["nearest", "mirror", "reflect"]
"""Beyond abcd comes d (`nearest`), c (`mirror`: the last pixel once), or d, c (`reflect`)."""


def inside(places: Tensor, length: int, edge: Edge) -> Tensor:
    """Which pixel of a line of `length` stands at places that may be beyond it, int64."""
    if edge == "nearest" or length == 1:
        return places.clamp(0, length - 1)
    if edge == "mirror":
        turned = places.remainder(2 * length - 2)
        return torch.minimum(turned, 2 * length - 2 - turned)
    turned = places.remainder(2 * length)
    return torch.minimum(turned, 2 * length - 1 - turned)


def padded(images: Tensor, rows: int, columns: int, edge: Edge) -> Tensor:
    """Images [B, C, H + 2 · rows, W + 2 · columns]."""
    height, width = images.shape[-2:]
    down = inside(torch.arange(-rows, height + rows), height, edge)
    across = inside(torch.arange(-columns, width + columns), width, edge)
    return images[..., down[:, None], across]


def filtered(images: Tensor, kernel: Tensor, edge: Edge) -> Tensor:
    """Each pixel of images [B, C, H, W] the sum of those around it with the weights of a kernel
    [2r + 1, 2s + 1], which is not turned.
    """
    count, channels, height, width = images.shape
    wide = padded(images, kernel.shape[0] // 2, kernel.shape[1] // 2, edge)
    flat = wide.reshape(count * channels, 1, *wide.shape[2:])
    found = functional.conv2d(flat, kernel.to(images.dtype)[None, None])
    return found.view(count, channels, height, width)


def smoothed(
    images: Tensor, deviation: float, edge: Edge = "nearest", truncate: float = 4.0
) -> Tensor:
    """A Gaussian over images [B, C, H, W], cut off behind `truncate` deviations, as in SciPy."""
    reach = int(truncate * deviation + 0.5)
    if reach == 0:
        return images
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (places / deviation) ** 2)
    weights /= weights.sum()
    return filtered(filtered(images, weights[:, None], edge), weights[None], edge)


def sampled(images: Tensor, rows: Tensor, columns: Tensor, edge: Edge) -> Tensor:
    """Images [B, C, H, W] at places [B, H', W'] between their pixels, bilinear: [B, C, H', W']."""
    count, _, height, width = images.shape
    top, left = rows.floor(), columns.floor()
    down = (rows - top).to(images.dtype)[:, None]
    right = (columns - left).to(images.dtype)[:, None]
    which = torch.arange(count)[:, None, None]

    def at(row: Tensor, column: Tensor) -> Tensor:
        row, column = inside(row.long(), height, edge), inside(column.long(), width, edge)
        return images[which, :, row, column].movedim(-1, 1)

    upper = torch.lerp(at(top, left), at(top, left + 1), right)
    lower = torch.lerp(at(top + 1, left), at(top + 1, left + 1), right)
    return torch.lerp(upper, lower, down)
