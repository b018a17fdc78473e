"""The perceptron of a transformer: the layers one after another, and the same values dropped."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.layers.dropped_attention import kept
from trainables.layers.feed_forward import FeedForward

TOKENS = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_it_is_linear_relu_dropout_linear_and_so_are_its_gradients(rate: float) -> None:
    torch.manual_seed(0)
    mlp = FeedForward(8, 3, dropout=rate).double()
    torch.manual_seed(1)
    stays = kept((10, 24), rate).view(2, 5, 24) / (1 - rate)
    tokens = TOKENS.clone().requires_grad_()
    expected = mlp.linear2(mlp.linear1(tokens).relu() * stays)
    torch.manual_seed(1)
    found = mlp(tokens)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    leaves = [tokens, *mlp.parameters()]
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), leaves),
        torch.autograd.grad((expected * weights).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("activation", "layer"), [("relu", nn.ReLU()), ("gelu", nn.GELU())])
def test_evaluated_it_drops_nothing(activation: str, layer: nn.Module) -> None:
    mlp = FeedForward(8, 2, dropout=0.9, activation=activation).double().eval()  # pyright: ignore[reportArgumentType]
    expected = mlp.linear2(layer(mlp.linear1(TOKENS)))
    torch.testing.assert_close(mlp(TOKENS), expected)


def test_an_activation_that_halves_the_width_is_refused() -> None:
    with pytest.raises(LookupError, match="activation must be one of relu, gelu, got 'glu'"):
        FeedForward(8, 2, activation="glu")  # pyright: ignore[reportArgumentType]
