"""Keys and values of Slot Attention that are never formed.

q kᵀ = (q W_kᵀ) x̂ᵀ and A v = (A x̂) W_v are the same numbers for a fraction of the work, as slots are
far fewer than tokens.
"""

# B images, K slots, H heads, N tokens, E width of tokens, C common width of all heads.

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def asked_of_tokens(
    queries: Tensor, to_keys: nn.Linear, heads: int
) -> tuple[Tensor, Tensor | None]:
    """What queries [B, K, C] are worth on tokens, [B, K·H, E], the heads of a slot one behind the
    other; and what the bias of the keys adds to all scores of a query, [B, K·H], if it has one."""
    weight, bias = to_keys.weight, to_keys.bias
    by_head = queries.unflatten(-1, (heads, queries.shape[-1] // heads))
    shift = None
    if heads == 1:
        asked = queries @ weight
    else:
        keys = weight.unflatten(0, (heads, queries.shape[-1] // heads))
        asked = torch.einsum("bkhs,hsd->bkhd", by_head, keys).flatten(1, 2)
    if bias is not None:
        shift = (by_head * bias.view(heads, -1)).sum(-1).flatten(1)
    return asked, shift


def values_of(weighed: Tensor, weights: Tensor, to_values: nn.Linear, heads: int) -> Tensor:
    """Weighted tokens [B, K·H, E] and the sums of their weights [B, K·H] as weighted values
    [B, K, C]."""
    weight, bias = to_values.weight, to_values.bias
    if heads == 1:
        values = functional.linear(weighed.to(weight.dtype), weight)
    else:
        split = weighed.to(weight.dtype).unflatten(1, (-1, heads))
        by_head = weight.unflatten(0, (heads, weight.shape[0] // heads))
        values = torch.einsum("bkhd,hsd->bkhs", split, by_head).flatten(2)
    if bias is not None:
        shares = weights.unflatten(1, (-1, heads))[..., None]
        values = values + (shares * bias.view(heads, -1)).flatten(2)
    return values
