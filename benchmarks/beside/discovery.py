"""Object discovery: a training step of the autoencoder, by decoder, normalisation and positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.beside import attention
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
from trainables.slots.autoencoder import Autoencoder
from trainables.slots.config import Decoder, Encoder
from trainables.slots.parts import Positions, Slots

NORMALIZATIONS = ("mean", "constant", "none", "layer_norm", "batch_norm", "image_level")

_PLACES = {
    **{f"encoder_cnn.{2 * index}.": f"encoder.convolutions.{index}." for index in range(4)},
    "encoder_pos.dense.": "encoder.positions.linear.",
    "encoder_pos.pos_embedding": "encoder.positions.embedding",
    "layer_norm.": "encoder.norm.",
    "feature_mlp.": "encoder.mlp.",
    "decoder_pos.dense.": "decoder.positions.linear.",
    "decoder_pos.pos_embedding": "decoder.positions.embedding",
}
_LAYERS = {"expanding": 6, "stationary": 4, "up_convolve": 5}
_GROWING = {"expanding": 4, "stationary": 0, "up_convolve": 4}


@dataclass(frozen=True)
class Setting:
    """Of the networks and of the batch."""

    decoder: Literal["expanding", "stationary", "up_convolve"]
    size: int
    slots: int
    batch: int
    channels: int = 64
    normalization: str = "mean"
    positions: Positions = Positions()


def cases() -> list[Case]:
    """Comparisons of all decoders, normalisations and positions, and timings of four networks."""
    small = partial(Setting, "stationary", 35, 4, 2)
    large = partial(Setting, "expanding", 128, 3, 1)
    weighed = Positions(normalizes=True, weight=2.0)
    beside = Positions(combines="concatenate")
    compared = {
        "expanding, 128 pixels": Setting("expanding", 128, 7, 1),
        "up-convolutions, 128 pixels": Setting("up_convolve", 128, 7, 1),
        **{f"stationary, {name}": small(normalization=name) for name in NORMALIZATIONS},
        "stationary, positions beside": small(positions=beside),
        "stationary, normalised": small(positions=Positions(normalizes=True)),
        "stationary, normalised, weight 2": small(positions=weighed),
        "stationary, weight 2": small(positions=Positions(weight=2.0)),
        "stationary, learned positions": small(positions=Positions(learned_width=8)),
        "stationary, beside, normalised": small(
            positions=Positions(combines="concatenate", normalizes=True)
        ),
        "expanding, positions beside": large(positions=beside),
        "expanding, normalised, weight 2": large(positions=weighed),
    }
    timed = {
        "CLEVR6: expanding, 128, B 8, K 7": Setting("expanding", 128, 7, 8),
        "CLEVR6: up-convolutions, 128, B 2, K 7": Setting("up_convolve", 128, 7, 2),
        "Tetrominoes: stationary, 35, B 32, K 4": Setting("stationary", 35, 4, 32),
        "Tetrominoes: 32 channels, B 32, K 4": Setting("stationary", 35, 4, 32, channels=32),
    }
    return [Case(name, partial(_sides, setting)) for name, setting in compared.items()] + [
        Case(name, partial(_sides, setting), is_compared=False, is_timed=True)
        for name, setting in timed.items()
    ]


def renamed(kind: str, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values of the original's autoencoder under our names."""
    slots = attention.renamed(below(named, "slot_attention."))
    return (
        moved(named, _PLACES)
        | {f"slot_attention.{name}": value for name, value in slots.items()}
        | _decoder(kind, below(named, "decoder_cnn."))
    )


def _decoder(kind: str, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Layers of the decoder, whose kernels are turned round where ours are of the other sort.

    A transposed convolution of stride 1 is a convolution, a convolution behind zeros put between a
    transposed one of stride 2, each with the kernel turned round.
    """
    found: dict[str, Tensor] = {}
    for name, value in named.items():
        index, which = int(name.split(".")[0]) // 2, name.rsplit(".", 1)[1]
        is_turned = (index < _GROWING[kind]) == (kind == "up_convolve")
        place = {0: "first.layer", _LAYERS[kind] - 1: "last"}.get(index, f"layers.{index - 1}")
        if which == "weight" and is_turned:
            value = value.transpose(0, 1).flip(2, 3)
        found[f"decoder.{place}.{which}"] = value
    return found


def _networks(setting: Setting) -> tuple[Any, nn.Module]:
    places = {
        "concat": setting.positions.combines == "concatenate",
        "normalize": setting.positions.normalizes,
        "learnable_dim": setting.positions.learned_width,
        "embedding_weight": setting.positions.weight,
    }
    name = setting.normalization
    with quietly():
        theirs = original("object_discovery.autoencoder").SlotAttentionAutoencoder(
            num_slots=setting.slots,
            im_size=setting.size,
            cnn_feature_dim=setting.channels,
            slot_dim=setting.channels,
            common_dim=None,
            encoder_kernel_size=5,
            deconv_architecture=setting.decoder,
            encoder_pos_embedding_kwargs=places,
            decoder_pos_embedding_kwargs=places,
            sa_kwargs={"update_normalization": attention.ORIGINAL_NAMES.get(name, name)},
        )
    ours = Autoencoder(
        image_size=setting.size,
        encoder=Encoder(channels=setting.channels, positions=setting.positions),
        slots=Slots.model_validate(
            {"num_slots": setting.slots, "width": setting.channels, "normalization": name}
        ),
        decoder=Decoder(
            kind=setting.decoder, channels=setting.channels, positions=setting.positions
        ),
    )
    return theirs, ours.to(memory_format=torch.channels_last)


def _sides(setting: Setting) -> Sides:
    """Reconstruction, masks, images, slots and attention; gradients of the squared error."""
    torch.manual_seed(0)
    theirs, ours = _networks(setting)
    gradients = paired(theirs, ours, partial(renamed, setting.decoder))
    images = torch.rand(setting.batch, 3, setting.size, setting.size) * 2 - 1
    last = images.contiguous(memory_format=torch.channels_last)

    def original_step() -> dict[str, Tensor]:
        theirs.zero_grad()
        torch.manual_seed(SEED)
        found = theirs(images)
        functional.mse_loss(found["reconstruction"], images).backward()
        return {
            "reconstruction": found["reconstruction"],
            "images": found["slot_wise_reconstructions"],
            "masks": found["slot_wise_masks"][:, :, 0],
            "slots": found["slots"],
            "attention": found["attention"],
        }

    def our_step() -> dict[str, Tensor]:
        ours.zero_grad()
        found = ours(last, noise(setting.batch, setting.slots, setting.channels))
        functional.mse_loss(found.reconstruction, last).backward()
        return found._asdict()

    return Sides(original_step, our_step, gradients)
