"""Attention layers."""

# B images, N tokens, D width, H heads.

from __future__ import annotations

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
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads)
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4)
        rate = self.attention_dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, dropout_p=rate, is_causal=self.is_causal
        )
        return self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, count, width)))
