"""Parts of transformer blocks, and the block of a vision transformer."""

# B images, N tokens, D width.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from trainables.layers.attention import AttentionScale, SelfAttention

Norm = Literal["pre", "post"]


class DropPath(nn.Module):
    """Drops whole residual branches per image with `rate`, scaling the others by 1/(1 − rate)
    (stochastic depth, Huang et al. 2016). Identity when evaluated."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """[B, …] → [B, …]; the mean over draws is the input."""
        if self.rate == 0 or not self.training:
            return branch
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
        kept = torch.empty(shape, device=branch.device, dtype=branch.dtype)
        return branch * kept.bernoulli_(1 - self.rate) / (1 - self.rate)


class Block(nn.Module):
    """Self-attention and a two-layer perceptron (GELU), each with a residual.

    Pre-norm: x + f(LN(x)); post-norm: LN(x + f(x)) (Xiong et al. 2020, figure 1). `eps` is the ε of
    LN; `qkv_bias` and `attention_scale` are those of `SelfAttention`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        norm: Norm = "pre",
        *,
        qkv_bias: bool = True,
        eps: float = 1e-6,
        attention_scale: AttentionScale = "sqrt",
    ) -> None:
        super().__init__()
        self.norm = norm
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.attention = SelfAttention(
            width,
            heads,
            attention_dropout,
            dropout,
            qkv_bias=qkv_bias,
            attention_scale=attention_scale,
        )
        self.mlp = perceptron(width, mlp_ratio, dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor, first: int | None = None) -> Tensor:
        """[B, N, D] → [B, N, D]; only what becomes of the `first` tokens, [B, first, D], if given.

        It is all that the last block of a network has to do whose other tokens nobody reads.
        """
        own = tokens if first is None else tokens[:, :first]
        if self.norm == "pre":
            own = own + self.drop_path(self.attention(self.norm1(tokens), first=first))
            return own + self.drop_path(self.mlp(self.norm2(own)))
        own = self.norm1(own + self.drop_path(self.attention(tokens, first=first)))
        return self.norm2(own + self.drop_path(self.mlp(own)))


def perceptron(width: int, mlp_ratio: float, dropout: float = 0.0) -> nn.Sequential:
    """D → D · mlp_ratio → D with GELU, and dropout behind both layers."""
    hidden = round(width * mlp_ratio)
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, width),
        nn.Dropout(dropout),
    )


def glorot(module: nn.Module) -> None:
    """Makes all linear layers of a module Glorot-uniform, with biases 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


@torch.no_grad()
def glorot_parts(layer: nn.Linear, parts: int) -> None:
    """The same for a layer that is several of equal width beside one another, such as those of
    queries, keys and values: each has the bounds that it would have alone."""
    for part in layer.weight.chunk(parts):
        nn.init.xavier_uniform_(part)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
