"""Attention whose weights are dropped, on the CPU, image by image."""

# B images, H heads, Q queries, K keys, D width of a head, E of values.

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_LEVELS = 2**16


def dropped_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    dropout: float,
    scale: float,
    padding: Tensor | None = None,
) -> Tensor:
    """softmax(queries·keysᵀ · scale)·values, of whose weights a share `dropout` is 0 and the others
    are divided by 1 − dropout.

    What torch has for this on a CPU holds all weights of all images at once, several times, and
    draws a number for each by a slow generator. Here an image's weights stay in the cache, and are
    computed again in the backward pass; only what is kept is remembered. It can be differentiated
    once, not twice.

    Args:
        queries: [B, H, Q, D], on the CPU.
        keys: [B, H, K, D].
        values: [B, H, K, E].
        dropout: in 0…1, taken to the nearest 2⁻¹⁶.
        scale: of the scores.
        padding: bool [B, K], True for keys that get no weight; None: all get some. Where all keys
            of an image are padding, it has zeros.

    Returns:
        [B, H, Q, E].
    """
    is_kept = kept((*queries.shape[:3], keys.shape[2]), dropout).view(torch.int8)
    return _Dropped.apply(queries, keys, values, is_kept, padding, 1 / (1 - dropout), scale)


def kept(shape: tuple[int, ...], rate: float) -> Tensor:
    """Bool of a shape, True with probability 1 − `rate` to the nearest 2⁻¹⁶, by torch's default
    generator: of one of its numbers of 64 bits come four. To multiply by it, view it as `int8`:
    torch multiplies by those several at once, and by bool one by one."""
    count = math.prod(shape)
    numbers = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    draws = numbers.view(torch.int16)[:count].view(shape)
    least = round(rate * _LEVELS) - _LEVELS // 2
    if least > torch.iinfo(torch.int16).max:  # which no draw reaches
        return torch.zeros(shape, dtype=torch.bool)
    # NumPy compares many at once, torch one by one: a tenth of the time
    return torch.from_numpy(np.greater_equal(draws.numpy(), np.int16(least)))


class _Dropped(torch.autograd.Function):
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
        ctx.save_for_backward(queries, keys, values, is_kept, padding)
        ctx.gain, ctx.scale = gain, scale
        found = queries.new_empty(*queries.shape[:-1], values.shape[-1])
        for index, (query, key, value, stays, out) in enumerate(
            zip(queries, keys, values, is_kept, found, strict=True)
        ):
            weights = _weights(query * scale, key, padding, index)
            torch.matmul(weights.mul_(stays), value, out=out)
        return found.mul_(gain)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        queries, keys, values, is_kept, padding = ctx.saved_tensors
        found = [
            torch.empty_like(one, memory_format=torch.contiguous_format)
            for one in (queries, keys, values)
        ]
        of_queries, of_keys, of_values = found
        for index, gradient in enumerate(gradients[0] * ctx.gain):
            query, key, value = queries[index] * ctx.scale, keys[index], values[index]
            stays = is_kept[index].to(query.dtype)
            weights = _weights(query, key, padding, index)
            torch.matmul((weights * stays).mT, gradient, out=of_values[index])
            of_weights = (gradient @ value.mT).mul_(stays)
            of_scores = torch.ops.aten._softmax_backward_data(
                of_weights, weights, -1, weights.dtype
            )
            torch.matmul(of_scores, key, out=of_queries[index])
            torch.matmul(of_scores.mT, query, out=of_keys[index])
        return of_queries.mul_(ctx.scale), of_keys, of_values, None, None, None, None


def _weights(query: Tensor, key: Tensor, padding: Tensor | None, index: int) -> Tensor:
    """Of one image, [H, Q, K], by scaled queries; padding has none."""
    scores = query @ key.mT
    if padding is None:
        return scores.softmax(-1)
    unseen = padding[index]
    lowest = torch.finfo(scores.dtype).min  # −∞ would make rows without a key no numbers
    return scores.masked_fill_(unseen, lowest).softmax(-1).masked_fill_(unseen, 0)
