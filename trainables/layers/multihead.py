"""Multi-head attention over any map to the simplex, with tensors named as torch names them."""

# B images, H heads, Q queries, K keys, D width.

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.checks import check_choice, check_heads
from trainables.layers.dropped_attention import dropped_attention
from trainables.layers.dropping import dropped
from trainables.layers.few_weights import few_dropped_attention

_FEW = 2**20
"""Weights of a batch that all of them are remembered up to, which is faster; 5 MB of them."""

PaddingMode = Literal["masked", "added"]


class MultiHeadAttention(nn.Module):
    """map(QKᵀ/√(D/H))·V by head, then a linear layer (Vaswani et al. 2017, section 3.2.2), where
    the map to the simplex is a softmax or any other.

    Tensors have the names and the order of `torch.nn.MultiheadAttention`, whose weights load.
    Weights are Glorot-uniform at first, those of queries, keys and values as one matrix
    [3·D, D]; biases are 0.

    A softmax is fused. On a CPU its weights are dropped by other draws than torch's (see
    `dropped_attention`).

    Args:
        width: D.
        heads: H, a divisor of D.
        dropout: rate at which weights are set to 0 in training, the others scaled by 1/(1 − rate).
        simplex: a module of `layers.simplex`, called as (scores [B, H, Q, K], padding [B, K] or
            None, grid or None); None: softmax.
        padding_mode: `masked`: padding gets no attention. `added`: its scores are greater by 1,
            which repeats a fault of published figures, no more.

    Raises:
        LookupError: `padding_mode` is not known.
        ValueError: the heads do not divide the width.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        dropout: float = 0.0,
        simplex: nn.Module | None = None,
        padding_mode: PaddingMode = "masked",
    ) -> None:
        super().__init__()
        check_heads(width, heads)
        check_choice("padding_mode", padding_mode, get_args(PaddingMode))
        self.width, self.heads, self.dropout = width, heads, dropout
        self.padding_mode: PaddingMode = padding_mode
        self.simplex = simplex
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        padding: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """What queries find, [B, Q, D].

        Equal inputs are best given as the same tensor: they are projected together.

        Args:
            queries: [B, Q, D].
            keys: [B, K, D].
            values: [B, K, D].
            padding: bool [B, K], True for keys that are no part of an image; None: all are. Where
                all keys of an image are padding, its queries find zeros before the last layer.
            grid: rows and columns of keys, row after row, for maps that need it.
        """
        asked, looked_at, found = self._by_head(queries, keys, values)
        if self.simplex is None:
            mixed = self._fused(asked, looked_at, found, padding)
        else:
            weights = self._weights(asked, looked_at, padding, grid)
            if self.training and self.dropout:
                weights = dropped(weights, self.dropout)
            mixed = weights.to(found.dtype) @ found
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def attention_weights(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        padding: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """How much queries look at keys, without dropout, [B, H, Q, K]: rows sum to 1, or are 0
        where all keys are padding.

        In single precision if the tokens are in half. Arguments as of `forward`.
        """
        asked, looked_at, _ = self._by_head(queries, keys, values)
        return self._weights(asked, looked_at, padding, grid)

    def _by_head(
        self, queries: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, Q, D/H], keys and values [B, H, K, D/H]."""
        sources = [(queries, 1)]
        for source in (keys, values):  # what is one tensor is projected together
            last, parts = sources[-1]
            sources[-1:] = [(last, parts + 1)] if source is last else [(last, parts), (source, 1)]
        rows = [parts * self.width for _, parts in sources]
        weights, biases = self.in_proj_weight.split(rows), self.in_proj_bias.split(rows)
        found: list[Tensor] = []
        for (source, parts), weight, bias in zip(sources, weights, biases, strict=True):
            found += functional.linear(source, weight, bias).chunk(parts, -1)
        asked, looked_at, values = (
            one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in found
        )
        return asked, looked_at, values

    def _fused(
        self, queries: Tensor, keys: Tensor, values: Tensor, padding: Tensor | None
    ) -> Tensor:
        rate = self.dropout if self.training else 0.0
        is_masked = padding is not None and self.padding_mode == "masked"
        is_exact = queries.dtype in (torch.float32, torch.float64)
        if rate and is_exact and queries.device.type == "cpu" and (padding is None or is_masked):
            scale = queries.shape[-1] ** -0.5
            is_few = queries[..., 0].numel() * keys.shape[2] <= _FEW
            attend = few_dropped_attention if is_few else dropped_attention
            return attend(queries, keys, values, dropout=rate, scale=scale, padding=padding)
        if padding is None:
            return functional.scaled_dot_product_attention(queries, keys, values, dropout_p=rate)
        if not is_masked:
            added = padding[:, None, None].to(queries.dtype)
            return functional.scaled_dot_product_attention(queries, keys, values, added, rate)
        # A softmax over nothing is no number, so images without any key look at all and find 0.
        nothing = padding.all(1)[:, None, None, None]
        seen = ~padding[:, None, None] | nothing
        mixed = functional.scaled_dot_product_attention(queries, keys, values, seen, rate)
        return mixed.masked_fill(nothing, 0)

    def _weights(
        self,
        queries: Tensor,
        keys: Tensor,
        padding: Tensor | None,
        grid: tuple[int, int] | None,
    ) -> Tensor:
        scores = (queries * queries.shape[-1] ** -0.5) @ keys.mT
        scores = scores if scores.dtype == torch.float64 else scores.float()
        if padding is not None and self.padding_mode == "added":
            scores, padding = scores + padding[:, None, None].to(scores.dtype), None
        if self.simplex is not None:
            return self.simplex(scores, padding, grid)
        if padding is None:
            return scores.softmax(-1)
        unseen = padding[:, None, None]
        return (
            scores.masked_fill(unseen, torch.finfo(scores.dtype).min)
            .softmax(-1)
            .masked_fill(unseen, 0)
        )
