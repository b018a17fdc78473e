"""Attention in which slots compete for tokens, with a backward pass that spares memory."""

# B images, K slots (times heads), N tokens, D width of tokens.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def compete(
    tokens: Tensor, queries: Tensor, shift: Tensor | None = None, takes_part: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A = softmax over K of queries · tokensᵀ + shift, and the sums A · tokens.

    Products are in the precision of the tokens, the softmax in single precision at least. A
    backward pass writes the gradient of the tokens once, and not for each of the two products: it
    is the largest array by far. It can be taken once, not twice.

    Args:
        tokens: [B, N, D].
        queries: [B, K, D].
        shift: what is added to all scores of a query, [B, K].
        takes_part: [B, K], True where a slot may have attention. If none of an image may, all have.

    Returns:
        A [B, K, N], which adds up to 1 over K, and A · tokens [B, K, D].
    """
    return _Competition.apply(tokens, queries, shift, takes_part)


class Competition(nn.Module):
    """`compete` as a module, so that the attention of each iteration can be recorded.

    Args:
        heads: H; queries are those of slots and heads, the heads of a slot one behind the other.
    """

    def __init__(self, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads

    def forward(
        self,
        tokens: Tensor,
        queries: Tensor,
        shift: Tensor | None = None,
        takes_part: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As `compete`."""
        return compete(tokens, queries, shift, takes_part)

    def attention_weights(
        self,
        tokens: Tensor,
        queries: Tensor,
        shift: Tensor | None = None,
        takes_part: Tensor | None = None,
    ) -> Tensor:
        """A by head, [B, H, slots, N]: it adds up to 1 over heads and slots together."""
        attention, _ = compete(tokens, queries, shift, takes_part)
        return attention.unflatten(1, (-1, self.heads)).transpose(1, 2)


class _Competition(torch.autograd.Function):
    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, tokens: Tensor, queries: Tensor, shift: Tensor | None, takes_part: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        kind = tokens.dtype
        scores = torch.bmm(queries.to(kind), tokens.transpose(1, 2))
        if kind in (torch.bfloat16, torch.float16):
            scores = scores.float()
        if shift is not None:
            scores += shift[..., None]
        if takes_part is not None:
            scores.masked_fill_(~takes_part[..., None], torch.finfo(scores.dtype).min)
        attention = scores.softmax(1)
        ctx.save_for_backward(tokens, queries, attention)
        ctx.has_shift = shift is not None
        return attention, torch.bmm(attention.to(kind), tokens)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        of_attention, of_sums = gradients
        tokens, queries, attention = ctx.saved_tensors
        kind = tokens.dtype
        of_attention = of_attention + torch.bmm(of_sums, tokens.transpose(1, 2))
        of_scores = torch.ops.aten._softmax_backward_data(
            of_attention, attention, 1, attention.dtype
        )
        of_tokens = of_queries = None
        if ctx.needs_input_grad[0]:
            weights = torch.cat([attention, of_scores], 1).to(kind).transpose(1, 2)
            of_tokens = torch.bmm(weights, torch.cat([of_sums, queries.to(kind)], 1))
        if ctx.needs_input_grad[1]:
            of_queries = torch.bmm(of_scores.to(kind), tokens).to(queries.dtype)
        of_shift = of_scores.sum(2) if ctx.has_shift else None
        return of_tokens, of_queries, of_shift, None
