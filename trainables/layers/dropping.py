"""Dropout that draws few random numbers on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.dropped_attention import kept


def dropped(values: Tensor, rate: float) -> Tensor:
    """Values of which a share `rate` is 0 and the others are divided by 1 − rate, of any shape.

    The mean over draws is the values. On a CPU one number of 64 bits decides four times (see
    `dropped_attention.kept`), which is several times faster than torch's draws, and other ones.
    """
    if rate == 0:
        return values
    if values.device.type != "cpu":
        return functional.dropout(values, rate)
    stays = kept(tuple(values.shape), rate).view(torch.int8)
    return values * stays.to(values.dtype).div_(1 - rate)


class Dropout(nn.Module):
    """`dropped` in training; the values themselves when evaluated.

    Raises:
        ValueError: the rate is not in 0 … 1, without 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {rate:g}")
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """Of any shape."""
        return dropped(values, self.rate) if self.training else values
