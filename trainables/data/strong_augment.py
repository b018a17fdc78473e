"""RandAugment, AutoAugment and AugMix of batches, by uniform draws alone.

Each takes images [B, C, H, W] of one channel or three, 0…1, and draws in [0, 1) [B, number], and
returns [B, C, H, W], 0…1. What operations are is said in `trainables.data.image_operations`:
images of one channel have no `color`.
"""

# B images, K chains.

from __future__ import annotations

import torch
from torch import Tensor

from trainables.data.image_operations import (
    COLOURS,
    OPERATIONS,
    SHAPES,
    TONES,
    Change,
    changed,
    signed,
    value,
)
from trainables.data.policies import POLICIES

MOST = 30
"""The largest magnitude of RandAugment."""
AUTO_AUGMENT = 5
"""Draws of `auto_augment`: which pair, and of both of its operations whether and which way."""
_LEVELS, _LONGEST = 10, 3


def rand_augment(images: Tensor, draws: Tensor, *, magnitude: int = 9, fill: float = 0.5) -> Tensor:
    """So many operations of one `magnitude` in a row, each one of fourteen (Cubuk et al. 2020).

    All are as likely, with the identity among them, and again; half of those that can go the other
    way. Draws [B, 2 · operations]: which, and which way. Magnitudes are 0 … `MOST`, as torchvision
    has them; what comes in from outside is grey, as published (torchvision: black).
    """
    names = [name for name in OPERATIONS if name != "invert"]
    size = (images.shape[2], images.shape[3])
    changes: list[Change] = []
    for name in names:
        changes += signed(name, value(name, magnitude / MOST, size))
    for operation in draws.unflatten(1, (-1, 2)).unbind(1):
        numbers = 2 * _whole(operation[:, 0], len(names)) + (operation[:, 1] < 0.5)
        images = changed(images, numbers, changes, fill=fill)
    return images


def auto_augment(
    images: Tensor, draws: Tensor, *, policy: str = "cifar10", fill: float = 0.5
) -> Tensor:
    """One of the pairs of operations that were found on `cifar10` or `imagenet` (Cubuk et al.
    2019).

    All pairs are as likely; each operation is done as often as its pair says, half of the time the
    other way. Draws [B, `AUTO_AUGMENT`]. What comes in from outside is grey, as published.

    Raises:
        LookupError: there is no such policy.
    """
    if policy not in POLICIES:
        raise LookupError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
    pairs, size = POLICIES[policy], (images.shape[2], images.shape[3])
    chosen = _whole(draws[:, 0], len(pairs))
    for place in range(2):
        steps = [pair[place] for pair in pairs]
        changes: list[Change] = []
        for name, _, magnitude in steps:
            changes += signed(name, value(name, magnitude / (_LEVELS - 1), size))
        likely = draws.new_tensor([rate for _, rate, _ in steps])[chosen]
        whether, way = draws[:, 1 + 2 * place], draws[:, 2 + 2 * place]
        numbers = torch.where(whether < likely, 2 * chosen + (way < 0.5), -1)
        images = changed(images, numbers, changes, fill=fill)
    return images


def aug_mix_draws(chains: int) -> int:
    """How many draws `aug_mix` takes: how much of the image is mixed, and of each chain its weight,
    its length, and three times which operation, how strong and which way."""
    return 1 + chains * (2 + 3 * _LONGEST)


def aug_mix(
    images: Tensor,
    draws: Tensor,
    *,
    severity: int = 3,
    chains: int = 3,
    all_operations: bool = False,
    fill: float = 0.0,
) -> Tensor:
    """(1 − m) · image + m · Σ wₖ · chainₖ(image), each of one to three operations in a row
    (Hendrycks et al. 2020, algorithm 1).

    m is uniform, and so are weights on their simplex (its α of 1). Operations are as strong as one
    of the `severity` lowest of ten levels, without those that are among the corruptions of
    ImageNet-C unless it takes `all_operations`. Levels are whole, as torchvision has them, where
    the original draws strengths between. Draws [B, `aug_mix_draws(chains)`]. The loss that compares
    several mixtures of an image is no part of it.
    """
    size, levels = (images.shape[2], images.shape[3]), range(severity)
    names = [*SHAPES, *TONES, *(COLOURS if all_operations else ())]
    changes: list[Change] = []
    for name in names:
        for level in levels:
            strength = level / (_LEVELS - 1)
            changes += signed(name, value(name, strength, size, farthest=1 / 3, bits=4))
    own = draws[:, 1:].unflatten(1, (chains, -1))
    # Numbers of an exponential distribution, divided by their sum, are uniform on the simplex.
    weights = torch.log1p(-own[..., 0].double()).neg().clamp(min=1e-30)
    shares = (draws[:, :1] * weights / weights.sum(1, keepdim=True)).to(images.dtype)
    mixed = images * (1 - draws[:, 0])[:, None, None, None].to(images.dtype)
    for chain, share in zip(own.unbind(1), shares.unbind(1), strict=True):
        found, length = images, 1 + _whole(chain[:, 1], _LONGEST)
        for place, step in enumerate(chain[:, 2:].unflatten(1, (_LONGEST, 3)).unbind(1)):
            number = _whole(step[:, 0], len(names)) * severity + _whole(step[:, 1], severity)
            numbers = torch.where(place < length, 2 * number + (step[:, 2] < 0.5), -1)
            found = changed(found, numbers, changes, fill=fill, resampling="bilinear")
        mixed = mixed + share[:, None, None, None] * found
    return mixed.clamp(0, 1)


def _whole(draws: Tensor, number: int) -> Tensor:
    """Draws in [0, 1) as whole numbers below another, int64."""
    return (draws * number).long().clamp(max=number - 1)
