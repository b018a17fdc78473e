"""The two-layer perceptron of a transformer, with dropout inside."""

# N tokens, D width, M hidden width.

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from trainables.layers.checks import check_choice
from trainables.layers.dropped_attention import kept
from trainables.layers.dropping import Dropout

Activation = Literal["relu", "gelu"]


class FeedForward(nn.Module):
    """D → M → D with ReLU or GELU, and dropout behind it (Vaswani et al. 2017, section 3.3).

    Weights are Glorot-uniform at first; biases as those of `torch.nn.Linear`. On a CPU, that with
    a ReLU can be differentiated once, not twice.

    Args:
        width: D.
        mlp_ratio: M over D.
        dropout: rate of the hidden values.
        activation: `relu` or `gelu`.

    Raises:
        LookupError: the activation is not known.
        ValueError: the rate is not a share below 1.
    """

    def __init__(
        self,
        width: int,
        mlp_ratio: float,
        *,
        dropout: float = 0.0,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        check_choice("activation", activation, get_args(Activation))
        self.activation: Activation = activation
        self.linear1 = nn.Linear(width, round(width * mlp_ratio))
        self.linear2 = nn.Linear(round(width * mlp_ratio), width)
        self.dropout = Dropout(dropout)
        for layer in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """[..., D] → [..., D]."""
        if self.activation == "relu" and _is_exact_on_the_cpu(tokens):
            return self._fused(tokens.flatten(0, -2)).view_as(tokens)
        activate = functional.relu if self.activation == "relu" else functional.gelu
        return self.linear2(self.dropout(activate(self.linear1(tokens))))

    def _fused(self, tokens: Tensor) -> Tensor:
        rate = self.dropout.rate if self.training else 0.0
        shape = (tokens.shape[0], self.linear1.out_features)
        is_kept = kept(shape, rate) if rate else None
        first, second = self.linear1, self.linear2
        found: Any = _Dropped.apply(
            tokens, first.weight, first.bias, second.weight, second.bias, is_kept, 1 / (1 - rate)
        )
        return found


def _is_exact_on_the_cpu(tokens: Tensor) -> bool:
    exact = tokens.dtype in (torch.float32, torch.float64)
    return tokens.device.type == "cpu" and exact and not torch.is_autocast_enabled("cpu")


class _Dropped(torch.autograd.Function):
    """What is dropped is 0 behind the ReLU, so that its sign alone says where gradients go."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        tokens: Tensor,
        first: Tensor,
        first_bias: Tensor,
        second: Tensor,
        second_bias: Tensor,
        is_kept: Tensor | None,
        gain: float,
    ) -> Tensor:
        hidden = torch.addmm(first_bias, tokens, first.T).relu_()
        if is_kept is not None:
            hidden.mul_(is_kept.view(torch.int8))
        ctx.save_for_backward(tokens, first, second, hidden)
        ctx.gain = gain
        return torch.addmm(second_bias, hidden, second.T, alpha=gain)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        tokens, first, second, hidden = ctx.saved_tensors
        scaled = gradients[0] * ctx.gain
        of_hidden = torch.ops.aten.threshold_backward(scaled @ second, hidden, 0)
        return (
            of_hidden @ first,
            of_hidden.T @ tokens,
            of_hidden.sum(0),
            scaled.T @ hidden,
            gradients[0].sum(0),
            None,
            None,
        )
