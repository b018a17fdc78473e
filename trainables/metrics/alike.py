"""Objects of the same properties: slots that show them, and whether masks tell them apart."""

# B images, T entities (0 is the background), S slots, G images of a batch, M pixels.

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trainables.metrics.masks import entity_masks, mask_overlaps, matched_to_truth


class AlikeShares(NamedTuple):
    """Of the other slots of a slot that shows an object, the share of those that show an alike one.

    Float64 scalars in 0…1, means over the slots that show an object; NaN if none does.
    """

    of_image: Tensor
    """Of the others of its image."""
    of_others: Tensor
    """Of those of the other images of its batch."""
    of_batch: Tensor
    """Of all others of its batch."""
    chance: Tensor
    """Of all others of all images: what others would be that are any of them, as likely."""


def alike_shares(types: Tensor, images: int) -> AlikeShares:
    """How often the slots that a loss takes as negatives show the same kind of object.

    A slot is not another one of itself, and one that shows nothing is alike to none. The negatives
    of two views are twice as many without a partner; where both views show the same, so are those
    that are alike, and shares are these.

    Args:
        types: of the object that each slot shows, int64 [B, S]: equal for objects of the same
            properties, below 0 for a slot that shows none.
        images: G, so many in a row are a batch. The last one may have fewer; one image is none.
    """
    shows, slots = types >= 0, types.shape[1]
    within = (_equal(types[:, :, None], types[:, None]) - 1) / (slots - 1)
    _, kinds, counts = types.unique(return_inverse=True, return_counts=True)
    everywhere = (counts.double()[kinds] - 1) / (types.numel() - 1)
    beside, among, compared = list[Tensor](), list[Tensor](), list[Tensor]()
    for batch in types.split(images):
        if len(batch) < 2:
            continue
        of_image = _equal(batch[:, :, None], batch[:, None])
        of_batch = _equal(batch.view(-1, 1), batch.view(1, -1)).view(batch.shape)
        beside.append((of_batch - of_image) / (batch.numel() - slots))
        among.append((of_batch - 1) / (batch.numel() - 1))
        compared.append(batch >= 0)
    return AlikeShares(
        _mean([within], [shows]),
        _mean(beside, compared),
        _mean(among, compared),
        _mean([everywhere], [shows]),
    )


def alike_objects(labels: Tensor, types: Tensor) -> Tensor:
    """Which entities have another one of their type in the same image, bool [B, T].

    Args:
        labels: [B, H, W] of any integer type, below T: an entity without a pixel is not there.
        types: of entities, int64 [B, T]; below 0 for backgrounds and what has no properties.
    """
    number = types.shape[1]
    there = torch.zeros(types.shape, dtype=torch.bool, device=labels.device)
    there = there.scatter_(1, labels.flatten(1).long(), True) & (types >= 0)
    same = (types[:, :, None] == types[:, None]) & there[:, :, None] & there[:, None]
    return (same & ~torch.eye(number, dtype=torch.bool, device=labels.device)).any(2)


def iou_of(true: Tensor, masks: Tensor, chosen: Tensor) -> Tensor:
    """The mean IoU of chosen entities with the slots they are matched with, float64 [B].

    All entities are matched, as in `masks.overlap_scores`; NaN where none is chosen.

    Args:
        true: labels [B, H, W] of any integer type, or masks bool [B, T', H, W], T' at most T.
        masks: of slots, bool [B, S, H, W].
        chosen: bool [B, T]; what has no pixel is not.
    """
    found = torch.full(chosen.shape[:1], torch.nan, dtype=torch.float64, device=true.device)
    some = chosen.any(1).nonzero()[:, 0]
    if not len(some):
        return found
    true, masks, chosen = true[some], masks[some], chosen[some]
    entities = (entity_masks(true, chosen.shape[1]) if true.dim() == 3 else true).flatten(2)
    fits = matched_to_truth(mask_overlaps(entities, masks.flatten(2)))
    chosen = chosen[:, : fits.shape[1]]
    found[some] = (fits * chosen).sum(1) / chosen.sum(1)
    return found


def _equal(types: Tensor, others: Tensor) -> Tensor:
    """How many others, along the last dimension, are of the same type, float64."""
    return (types == others).sum(-1, dtype=torch.float64)


def _mean(shares: list[Tensor], shows: list[Tensor]) -> Tensor:
    """Over the slots [B, S] that show an object; NaN without any."""
    kept = [one[these] for one, these in zip(shares, shows, strict=True)]
    return torch.cat(kept).mean() if kept else torch.tensor(torch.nan, dtype=torch.float64)
