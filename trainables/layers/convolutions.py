"""Convolutions for scenes: an encoder that turns images into tokens that know their place."""

from __future__ import annotations

from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from trainables.layers.positions import SoftPositions

NORM_EPS = 1e-3
"""Keras' ε of layer normalisation, which the encoders of Slot Attention were made with."""

Layer = TypeVar("Layer", bound=nn.Conv2d | nn.ConvTranspose2d | nn.Linear)


class Encoder(nn.Module):
    """Tokens of images: convolutions with ReLU, a position embedding, LN, and a small MLP.

    With `channels` C: (convolution, ReLU) × `layers` → + positions → LN (ε = 1e-3) → Linear C → C,
    ReLU, Linear C → C at each place (Locatello et al. 2020, section E.2). Padding is the same on
    both sides, so a layer of stride 2 makes ⌈side / 2⌉ of a side. Weights are Glorot-uniform.

    Args:
        image_size: side of the images.
        in_channels: theirs.
        channels: C.
        layers: how many convolutions.
        kernel_size: their side, odd.
        halvings: so many layers behind the first have stride 2; below `layers`.
        combines, learned_width, normalizes, weight: of `SoftPositions`; a `learned_width` of 0
            takes its ramps.

    Raises:
        ValueError: `halvings` is not below `layers`, or `kernel_size` is even.
    """

    def __init__(
        self,
        *,
        image_size: int,
        in_channels: int = 3,
        channels: int = 64,
        layers: int = 4,
        kernel_size: int = 5,
        halvings: int = 0,
        combines: Literal["add", "concatenate"] = "add",
        learned_width: int = 0,
        normalizes: bool = False,
        weight: float | None = None,
    ) -> None:
        super().__init__()
        if halvings >= layers:
            raise ValueError(f"halvings must be below layers ({layers}), got {halvings}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        widths = [in_channels, *([channels] * layers)]
        self.convolutions = nn.ModuleList(
            glorot(
                nn.Conv2d(
                    widths[index],
                    widths[index + 1],
                    kernel_size,
                    stride=2 if 0 < index <= halvings else 1,
                    padding=kernel_size // 2,
                )
            )
            for index in range(layers)
        )
        side = image_size
        for _ in range(halvings):
            side = (side + 1) // 2
        self.grid = (side, side)
        self.positions = SoftPositions(
            channels,
            size=self.grid,
            combines=combines,
            kind="learned" if learned_width else "ramps",
            learned_width=learned_width or None,
            normalizes=normalizes,
            weight=weight,
        )
        width = self.positions.out_channels
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = nn.Sequential(
            glorot(nn.Linear(width, channels)),
            nn.ReLU(),
            glorot(nn.Linear(channels, channels)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Tokens [B, N, C] of images [B, in_channels, S, S], row after row of `grid`."""
        features = images
        for convolution in self.convolutions:
            features = torch.relu_(convolution(features))
        features = self.positions(features)
        return self.mlp(self.norm(features.flatten(2).transpose(1, 2)))


def glorot(layer: Layer) -> Layer:
    """The layer itself, with weights uniform in ±√(6 / (inputs + outputs)) and biases 0.

    Inputs and outputs of a convolution count its places too (Glorot and Bengio 2010, equation 16).
    """
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
