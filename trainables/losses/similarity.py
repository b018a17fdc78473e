"""Losses that draw vectors of one thing together and push nothing apart.

Two views of each of B images have vectors [B, 2, D], or S slots each, [B, 2, S, D]. A projection is
compared with the feature of the other view, through which no gradient flows (Chen and He 2021,
SimSiam, equation 2). Each loss is (1 − cos) / 2: 0 for equal directions, ½ for orthogonal ones, 1
for opposite ones. A constant network has 0 as well.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST = 1e-10
"""To which a norm is raised before it divides: a vector of zeros has cosine 0 with all others."""


def normalized(vectors: Tensor) -> Tensor:
    """Vectors [..., D] of length 1."""
    return functional.normalize(vectors, dim=-1, eps=SMALLEST)


def distance(first: Tensor, second: Tensor) -> Tensor:
    """(1 − cos) / 2 of vectors [..., D], in 0…1, [...]."""
    return (1 - (normalized(first) * normalized(second)).sum(-1)) / 2


def views_alike(projections: Tensor, features: Tensor) -> Tensor:
    """The mean distance of each projection [B, 2, D] to the feature of the other view; a scalar."""
    return distance(projections, features.detach().flip(1)).mean()


def slots_alike(projections: Tensor, features: Tensor, partners: Tensor) -> Tensor:
    """The mean distance of each projection [B, 2, S, D] to the feature of its partner; a scalar.

    `partners` [B, 2, S], int64: the slot of the other view, as `losses.matching.match_views` finds
    it. A mean over all slots, so that neither their number nor that of images matters.
    """
    return distance(projections, across(features.detach(), partners)).mean()


def across(vectors: Tensor, partners: Tensor) -> Tensor:
    """Of vectors [B, 2, S, D] those of the partners [B, 2, S] in the other view, [B, 2, S, D]."""
    return vectors.flip(1).gather(2, partners[..., None].expand_as(vectors))


class Reciprocal(NamedTuple):
    """The loss, a scalar, NaN where nothing was kept; and the share of small slots that were."""

    loss: Tensor
    share: Tensor


def small_slots_alike(projections: Tensor, features: Tensor) -> Reciprocal:
    """The distance of slots of small crops to slots of large crops that choose each other.

    Of `projections` [B, V, S, D] of V small crops and `features` [B, A, L, D] of A large ones: for
    each pair of a small and a large crop of one image, a small slot is compared with its nearest
    large slot if it is the nearest small slot of that one too. The loss is the mean over all that
    are kept, where the published form takes it within each pair of crops first; `share` is their
    number over B·V·A·S. Nearest is by cosine, without gradient.
    """
    features = normalized(features.detach())
    with torch.no_grad():
        cosines = torch.einsum("bvsd,bald->bvasl", normalized(projections), features)
        chosen = cosines.argmax(4)
        kept = cosines.argmax(3).gather(3, chosen) == torch.arange(
            projections.shape[2], device=projections.device
        )
    of_crop = features[:, None].expand(-1, projections.shape[1], -1, -1, -1)
    width = features.shape[-1]
    nearest = of_crop.gather(3, chosen[..., None].expand(-1, -1, -1, -1, width))
    distances = distance(projections[:, :, None].expand_as(nearest), nearest)
    count = kept.sum()
    mean = (distances * kept).sum() / count.clamp(min=1)  # 0 / 0 would have a gradient of NaN
    return Reciprocal(torch.where(count > 0, mean, torch.nan), kept.float().mean())
