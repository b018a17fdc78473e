"""The network of object discovery: images to slots, and slots to an image and masks."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn

from trainables.layers.broadcast import compose
from trainables.slots import config, networks
from trainables.slots.parts import Slots


class Seen(NamedTuple):
    """An image taken apart.

    The reconstruction [B, 3, H, W] is the sum over slots of `images` [B, K, 3, H, W], weighed by
    `masks` [B, K, H, W], which add up to 1 over slots. `slots` [B, K, D]; `attention` [B, K, N] of
    the last iteration over the N places of the encoder's grid, row after row.
    """

    reconstruction: Tensor
    images: Tensor
    masks: Tensor
    slots: Tensor
    attention: Tensor


class Autoencoder(nn.Module):
    """Encoder, Slot Attention, and a spatial broadcast decoder for each slot.

    Locatello et al. 2020, sections 3 and E.3; colours are not squashed, masks are a softmax of the
    logits as they come.
    """

    def __init__(
        self,
        *,
        image_size: int,
        encoder: config.Encoder,
        slots: Slots,
        decoder: config.Decoder,
    ) -> None:
        super().__init__()
        self.encoder = networks.encoder(encoder, image_size)
        self.slot_attention = networks.slot_attention(slots, encoder.channels)
        self.decoder = networks.decoder(decoder, image_size, slots.width)

    def forward(
        self,
        images: Tensor,
        noise: Tensor | None,
        *,
        iterations: int | None = None,
        rescale: Literal["none", "cardinality", "mass"] = "none",
    ) -> Seen:
        """Images [B, 3, S, S] in −1…1 taken apart into as many slots as `noise` [B, K, D] has.

        `iterations` and `rescale` are those of Slot Attention.
        """
        attended = self.slot_attention(
            self.encoder(images), noise, iterations=iterations, rescale=rescale
        )
        drawn = self.decoder(attended.slots)
        reconstruction, masks = compose(drawn)
        return Seen(reconstruction, drawn.images, masks, *attended)
