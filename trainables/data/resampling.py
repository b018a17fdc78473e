"""Boxes of images at another size, antialiased: two products of matrices for all boxes at once."""

# B images, N boxes, C channels, H × W pixels of an image, S × S of a view.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Kernel = Literal["bicubic", "bilinear"]

_SHARPNESS = -0.5
"""The parameter a of Keys 1981 in Pillow and in torch where it antialiases."""

_SLIVER = 1e-3
"""A pixel of which a box covers less than this share is not in it: so much may be rounding."""


def resized(
    images: Tensor,
    boxes: Tensor,
    size: int,
    *,
    mirrored: Tensor | None = None,
    kernel: Kernel = "bicubic",
) -> Tensor:
    """The boxes of images at S × S pixels; where a box is larger than that, antialiased.

    A box of whole pixels becomes what torchvision and Pillow make of it once it is cut out. Of any
    other box the pixels that it covers in part count as those that it covers. Bicubic values may go
    beyond those of the image.

    Args:
        images: [B, C, H, W], float.
        boxes: top, left, height, width in shares of the image, [N, 4], N a multiple of B: those of
            an image in a row.
        size: S.
        mirrored: which views are mirrored left to right, bool [N] (None: none).

    Returns:
        [N, C, S, S].
    """
    count, channels, height, width = images.shape
    rows = _weights(boxes[:, 0] * height, boxes[:, 2] * height, size, height, kernel)
    columns = _weights(boxes[:, 1] * width, boxes[:, 3] * width, size, width, kernel)
    if mirrored is not None:
        columns = torch.where(mirrored[:, None, None], columns.flip(1), columns)
    flat = images.transpose(1, 2).reshape(count, height, channels * width)
    found = rows.view(count, -1, height) @ flat
    found = found.view(len(boxes), size * channels, width) @ columns.mT
    return found.view(len(boxes), size, channels, size).transpose(1, 2)


def _weights(start: Tensor, side: Tensor, size: int, length: int, kernel: Kernel) -> Tensor:
    """What each of S places of a box takes from each pixel of a line, [N, S, length]; sums are 1.

    `start` and `side` [N] are in pixels.
    """
    numbers = torch.arange(max(size, length), dtype=start.dtype, device=start.device)
    places, pixels = numbers[:size], numbers[:length]
    step = (side / size)[:, None]
    middles = start[:, None] + (places + 0.5) * step
    away = (pixels + 0.5 - middles[..., None]).abs() / step.clamp(min=1)[..., None]
    first = (start + _SLIVER).floor()
    last = torch.maximum((start + side - _SLIVER).ceil() - 1, first)
    inside = (pixels >= first[:, None]) & (pixels <= last[:, None])
    weights = _bicubic(away) if kernel == "bicubic" else (1 - away).clamp(min=0)
    weights = weights * inside[:, None]
    return weights / weights.sum(-1, keepdim=True)


def _bicubic(away: Tensor) -> Tensor:
    """The cubic convolution of Keys 1981, equation 4, of distances of at least 0."""
    near = ((_SHARPNESS + 2) * away - (_SHARPNESS + 3)) * away * away + 1
    far = _SHARPNESS * (((away - 5) * away + 8) * away - 4)
    return torch.where(away < 1, near, torch.where(away < 2, far, 0.0))
