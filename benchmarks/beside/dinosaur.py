"""DINOSAUR with its MLP decoder: a training step on features, by normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.beside import attention
from benchmarks.beside.discovery import NORMALIZATIONS
from benchmarks.beside.pairing import (
    SEED,
    Case,
    Sides,
    below,
    moved,
    noise,
    original,
    paired,
    quietly,
)
from trainables.layers.patches import Shape
from trainables.slots.config import Dinosaur
from trainables.slots.dinosaur_model import DinosaurNetwork, distances

FEATURES, SLOTS = 768, 11
"""Of ViT-B, and as trained on MOVi-C."""

_PLACES = {
    "feature_layer_norm.": "to_tokens.0.",
    "feature_mlp.0.": "to_tokens.1.",
    "feature_mlp.2.": "to_tokens.3.",
    "mlp_decoder.decoder_pos_encoding": "decoder.codes",
    "mlp_decoder.mlp_decoder.0.": "decoder.first.",
    "mlp_decoder.mlp_decoder.2.": "decoder.hidden.0.",
    "mlp_decoder.mlp_decoder.4.": "decoder.hidden.1.",
    "mlp_decoder.mlp_decoder.6.": "decoder.last.",
}


def cases() -> list[Case]:
    """Comparisons of all normalisations on 8 × 8 patches; timings on 16 × 16 and 28 × 28."""
    compared = [
        Case(f"{name}, 64 patches, B 4", partial(_sides, name, 8, 4)) for name in NORMALIZATIONS
    ]
    timed = [
        Case(
            f"mean, {side * side} patches, B {batch}, K {SLOTS}",
            partial(_sides, "mean", side, batch),
            is_compared=False,
            is_timed=True,
        )
        for side, batch in ((16, 16), (28, 4))
    ]
    return compared + timed


def renamed(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values of the original's network under our names."""
    slots = attention.renamed(below(named, "slot_attention."))
    return moved(named, _PLACES) | {f"slot_attention.{name}": one for name, one in slots.items()}


def _networks(normalization: str, side: int) -> tuple[Any, DinosaurNetwork]:
    """Without the frozen network: features are given, and pretrained weights would be fetched."""
    name = attention.ORIGINAL_NAMES.get(normalization, normalization)
    with quietly(), mock.patch("timm.create_model", return_value=nn.Identity()):
        theirs = original("dinosaur.model").Dinosaur(
            side * side, FEATURES, num_slots=SLOTS, sa_kwargs={"update_normalization": name}
        )
    config = Dinosaur().with_values({"slots.normalization": normalization})
    ours = DinosaurNetwork(
        shape=Shape(side, side, FEATURES, 12),
        slots=config.slots,
        decoder=config.decoder,
        normalizes_target=False,
    )
    return theirs, ours


def _sides(normalization: str, side: int, batch: int) -> Sides:
    """Reconstruction, masks, slots and attention; gradients of the squared error."""
    torch.manual_seed(0)
    theirs, ours = _networks(normalization, side)
    gradients = paired(theirs, ours, renamed)
    features = torch.randn(batch, side * side, FEATURES)
    reconstruction_loss = original("dinosaur.utils").reconstruction_loss

    def original_step() -> dict[str, Tensor]:
        theirs.zero_grad()
        torch.manual_seed(SEED)
        found = theirs(features, is_features=True)
        reconstruction_loss(features, found["reconstruction"]).mean().backward()
        return {
            "reconstruction": found["reconstruction"],
            "masks": found["masks"][..., 0],
            "slots": found["slots"],
            "attention": found["attention"],
        }

    def our_step() -> dict[str, Tensor]:
        ours.zero_grad()
        found = ours(features, noise(batch, SLOTS, ours.slot_attention.slot_width))
        distances(found).mean().backward()
        return {name: value for name, value in found._asdict().items() if name != "target"}

    return Sides(original_step, our_step, gradients)
