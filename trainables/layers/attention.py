"""Attention layers."""

# B images, N tokens, D width, H heads.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SelfAttention(nn.Module):
    """Multi-head self-attention: softmax(QKᵀ/√(D/H))·V, then a linear layer (Vaswani et al. 2017,
    section 3.2.2); `attention_dropout` on the weights, `dropout` on the output. A causal one looks
    at the token itself and those before it."""

    def __init__(
        self,
        width: int,
        heads: int,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
        is_causal: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.attention_dropout, self.is_causal = heads, attention_dropout, is_causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N, D] → [B, N, D]."""
        batch, count, width = tokens.shape
        queries, keys, values = self._by_head(tokens)
        rate = self.attention_dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, dropout_p=rate, is_causal=self.is_causal
        )
        return self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, count, width)))

    def attention_weights(self, tokens: Tensor) -> Tensor:
        """How much tokens look at tokens, without dropout: [B, N, D] → [B, H, N, N], rows sum to 1.

        In single precision if the tokens are in half.
        """
        queries, keys, _ = self._by_head(tokens)
        return shares(queries, keys, is_causal=self.is_causal)

    def _by_head(self, tokens: Tensor) -> Tensor:
        """Queries, keys and values, [3, B, H, N, D/H]."""
        batch, count, width = tokens.shape
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads)
        return qkv.permute(2, 0, 3, 1, 4)


def shares(queries: Tensor, keys: Tensor, *, is_causal: bool = False) -> Tensor:
    """softmax(q·k/√D) over keys: [..., P, D] and [..., K, D] → [..., P, K].

    In single precision if those are in half. A causal query looks at no key behind its own place.
    """
    scores = queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5
    if is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return (scores if scores.dtype == torch.float64 else scores.float()).softmax(-1)
