"""Attention of queries to other tokens, and the block of a decoder that it makes."""

# N images, S queries, D their width, P tokens, C their width, H heads.

from __future__ import annotations

from typing import TypedDict

from torch import Tensor, nn

from trainables.layers.attention import (
    AttentionScale,
    Drops,
    SelfAttention,
    check_drops,
    mix,
    shares,
)
from trainables.layers.blocks import DropPath, glorot, glorot_parts, perceptron
from trainables.layers.checks import check_heads


class CrossAttention(nn.Module):
    """Multi-head attention of queries to tokens: softmax(QKᵀ/√(D/H))·V, then a linear layer
    (Vaswani et al. 2017, section 3.2.2).

    Queries, keys, values and the output are Glorot-uniform at first, each by itself.

    Args:
        width: D.
        token_width: C; D if None.
        heads: H, a divisor of D.
        dropout: rate of the output.
        attention_dropout: rate of `drops`.
        drops: as in `SelfAttention`.
        qkv_bias: whether queries, keys and values have biases.

    Raises:
        LookupError: `drops` is not known.
        ValueError: the heads do not divide the width.
    """

    def __init__(
        self,
        width: int,
        token_width: int | None = None,
        heads: int = 8,
        *,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drops: Drops = "weights",
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        check_heads(width, heads)
        check_drops(drops)
        self.heads, self.attention_dropout = heads, attention_dropout
        self.drops: Drops = drops
        self.queries = nn.Linear(width, width, bias=qkv_bias)
        self.keys_values = nn.Linear(token_width or width, 2 * width, bias=qkv_bias)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        glorot_parts(self.queries, 1)
        glorot_parts(self.keys_values, 2)
        glorot_parts(self.out, 1)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries [N, S, D] and tokens [N, P, C] → [N, S, D]."""
        asked, keys, values = self._by_head(queries, tokens)
        rate = self.attention_dropout if self.training else 0.0
        mixed = mix(asked, keys, values, dropout=rate, drops=self.drops)
        return self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))

    def attention_weights(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """How much queries look at tokens, without dropout: [N, H, S, P], rows sum to 1."""
        asked, keys, _ = self._by_head(queries, tokens)
        return shares(asked, keys)

    def _by_head(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [N, H, S, D/H], keys and values [N, H, P, D/H]."""
        asked, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.queries(queries), *self.keys_values(tokens).chunk(2, -1))
        )
        return asked, keys, values


class BlockSettings(TypedDict, total=False):
    """Arguments of a `CrossBlock` that those hand on who are made of it; it has the defaults."""

    mlp_ratio: float
    dropout: float
    attention_dropout: float
    drop_path: float
    attention_scale: AttentionScale
    drops: Drops
    qkv_bias: bool


class CrossBlock(nn.Module):
    """Queries look at one another (if they do), then at tokens, then a perceptron (GELU); pre-norm.

    s ← s + SelfAttention(LN s); s ← s + CrossAttention(LN s, tokens); s ← s + MLP(LN s). Tokens are
    taken as they are: whoever holds the block normalises them.

    Args:
        width: D.
        token_width: C; D if None.
        heads: H, a divisor of D.
        mlp_ratio: hidden width of the perceptron over D.
        dropout: behind the linear layers of attention's output and of the perceptron.
        attention_dropout: of both attentions, see `drops`.
        drop_path: rate by which each of the three branches is left out.
        attention_scale: of self-attention, see `SelfAttention`; that to tokens is always divided by
            √(D/H).
        drops: what attention drops, `weights` or `logits`, as in `SelfAttention`.
        qkv_bias: whether queries, keys and values have biases.
        looks_at_itself: whether there is self-attention.

    Raises:
        LookupError: a name is not known.
        ValueError: the heads do not divide the width.
    """

    def __init__(
        self,
        width: int,
        token_width: int | None = None,
        heads: int = 8,
        *,
        mlp_ratio: float = 2.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        attention_scale: AttentionScale = "sqrt",
        drops: Drops = "weights",
        qkv_bias: bool = False,
        looks_at_itself: bool = True,
    ) -> None:
        super().__init__()
        self.looks_at_itself = looks_at_itself
        if looks_at_itself:
            self.norm_self = nn.LayerNorm(width)
            self.self_attention = SelfAttention(
                width,
                heads,
                attention_dropout,
                dropout,
                qkv_bias=qkv_bias,
                attention_scale=attention_scale,
                drops=drops,
            )
            glorot_parts(self.self_attention.qkv, 3)
            glorot_parts(self.self_attention.out, 1)
        self.norm_cross = nn.LayerNorm(width)
        self.cross_attention = CrossAttention(
            width,
            token_width,
            heads,
            dropout=dropout,
            attention_dropout=attention_dropout,
            drops=drops,
            qkv_bias=qkv_bias,
        )
        self.norm_mlp, self.mlp = nn.LayerNorm(width), perceptron(width, mlp_ratio, dropout)
        glorot(self.mlp)
        self.drop_path = DropPath(drop_path)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries [N, S, D] and tokens [N, P, C] → [N, S, D]."""
        if self.looks_at_itself:
            queries = queries + self.drop_path(self.self_attention(self.norm_self(queries)))
        looked = self.cross_attention(self.norm_cross(queries), tokens)
        queries = queries + self.drop_path(looked)
        return queries + self.drop_path(self.mlp(self.norm_mlp(queries)))
