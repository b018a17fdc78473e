"""Attention layers."""

# B images, N tokens, D width, H heads, Q queries, K keys.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.checks import check_choice, check_heads
from trainables.layers.dropped_attention import dropped_attention

AttentionScale = Literal["sqrt", "none"]
Drops = Literal["weights", "logits"]


class SelfAttention(nn.Module):
    """Multi-head self-attention: softmax(QKᵀ/√(D/H))·V, then a linear layer (Vaswani et al. 2017,
    section 3.2.2); `attention_dropout` on the weights, `dropout` on the output. A causal one looks
    at the token itself and those before it.

    Args:
        width: D.
        heads: H, a divisor of D.
        attention_dropout: rate of `drops`.
        dropout: rate of the output.
        is_causal: whether tokens behind are not looked at.
        qkv_bias: whether queries, keys and values have biases.
        attention_scale: `none` leaves out the division by √(D/H), which sharpens the softmax the
            more, the wider a head is; it repeats published figures, no more.
        drops: `weights` after the softmax, the others scaled by 1/(1 − rate), or `logits` before
            it, where the weights that stay add up to 1 again (see `kept_logits`).
        by_image: whether weights are dropped image by image on a CPU (see `dropped_attention`),
            which is faster by far, and by other draws than torch's.

    Raises:
        LookupError: a name is not known.
        ValueError: the heads do not divide the width, or a causal one is to drop logits.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
        is_causal: bool = False,
        *,
        qkv_bias: bool = True,
        attention_scale: AttentionScale = "sqrt",
        drops: Drops = "weights",
        by_image: bool = False,
    ) -> None:
        super().__init__()
        self.by_image = by_image
        check_heads(width, heads)
        check_drops(drops)
        self.scale = scale_of(attention_scale)
        self.drops: Drops = drops
        if is_causal and drops == "logits":
            raise ValueError("drops must be 'weights' if attention is causal, got 'logits'")
        self.heads, self.attention_dropout, self.is_causal = heads, attention_dropout, is_causal
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, first: int | None = None) -> Tensor:
        """[B, N, D] → [B, N, D]; only what becomes of the `first` tokens, [B, first, D], if given.

        Raises:
            ValueError: attention is causal, where the first do not look at all.
        """
        batch, count, width = tokens.shape
        queries, keys, values = self._by_head(tokens) if first is None else self._of(tokens, first)
        mixed = mix(
            queries,
            keys,
            values,
            dropout=self.attention_dropout if self.training else 0.0,
            drops=self.drops,
            scale=self.scale,
            is_causal=self.is_causal,
            by_image=self.by_image,
        )
        mixed = mixed.transpose(1, 2).reshape(batch, first or count, width)
        return self.dropout(self.out(mixed))

    def attention_weights(self, tokens: Tensor, first: int | None = None) -> Tensor:
        """How much tokens look at tokens, without dropout: [B, N, D] → [B, H, N, N], rows sum to 1.

        In single precision if the tokens are in half. All of them, whatever `first` asks for.
        """
        queries, keys, _ = self._by_head(tokens)
        return shares(queries, keys, is_causal=self.is_causal, scale=self.scale)

    def _of(self, tokens: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, first, D/H] of the first tokens; keys and values of all."""
        if self.is_causal:
            raise ValueError("first must be None where attention is causal, got one")
        batch, count, width = tokens.shape
        weight, bias = self.qkv.weight, self.qkv.bias
        biases = (None, None) if bias is None else (bias[:width], bias[width:])
        size = (self.heads, width // self.heads)
        queries = functional.linear(tokens[:, :first], weight[:width], biases[0])
        others = functional.linear(tokens, weight[width:], biases[1])
        keys, values = others.view(batch, count, 2, *size).permute(2, 0, 3, 1, 4)
        return queries.view(batch, first, *size).transpose(1, 2), keys, values

    def _by_head(self, tokens: Tensor) -> Tensor:
        """Queries, keys and values, [3, B, H, N, D/H]."""
        batch, count, width = tokens.shape
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads)
        return qkv.permute(2, 0, 3, 1, 4)


def mix(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    dropout: float = 0.0,
    drops: Drops = "weights",
    scale: float | None = None,
    is_causal: bool = False,
    by_image: bool = False,
) -> Tensor:
    """softmax(queries·keysᵀ · scale)·values by head, with dropout as it is given.

    [B, H, Q, D], [B, H, K, D] and [B, H, K, E] → [B, H, Q, E]; `scale` is 1/√D if None. Logits of a
    causal attention cannot be dropped.
    """
    kept = None
    if drops == "logits" and dropout:
        shape = (*queries.shape[:3], keys.shape[2])
        kept, dropout = kept_logits(torch.rand(shape, device=queries.device), dropout, -1), 0.0
    if by_image and dropout and not is_causal and _is_exact_on_the_cpu(queries):
        factor: float = queries.shape[-1] ** -0.5 if scale is None else scale
        return dropped_attention(queries, keys, values, dropout=dropout, scale=factor)
    return functional.scaled_dot_product_attention(
        queries, keys, values, kept, dropout_p=dropout, is_causal=is_causal, scale=scale
    )


def _is_exact_on_the_cpu(queries: Tensor) -> bool:
    exact = queries.dtype in (torch.float32, torch.float64)
    return queries.device.type == "cpu" and exact and not torch.is_autocast_enabled("cpu")


def kept_logits(draws: Tensor, rate: float, dim: int) -> Tensor:
    """Which logits are kept, by numbers in [0, 1): those not below the rate.

    Where none along `dim`, over which the softmax goes, is kept, all are: a softmax over nothing
    would be no number.
    """
    kept = draws >= rate
    return kept | ~kept.any(dim, keepdim=True)


def shares(
    queries: Tensor, keys: Tensor, *, is_causal: bool = False, scale: float | None = None
) -> Tensor:
    """softmax(q·k · scale) over keys: [..., P, D] and [..., K, D] → [..., P, K].

    `scale` is 1/√D if None. In single precision if those are in half. A causal query looks at no
    key behind its own place.
    """
    scores = queries @ keys.transpose(-1, -2)
    scores = scores * (queries.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return (scores if scores.dtype == torch.float64 else scores.float()).softmax(-1)


def scale_of(attention_scale: AttentionScale) -> float | None:
    """What logits are multiplied by: 1/√D, which is None, or 1."""
    check_choice("attention_scale", attention_scale, ("sqrt", "none"))
    return 1.0 if attention_scale == "none" else None


def check_drops(drops: Drops) -> None:
    """Raises LookupError if it is not known what is dropped."""
    check_choice("drops", drops, ("weights", "logits"))
