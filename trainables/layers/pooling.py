"""One vector of many tokens by attention."""

# N images, P tokens, C their width, D width of the vector.

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from trainables.layers.cross_attention import BlockSettings, CrossBlock


class AttentionPool(nn.Module):
    """A learned token looks at slots or patches, block by block, and becomes their vector.

    Tokens are normalised once, by an LN that all blocks share; the vector that leaves is not. The
    learned token is normal of σ 1e-6 at first.

    Args:
        width: D.
        token_width: C; D if None.
        layers: number of blocks, those of `CrossBlock` without self-attention.
        heads: of attention, a divisor of D.
        block: `mlp_ratio`, `dropout`, `attention_dropout`, `drop_path`, `drops` and `qkv_bias`, as
            in `CrossBlock`.

    Raises:
        LookupError: `drops` is not known.
        ValueError: the heads do not divide the width.
    """

    def __init__(
        self,
        width: int,
        token_width: int | None = None,
        layers: int = 2,
        heads: int = 8,
        **block: Unpack[BlockSettings],
    ) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.empty(1, 1, width).normal_(std=1e-6))
        self.norm_tokens = nn.LayerNorm(token_width or width)
        self.blocks = nn.ModuleList(
            CrossBlock(width, token_width, heads, looks_at_itself=False, **block)
            for _ in range(layers)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Slots or patches [N, P, C] → [N, D]."""
        seen = self.norm_tokens(tokens)
        vector = self.token.expand(len(tokens), -1, -1)
        for block in self.blocks:
            vector = block(vector, seen)
        return vector[:, 0]
