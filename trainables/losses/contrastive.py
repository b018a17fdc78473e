"""Losses that draw two views of one thing together and push other things apart.

All are cross-entropies of a softmax over cosines divided by a temperature τ (InfoNCE; NT-Xent of
Chen et al. 2020, SimCLR, equation 1): the mean over vectors n of −z_n·z_+ / τ + log Σ_m e^{z_n·z_m
/ τ}, where m goes over the positive and over negatives, which are what differs. With M of these, a
network that maps all to one vector scores log(M + 1), and the best one, whose negatives are
orthogonal, log(e^{1/τ} + M) − 1/τ; opposite ones would score less still.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trainables.losses.similarity import across, normalized


class Contrast(NamedTuple):
    """The loss, a scalar, and the share of vectors whose nearest candidate is their positive."""

    loss: Tensor
    accuracy: Tensor


def contrast_views(projections: Tensor, temperature: float) -> Contrast:
    """Of projections [B, 2, D]: the positive is the other view, negatives are the 2B − 2 others.

    Collapsed log(2B − 1). In a group of workers, give the projections of all of them.
    """
    rows = normalized(projections).flatten(0, 1)
    scores = _without_itself(rows @ rows.T / temperature)
    positive = torch.arange(len(rows), device=rows.device) ^ 1
    return _contrast(scores, positive)


def contrast_slots(projections: Tensor, partners: Tensor, temperature: float) -> Contrast:
    """Of slots [B, 2, S, D]: negatives are all other slots of all images, 2BS − 2.

    `partners` [B, 2, S], int64, are the positives in the other view of the same image. Collapsed
    log(2BS − 1). In a group of workers, give the slots of all of them.
    """
    batch, views, slots, _ = projections.shape
    rows = normalized(projections).flatten(0, 2)
    scores = _without_itself(rows @ rows.T / temperature)
    image = torch.arange(batch, device=rows.device)[:, None, None]
    view = torch.arange(views, device=rows.device)[None, :, None]
    positive = (image * views + (1 - view)) * slots + partners
    return _contrast(scores, positive.flatten())


def contrast_slots_of_image(projections: Tensor, partners: Tensor, temperature: float) -> Contrast:
    """Of slots [B, 2, S, D]: negatives are the other slots of both views of the image, 2S − 2.

    `partners` [B, 2, S], int64, are the positives. Collapsed log(2S − 1), whatever B.
    """
    slots = projections.shape[2]
    rows = normalized(projections).flatten(1, 2)
    scores = _without_itself(rows @ rows.mT / temperature)
    offset = slots * (1 - torch.arange(2, device=rows.device))[:, None]  # no copy from the host
    return _contrast(scores, (partners + offset).flatten(1))


def contrast_slots_across(projections: Tensor, partners: Tensor, temperature: float) -> Contrast:
    """Of slots [B, 2, S, D]: negatives are the other slots of the other view alone, S − 1.

    `partners` [B, 2, S], int64, are the positives. Collapsed log S.
    """
    rows = normalized(projections)
    return _contrast(rows @ rows.flip(1).mT / temperature, partners)


def positives(projections: Tensor, partners: Tensor) -> Tensor:
    """The cosine of each slot [B, 2, S, D] with its partner, [B, 2, S], in −1…1."""
    rows = normalized(projections)
    return (rows * across(rows, partners)).sum(-1)


def _contrast(scores: Tensor, positive: Tensor) -> Contrast:
    """Of scores [..., N, M] of candidates, and the place [..., N] of the positive among them."""
    hit = scores.gather(-1, positive[..., None])[..., 0]
    loss = (torch.logsumexp(scores, -1) - hit).mean()
    return Contrast(loss, (scores.argmax(-1) == positive).float().mean())


def _without_itself(scores: Tensor) -> Tensor:
    """Square scores [..., N, N] in which no vector is its own candidate."""
    itself = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
    return scores.masked_fill(itself, -torch.inf)
