"""Label maps: from masks, at another size, and from nothing but colours."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

_CHUNK = 2**22
"""So many mask values are enlarged at a time: they stay in the cache, and memory small."""


def label_map(masks: Tensor) -> Tensor:
    """Which mask is largest, int64: [B, H, W] of [B, K, H, W], [B, N] of [B, K, N].

    Masks are probabilities, logits or one-hot; the lowest index wins a tie.
    """
    # On the CPU `max` takes a quarter of the time of `argmax` along an axis with strides.
    return masks.max(1).indices


def enlarged(
    masks: Tensor, size: tuple[int, int], kind: Literal["bilinear", "nearest"] = "bilinear"
) -> Tensor:
    """Masks [B, K, h, w] at H × W pixels, [B, K, H, W].

    `bilinear` between the centres of pixels, constant outside the outermost; `nearest` repeats.
    """
    if kind == "nearest":
        return functional.interpolate(masks, size, mode="nearest-exact")
    return functional.interpolate(masks, size, mode="bilinear", align_corners=False)


def enlarged_label_map(
    masks: Tensor, size: tuple[int, int], kind: Literal["bilinear", "nearest"] = "bilinear"
) -> Tensor:
    """The `label_map` [B, H, W] of `enlarged` masks, which are never in memory all at once."""
    if kind == "nearest":
        small = label_map(masks)
        rows = _centred(masks.shape[2], size[0], masks.device)
        columns = _centred(masks.shape[3], size[1], masks.device)
        return small[:, rows[:, None], columns]
    step = max(1, _CHUNK // (masks.shape[1] * size[0] * size[1]))
    return torch.cat([label_map(enlarged(part, size)) for part in masks.split(step)])


def resized(
    labels: Tensor, size: tuple[int, int], rule: Literal["rounded", "centred"] = "centred"
) -> Tensor:
    """A label map [B, h, w] at H × W pixels by picking pixels, never mixing them.

    Of h pixels, pixel i of H is `centred` ⌊(i + ½) h / H⌋, or `rounded` i h / H to the nearest
    integer, the even one of two (half a pixel up and to the left, at most h − 1): the rule of the
    DINOSAUR experiments on update normalisations, for comparison with their numbers.
    """
    index = _centred if rule == "centred" else _rounded
    rows = index(labels.shape[1], size[0], labels.device)
    columns = index(labels.shape[2], size[1], labels.device)
    return labels[:, rows[:, None], columns]


def by_color(images: Tensor, most: int = 16) -> Tensor:
    """Segments [B, H, W], int64, below `most`, from colours alone: what needs no idea of objects.

    Each pixel of `images` [B, C, H, W] goes to the nearest (squared difference) of the `most` most
    frequent colours of its image, so that equal colours are one segment, wherever they are. Label 0
    is the most frequent one, mostly the background. A method that scores no more has found colours.
    """
    return torch.stack([_clustered(image, most) for image in images])


def _clustered(image: Tensor, most: int) -> Tensor:
    """The labels [H, W] of one image [C, H, W]."""
    pixels = image.flatten(1).T
    key = torch.zeros(len(pixels), dtype=torch.long, device=image.device)
    for channel in pixels.T:  # numbers of colours in order: 20 times as fast as sorting rows
        values, index = channel.unique(return_inverse=True)
        key = (key * len(values) + index).unique(return_inverse=True)[1]
    counts = key.bincount()
    colors, inverse = pixels.new_empty(len(counts), pixels.shape[1]), key
    colors[key] = pixels
    order = counts.argsort(descending=True, stable=True)[:most]
    distance = torch.cdist(
        colors.double(), colors[order].double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    return distance.min(1).indices[inverse].view(image.shape[1:])


def _centred(old: int, new: int, device: torch.device) -> Tensor:
    """Where the centres of `new` pixels lie in `old` ones; integers only, so exact."""
    return (2 * torch.arange(new, device=device) + 1) * old // (2 * new)


def _rounded(old: int, new: int, device: torch.device) -> Tensor:
    """The multiples of old / new, to the nearest integer, halves to the even one."""
    places = torch.arange(new, dtype=torch.float64, device=device) * (old / new)
    return places.round().long().clamp(max=old - 1)
