"""Images of one channel for networks whose weights were trained with red, green and blue."""

# B images, H × W pixels; the first convolution has weights [D, 3, K, K].

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

ChannelMode = Literal["copy3", "red", "green", "blue", "mean", "sum", "stem1to3"]

CHANNEL_MODES: tuple[str, ...] = get_args(ChannelMode)

COLOURS = ("red", "green", "blue")

_IN_FRONT = ("copy3", "stem1to3")
"""What leaves the network as it is."""


class Copied(nn.Module):
    """The image as red, green and blue: [B, 1, H, W] → [B, 3, H, W]."""

    def forward(self, images: Tensor) -> Tensor:
        """Without a copy in memory."""
        return images.expand(-1, 3, -1, -1)


def in_front(mode: ChannelMode) -> nn.Module | None:
    """What makes of images [B, 1, H, W] those that the network takes.

    `copy3` copies; `stem1to3` is a convolution of 1 × 1 that learns and begins as copies; for the
    other modes, which change the network, there is nothing.
    """
    if mode == "copy3":
        return Copied()
    if mode == "stem1to3":
        made = nn.Conv2d(1, 3, 1, bias=False)
        nn.init.ones_(made.weight)
        return made
    return None


def take_one_channel(network: nn.Module, first: str, mode: ChannelMode) -> None:
    """Changes the network so that its first convolution, called `first`, takes one channel.

    With weights W [D, 3, K, K] it has W[:, c] of one colour c (`red`, `green`, `blue`), their sum
    over the colours, for which the answer is that of the image copied three times, or their `mean`,
    a third of it. `copy3` and `stem1to3` change nothing.

    Raises:
        ValueError: that is no convolution of three channels.
    """
    if mode in _IN_FRONT:
        return
    convolution: Any = network.get_submodule(first)
    weight = getattr(convolution, "weight", None)
    if not isinstance(convolution, nn.Conv2d) or weight is None or weight.shape[1] != len(COLOURS):
        raise ValueError(
            "channel_mode must be copy3, stem1to3 or sum with a network that does not begin with "
            f"a convolution of three channels, got {mode!r}"
        )
    with torch.no_grad():
        taken = of_colours(weight, mode)
    convolution.in_channels = 1
    convolution.weight = nn.Parameter(taken, requires_grad=weight.requires_grad)


def of_colours(weight: Tensor, mode: ChannelMode) -> Tensor:
    """Weights [D, 1, K, K] of [D, 3, K, K]: of one colour, their sum or their mean."""
    if mode in COLOURS:
        place = COLOURS.index(mode)
        return weight[:, place : place + 1].clone()
    total = weight.sum(1, keepdim=True)
    return total / weight.shape[1] if mode == "mean" else total
