"""Attention with dropout, on the CPU, whose weights are few and are remembered."""

# B images, H heads, Q queries, K keys, D width of a head, E of values.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainables.layers.dropped_attention import kept


def few_dropped_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    dropout: float,
    scale: float,
    padding: Tensor | None = None,
) -> Tensor:
    """What `dropped_attention` computes, with the same draws: all images at once, and without
    computing weights again. It needs 5 bytes for each weight until the backward pass.

    Arguments and result are as of `dropped_attention`. It can be differentiated once, not twice.
    """
    is_kept = kept((*queries.shape[:3], keys.shape[2]), dropout).view(torch.int8)
    return _Few.apply(queries, keys, values, is_kept, padding, 1 / (1 - dropout), scale)


class _Few(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        is_kept: Tensor,
        padding: Tensor | None,
        gain: float,
        scale: float,
    ) -> Tensor:
        scaled = queries * scale
        scores = scaled @ keys.mT
        if padding is not None:
            unseen = padding[:, None, None]
            scores.masked_fill_(unseen, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        if padding is not None:
            weights.masked_fill_(padding[:, None, None], 0)
        ctx.save_for_backward(scaled, keys, values, weights, is_kept)
        ctx.gain, ctx.scale = gain, scale
        return ((weights * is_kept) @ values).mul_(gain)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        scaled, keys, values, weights, is_kept = ctx.saved_tensors
        gradient = gradients[0] * ctx.gain
        of_values = (weights * is_kept).mT @ gradient
        of_weights = (gradient @ values.mT).mul_(is_kept)
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        of_queries = (of_scores @ keys).mul_(ctx.scale)
        return of_queries, of_scores.mT @ scaled, of_values, None, None, None, None
