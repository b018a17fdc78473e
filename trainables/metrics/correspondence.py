"""Where in images features are like those at a place: correspondence of dense features."""

# B images, D width, h × w places, A anchors.

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.similarity import normalized

ANCHORS = ((-0.9, -0.9), (0.9, -0.9), (0.0, 0.0), (-0.9, 0.9), (0.9, 0.9))
"""Five points (x, y) of an image whose corners are at ±1: near its corners, and its middle."""
_ROUNDING = 1e-12
"""Of a sum of shares that is 1."""


def anchor_features(features: Tensor, anchors: Tensor) -> Tensor:
    """Features [B, D, h, w] at points [A, 2], (x, y) in −1…1, bilinearly: [B, A, D].

    ±1 are the middles of the outermost places.
    """
    grid = anchors.to(features)[None, None].expand(len(features), -1, -1, -1)
    found = functional.grid_sample(
        features, grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    return found[:, :, 0].transpose(1, 2)


def correspondence(anchors: Tensor, features: Tensor) -> Tensor:
    """Heat [B, A, h, w] in 0…2: max(0, cos(anchor, feature) − its mean over the image).

    As STEGO shows it (Hamilton et al. 2022): `anchors` [B, A, D] of the same images or of others,
    `features` [B, D, h, w]. It is 0 where a place is no more like the anchor than places are on
    average.
    """
    places = normalized(features.flatten(2).transpose(1, 2))
    cosines = normalized(anchors) @ places.transpose(1, 2)
    heat = (cosines - cosines.mean(-1, keepdim=True)).clamp(min=0)
    return heat.unflatten(-1, features.shape[-2:])


def top_mass(maps: Tensor, share: float) -> Tensor:
    """Masks bool [..., h, w]: the fewest places of each map [..., h, w] that have `share` of it.

    Maps are of at least 0, such as attention; `share` is in 0…1. As DINO shows attention (Caron et
    al. 2021, figure 1: 0.6): places by falling value, until their sum is the share of the whole;
    what is below 1 − share of the mass is left out.
    """
    flat = maps.flatten(-2).double()
    total = flat.sum(-1, keepdim=True)
    rising, order = (flat / total.where(total > 0, 1.0)).sort(dim=-1, stable=True)
    keeps = rising.cumsum(-1) > 1 - share + _ROUNDING
    masks = torch.zeros_like(keeps).scatter_(-1, order, keeps)
    return masks.unflatten(-1, maps.shape[-2:])
