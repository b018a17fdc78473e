"""By what images are standardised: the statistics of their training split, or others."""

# C channels.

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from trainables.data import digits
from trainables.data.joined import Joined

Standard = Literal["own", "imagenet", "none"]

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of red, green and blue, in 0…1, by which networks are trained on ImageNet."""


def stated(standard: Standard, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation [C, 1, 1] that do not depend on the images.

    ImageNet's, of one channel their means over the colours; with `none` pixels stay in 0…1.
    """
    if standard == "none":
        return torch.zeros(channels, 1, 1), torch.ones(channels, 1, 1)
    mean, deviation = (torch.tensor(one) for one in _IMAGENET)
    if channels != len(mean):
        mean, deviation = mean.mean().expand(channels), deviation.mean().expand(channels)
    return mean[:, None, None], deviation[:, None, None]


def restandardised(whole: Any, standard: Standard) -> Any:
    """A set (`Images` or `Digits`) whose splits are standardised otherwise than by their own.

    What is in it stays the same, and so does its fingerprint.
    """
    if standard == "own":
        return whole
    is_digits = isinstance(whole, digits.Digits)
    mean, deviation = stated(standard, 1 if is_digits else len(whole.mean))
    names = ("train", "val", "test", "with_unlabelled")
    splits = {name: _split(getattr(whole, name), mean, deviation) for name in names}
    given: dict[str, Any] = {"mean": mean, "deviation": deviation, "background": -mean / deviation}
    if is_digits:
        given = {name: float(value) for name, value in given.items()}
    return replace(whole, **splits, **given)


def _split(split: Any, mean: Tensor, deviation: Tensor) -> Any:
    if split is None:
        return None
    if isinstance(split, Joined):
        pieces: Any = split
        return Joined(*(_split(one, mean, deviation) for one in (pieces.first, pieces.second)))
    if isinstance(split, digits.Split):
        return replace(split, images=(split.grey - mean) / deviation)
    return replace(split, mean=mean, deviation=deviation)
