"""Whether slots that are partners in two views of an image show one and the same object."""

# B images, S slots, T labels of entities (0 is the background).

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trainables.metrics.masks import entity_masks, mask_overlaps


class RightMatches(NamedTuple):
    """Shares [B], float64, in 0…1: of right partners, and what partners by chance would have.

    NaN for an image in which no slot of the first view shows an object that both views have.
    """

    share: Tensor
    chance: Tensor


def shown_objects(labels: Tensor, masks: Tensor, number: int) -> Tensor:
    """Which entity each slot shows, int64 [B, S], 0 for none: that of the best overlap (IoU).

    A slot that overlaps with nothing shows none, and so does one that fits the background best.

    Args:
        labels: [B, H, W], of any integer type, below `number`.
        masks: of slots, bool [B, S, H, W]; they may overlap.
        number: T.
    """
    true = entity_masks(labels, number).flatten(2)
    return mask_overlaps(true, masks.flatten(2)).max(1).indices


def right_match_share(partners: Tensor, labels: Tensor, masks: Tensor) -> RightMatches:
    """Of the slots of the first view that show an object, how many have a partner that shows it.

    An object counts if both views have a pixel of it: otherwise no partner is right. Chance is the
    expected share of a partner that is any slot of the other view, as likely: the mean of n₁(o) / S
    over slots, with n₁(o) how many slots of the other view show the object o of a slot.

    Args:
        partners: the slot of the other view, int64 [B, 2, S], as `losses.matching.match_views`
            finds it; the first direction is looked at.
        labels: [B, 2, H, W], of any integer type; an object has one number in both views.
        masks: of slots, bool [B, 2, S, H, W].
    """
    number = int(labels.max()) + 1
    first, second = (shown_objects(labels[:, v], masks[:, v], number) for v in (0, 1))
    seen = _seen_in_both(labels, number)
    counts = (seen.gather(1, first) & (first > 0)).double()
    right = (second.gather(1, partners[:, 0]) == first).double()
    among = (first[..., None] == second[:, None]).double().mean(2)
    total = counts.sum(1)
    return RightMatches((right * counts).sum(1) / total, (among * counts).sum(1) / total)


def _seen_in_both(labels: Tensor, number: int) -> Tensor:
    """Which entities have a pixel in both views [B, 2, H, W], bool [B, T]."""
    flat = labels.flatten(2).long()
    seen = torch.zeros(*flat.shape[:2], number, dtype=torch.bool, device=labels.device)
    return seen.scatter_(2, flat, True).all(1)
