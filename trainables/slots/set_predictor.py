"""The network that predicts the properties of all objects of an image, and its loss.

Letters: B images, K slots, O rows of targets, D width of slots, N tokens, M = min(K, O) pairs.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.convolutions import Encoder, glorot
from trainables.layers.slot_attention import SlotAttention
from trainables.losses.matching import matched_huber

HEAD_WIDTH = 64


class Predicted(NamedTuple):
    """Properties [B, K, F] in 0…1, and the attention [B, K, N] of the slots: 1 in sum over K."""

    properties: Tensor
    attention: Tensor


class SetPredictor(nn.Module):
    """Encoder → Slot Attention → for each slot Linear D → 64, ReLU, Linear 64 → F, sigmoid.

    Locatello et al. 2020, section E.2; the sigmoid bounds coordinates as well as scores. Weights
    of the head are Glorot-uniform.

    Args:
        encoder: from images to tokens.
        slot_attention: from tokens to slots.
        num_properties: F.
    """

    def __init__(
        self, encoder: Encoder, slot_attention: SlotAttention, num_properties: int
    ) -> None:
        super().__init__()
        self.encoder, self.slot_attention = encoder, slot_attention
        self.head = nn.Sequential(
            glorot(nn.Linear(slot_attention.slot_width, HEAD_WIDTH)),
            nn.ReLU(),
            glorot(nn.Linear(HEAD_WIDTH, num_properties)),
        )

    def forward(
        self,
        images: Tensor,
        noise: Tensor | None,
        *,
        iterations: int | None = None,
        rescale: Literal["none", "cardinality", "mass"] = "none",
    ) -> Predicted:
        """For images [B, C, S, S] and noise [B, K, D] (None for slots that are learned one by one).

        `iterations` and `rescale` as in Slot Attention.
        """
        slots, attention = self.slot_attention(
            self.encoder(images), noise, iterations=iterations, rescale=rescale
        )
        return Predicted(self.head(slots).float().sigmoid(), attention)


class SetLoss(NamedTuple):
    """The two parts of the loss of each image, [B]."""

    matched: Tensor
    absent: Tensor


def set_loss(properties: Tensor, targets: Tensor, *, real: int) -> SetLoss:
    """The loss of predictions [B, K, F] against targets [B, O, F], for any K and O.

    `matched`: the mean over the M pairs that cost least of (1/F) Σ huber(ŷ − y), at least 0, 0 for
    equal sets. Objects beyond K slots do not count. As rows of padding are targets too, K = O slots
    all have one. (Locatello et al. 2020 sum over F and M: 190 times as much for F = 19, M = 10.)

    `absent`: (1/(F M)) Σ huber(ŷ_real) over the K − M slots that have no partner and should say
    that they are no object (column `real`, 0 at best): what a slot with padding as its partner
    pays for that column. 0 for K ≤ O.
    """
    costs, alone = matched_huber(properties, targets)
    claims = properties[..., real]
    claimed = functional.huber_loss(claims, torch.zeros_like(claims), reduction="none")
    absent = torch.where(alone, claimed, 0).sum(1)
    return SetLoss(costs.mean(1), absent / (properties.shape[2] * costs.shape[1]))
