"""Losses that draw two views of one thing together and push other things apart.

All are cross-entropies of a softmax over cosines divided by a temperature τ (InfoNCE; NT-Xent of
Chen et al. 2020, SimCLR, equation 1): the mean over vectors n of −z_n·z_+ / τ + log Σ_m e^{z_n·z_m
/ τ}, where m goes over the positive and over negatives, which are what differs. With M of these, a
network that maps all to one vector scores log(M + 1), and the best one, whose negatives are
orthogonal, log(e^{1/τ} + M) − 1/τ; opposite ones would score less still.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from trainables.layers.checks import check_choice
from trainables.losses.similarity import normalized


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


def contrast_labels(
    projections: Tensor,
    labels: Tensor | None,
    *,
    temperature: float,
    base_temperature: float | None = None,
    anchors: Literal["all", "one"] = "all",
) -> Contrast:
    """SupCon: each of V views of an image is drawn to all other views of the images of its class.

    ℓ_a = −1/|P(a)| Σ_{p∈P(a)} (z_a·z_p / τ − log Σ_{k≠a} e^{z_a·z_k / τ}), P(a) the other rows of
    the class; the loss is τ/τ_b times the mean over anchors a, of which those without positives
    count 0 (Khosla et al. 2020, equation 2; a mean where theirs is a sum, as in their code).
    Collapsed log(VB − 1) · τ/τ_b. `accuracy` is the share of anchors whose nearest row is a
    positive. Without labels it is SimCLR of V views (Chen et al. 2020): a class for each image. In
    a group of workers, give the projections and labels of all of them.

    Args:
        projections: [B, V, D] of any length.
        labels: int64 [B], or None.
        temperature: τ.
        base_temperature: τ_b; τ if None.
        anchors: `all` views, or the first `one` alone.

    Raises:
        LookupError: the anchors are not known.
    """
    check_choice("anchors", anchors, ("all", "one"))
    views = projections.shape[1]
    rows = normalized(projections).transpose(0, 1).flatten(0, 1)  # views in turn: anchors are first
    images = torch.arange(len(projections), device=rows.device) if labels is None else labels
    kinds = images.repeat(views)
    count = len(rows) if anchors == "all" else len(projections)
    scores = rows[:count] @ rows.T / temperature
    itself = torch.arange(count, device=rows.device)[:, None]
    is_positive = (kinds[:count, None] == kinds).scatter(1, itself, False)
    total = torch.logsumexp(scores.scatter(1, itself, -torch.inf), 1)
    number = is_positive.sum(1)
    hits = (scores * is_positive).sum(1) / number.clamp(min=1)
    loss = torch.where(number > 0, total - hits, 0.0).mean()
    nearest = scores.detach().scatter(1, itself, -torch.inf).argmax(1, keepdim=True)
    accuracy = is_positive.gather(1, nearest).float().mean()
    return Contrast(loss * (temperature / (base_temperature or temperature)), accuracy)


def contrast_queue(
    queries: Tensor, keys: Tensor, queue: Tensor, valid: Tensor, *, temperature: float
) -> Contrast:
    """MoCo: the positive of a query is its key, negatives are the keys of a queue.

    Queries and keys are [B, D], of any length, the queue [Q, D] of length 1, of which those count
    that are `valid`, bool [Q] (He et al. 2020, equation 1). No gradient flows through keys and
    queue. Without any that count the loss is 0; collapsed it is log(n + 1) with n that do.
    """
    rows = normalized(queries)
    hit = (rows * normalized(keys.detach())).sum(-1, keepdim=True)
    others = (rows @ queue.detach().T).masked_fill(~valid, -torch.inf)
    scores = torch.cat([hit, others], 1) / temperature
    return _contrast(scores, torch.zeros_like(valid[:1], dtype=torch.int64).expand(len(rows)))


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


def _contrast(scores: Tensor, positive: Tensor) -> Contrast:
    """Of scores [..., N, M] of candidates, and the place [..., N] of the positive among them."""
    hit = scores.gather(-1, positive[..., None])[..., 0]
    loss = (torch.logsumexp(scores, -1) - hit).mean()
    return Contrast(loss, (scores.argmax(-1) == positive).float().mean())


def _without_itself(scores: Tensor) -> Tensor:
    """Square scores [..., N, N] in which no vector is its own candidate."""
    itself = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
    return scores.masked_fill(itself, -torch.inf)
