"""Set prediction: a training step on 128 × 128 pixels, with matching, by normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

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
from trainables.metrics.sets import WIDTH as PROPERTIES
from trainables.metrics.sets import columns
from trainables.slots import networks
from trainables.slots.config import ROWS, SetPrediction
from trainables.slots.set_predictor import SetPredictor, set_loss

SIZE, SLOTS, WIDTH = 128, 10, 64

_REAL = columns("categories_first")["real"].start
_PLACES = {
    **{f"cnn_encoder.{2 * index}.": f"encoder.convolutions.{index}." for index in range(4)},
    "pos_embed.dense.": "encoder.positions.linear.",
    "layer_norm.": "encoder.norm.",
    "feature_mlp.": "encoder.mlp.",
    "mlp.": "head.",
}


def cases() -> list[Case]:
    """Comparisons of all normalisations, and the time of a step of `mean` at a batch of 16."""
    compared = [Case(f"{name}, B 4", partial(_sides, name, 4)) for name in NORMALIZATIONS]
    step = partial(_sides, "mean", 16)
    return [*compared, Case("mean, B 16, K 10", step, is_compared=False, is_timed=True)]


def renamed(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values of the original's network under our names."""
    slots = attention.renamed(below(named, "slot_attention."))
    return moved(named, _PLACES) | {f"slot_attention.{name}": one for name, one in slots.items()}


def _networks(normalization: str) -> tuple[Any, SetPredictor]:
    name = attention.ORIGINAL_NAMES.get(normalization, normalization)
    with quietly():
        theirs = original("property_prediction.set_predictor").SASetPredictor(
            WIDTH, PROPERTIES, sa_kwargs={"num_slots": SLOTS, "update_normalization": name}
        )
    config = SetPrediction().with_values({"slots.normalization": normalization})
    ours = SetPredictor(
        networks.encoder(config.encoder, SIZE),
        networks.slot_attention(config.slots, WIDTH),
        PROPERTIES,
    )
    return theirs, ours.to(memory_format=torch.channels_last)


def _sides(normalization: str, batch: int) -> Sides:
    """Loss, properties and attention; gradients of the loss.

    Ours predicts properties in single precision, whatever the type of its weights: even in double
    both agree to seven digits only.
    """
    torch.manual_seed(0)
    theirs, ours = _networks(normalization)
    gradients = paired(theirs, ours, renamed)
    images = torch.rand(batch, 3, SIZE, SIZE) * 2 - 1
    last = images.contiguous(memory_format=torch.channels_last)
    targets = torch.rand(batch, ROWS, PROPERTIES)

    # The original's loss hands out nothing else.
    seen: dict[str, Tensor] = {}
    theirs.mlp.register_forward_hook(
        lambda module, inputs, found: seen.update(properties=found.detach())
    )
    theirs.slot_attention.register_forward_hook(
        lambda module, inputs, found: seen.update(attention=found["attention"].detach())
    )

    def original_step() -> dict[str, Tensor]:
        theirs.zero_grad()
        torch.manual_seed(SEED)
        loss = theirs.loss(images, targets)
        loss.backward()
        return {"loss": loss, **seen}

    def our_step() -> dict[str, Tensor]:
        ours.zero_grad()
        found = ours(last, noise(batch, SLOTS, WIDTH))
        loss = set_loss(found.properties, targets, real=_REAL).matched.mean()
        loss.backward()
        return {"loss": loss, **found._asdict()}

    return Sides(original_step, our_step, gradients)
