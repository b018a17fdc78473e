"""Changed pictures and where their places come from: crops, mirror images, five crops."""

# B images, C channels, H × W pixels, h × w places of a map.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainables.data.jitter import ORDERS, jitter

FIVE = 5
"""The four corners, left above, right above, left below, right below, and the middle."""
DRAWS = 9
"""Numbers that a change takes."""


class Windows(NamedTuple):
    """What of images is seen: top, left and side [B, 3] in shares, and who is `mirrored` [B]."""

    corners: Tensor
    mirrored: Tensor


def five_crop(images: Tensor, which: Tensor, ratio: float) -> Tensor:
    """One of the five crops of each image [B, …, H, W], `which` [B] in 0…4, as torchvision's.

    Sides are `ratio` times those of the image, rounded, at least a pixel.
    """
    size = [max(1, round(one * ratio)) for one in images.shape[-2:]]
    rooms = [one - own for one, own in zip(images.shape[-2:], size, strict=True)]
    middle = [round(room / 2) for room in rooms]
    found: list[Tensor] = []
    for image, place in zip(images, which.tolist(), strict=True):
        down, right = divmod(place, 2)
        top, left = middle if place == FIVE - 1 else (down * rooms[0], right * rooms[1])
        found.append(image[..., top : top + size[0], left : left + size[1]])
    return torch.stack(found)


def windows(draws: Tensor, smallest: float) -> Windows:
    """Windows of the proportions of images, of draws [B, 4] in 0…1: an area of at least `smallest`,
    anywhere, half of them mirrored.
    """
    side = (smallest + draws[:, 0] * (1 - smallest)).sqrt()
    top, left = ((1 - side) * draws[:, k] for k in (1, 2))
    return Windows(torch.stack([top, left, side], 1), draws[:, 3] < 0.5)


def changed(images: Tensor, draws: Tensor, smallest: float, strength: float) -> Tensor:
    """What is in a window of each image [B, 3, H, W], as large as the image, in other colours.

    Brightness, contrast and saturation times 1 ± `strength`, hue turned by a third of it, in any
    order.

    Args:
        images: in 0…1.
        draws: [B, 9], in 0…1; the first four are those of `windows`.
        smallest: least area of a window, in shares.
        strength: 0 … 1.
    """
    seen = windows(draws[:, :4], smallest)
    grid = _grid(seen, (images.shape[2], images.shape[3])).to(images)
    cut = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    signed = 2 * draws[:, 4:8] - 1
    factors = torch.cat([1 + strength * signed[:, :3], strength / 3 * signed[:, 3:]], 1)
    orders = (draws[:, 8] * len(ORDERS)).long()
    return jitter(cut.clamp(0, 1), factors.to(images), orders.to(images.device))


def places(seen: Windows, shape: tuple[int, int]) -> Tensor:
    """Where the places of a map h × w of windows lie in the map of the whole, [B, h · w, 2].

    (Column, row) in −1…1, where ±1 are the centres of the outermost places, as in
    `trainables.losses.correspondence.sampled`.
    """
    grid = _grid(seen, shape).flatten(1, 2)
    sizes = torch.tensor([shape[1], shape[0]], dtype=grid.dtype)
    return grid * sizes / (sizes - 1).clamp(min=1)


def _grid(seen: Windows, shape: tuple[int, int]) -> Tensor:
    """The centres of h × w cells of windows, [B, h, w, 2], in −1…1 from edge to edge of images."""
    rows, columns = ((2 * torch.arange(size) + 1) / size / 2 for size in shape)
    top, left, side = seen.corners[:, :, None].unbind(1)
    across = torch.where(seen.mirrored[:, None], 1 - columns, columns[None])
    down = (top + side * rows)[:, :, None].expand(-1, -1, shape[1])
    right = (left + side * across)[:, None].expand(-1, shape[0], -1)
    return 2 * torch.stack([right, down], -1) - 1
