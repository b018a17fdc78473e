"""Parts of networks by their configuration."""

from __future__ import annotations

from trainables.layers.broadcast import BroadcastDecoder
from trainables.layers.convolutions import Encoder
from trainables.layers.slot_attention import SlotAttention
from trainables.slots import config
from trainables.slots.parts import Slots


def encoder(settings: config.Encoder, image_size: int, in_channels: int = 3) -> Encoder:
    """The encoder of these settings, for images [B, in_channels, image_size, image_size]."""
    return Encoder(
        image_size=image_size,
        in_channels=in_channels,
        **settings.model_dump(exclude={"positions"}),
        **settings.positions.model_dump(),
    )


def slot_attention(settings: Slots, token_width: int) -> SlotAttention:
    """Slot Attention of these settings, for tokens [B, N, token_width].

    Quasi-Monte-Carlo noise is another noise, not another prior.
    """
    named = settings.model_dump(exclude={"least_slots", "width", "prior"})
    prior = "learned" if settings.prior == "learned" else "gaussian"
    return SlotAttention(token_width=token_width, slot_width=settings.width, prior=prior, **named)


def decoder(settings: config.Decoder, image_size: int, slot_width: int) -> BroadcastDecoder:
    """The decoder of these settings, which draws [image_size, image_size] for each slot."""
    return BroadcastDecoder(
        image_size=image_size,
        slot_width=slot_width,
        **settings.model_dump(exclude={"positions"}),
        **settings.positions.model_dump(),
    )
