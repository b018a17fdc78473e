"""Perceptrons behind features, whose outputs losses compare."""

from __future__ import annotations

from torch import Tensor, nn

from trainables.layers.blocks import glorot


class Projection(nn.Module):
    """Linear layer, GELU, linear layer: D → D · `hidden_factor` → E.

    A global function and a predictor, which brings projections back to the width of features, are
    such a perceptron, too.

    Args:
        width: D.
        out_width: E; D if None.
        hidden_factor: hidden width over D.
        bias: whether the second layer has one.
        dropout: rate behind both layers.
    """

    def __init__(
        self,
        width: int,
        out_width: int | None = None,
        hidden_factor: float = 2.0,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = round(width * hidden_factor)
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out_width or width, bias=bias),
            nn.Dropout(dropout),
        )
        glorot(self)

    def forward(self, features: Tensor) -> Tensor:
        """[..., D] → [..., E]."""
        return self.layers(features)
