"""Colours distorted as by torchvision's `ColorJitter`: each image by factors in its own order."""

# N images, C channels.

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

from trainables.data.colour import luma, turn_hue

ORDERS = tuple(permutations(range(4)))
"""In which brightness, contrast, saturation and hue may follow one another."""


def jitter(images: Tensor, factors: Tensor, orders: Tensor) -> Tensor:
    """Brightness, contrast and saturation times a factor, hue by a turn; cut off at 0 and 1.

    Brightness moves a value away from 0 (factor > 1) or to it, contrast from the mean of the image
    in grey, saturation from the grey of the pixel. Images of one channel have brightness and
    contrast alone.

    Args:
        images: [N, C, H, W], 0…1, C 1 or 3.
        factors: brightness, contrast, saturation, turns of the colour wheel, [N, 4].
        orders: numbers of `ORDERS`, int64 [N].

    Returns:
        [N, C, H, W].
    """
    changes = (_brighten, _contrast) if images.shape[1] == 1 else _CHANGES
    following = torch.tensor(ORDERS, device=images.device)[orders]
    found = images.clone()
    for turn in range(len(ORDERS[0])):
        for number, change in enumerate(changes):
            chosen = (following[:, turn] == number).nonzero()[:, 0]
            if len(chosen):
                changed = change(found[chosen], factors[chosen, number])
                found.index_copy_(0, chosen, changed)
    return found


def _brighten(images: Tensor, factors: Tensor) -> Tensor:
    return (images * factors[:, None, None, None]).clamp(0, 1)


def _contrast(images: Tensor, factors: Tensor) -> Tensor:
    grey = images if images.shape[1] == 1 else luma(images)
    mean = grey.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, factors[:, None, None, None]).clamp(0, 1)


def _saturate(images: Tensor, factors: Tensor) -> Tensor:
    return torch.lerp(luma(images), images, factors[:, None, None, None]).clamp(0, 1)


_CHANGES = (_brighten, _contrast, _saturate, turn_hue)
