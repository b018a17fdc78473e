"""Slots from queries and patches by a stack of blocks: cross attention, and co-attention."""

# N images, S slots, D their width, P tokens, C their width.

from __future__ import annotations

from typing import Unpack

from torch import Tensor, nn

from trainables.layers.cross_attention import BlockSettings, CrossBlock


class CrossAttentionDecoder(nn.Module):
    """Queries look at one another and at tokens, block by block (a decoder of Vaswani et al. 2017).

    Tokens are normalised once, by an LN that all blocks share; the slots that leave the last block
    are not.

    Args:
        width: D.
        token_width: C.
        layers: how many blocks slots go through.
        heads: of all attentions, a divisor of D.
        reuses_layers: whether it is one block, gone through so often.
        block: `mlp_ratio`, `dropout`, `attention_dropout`, `drop_path`, the same in all blocks,
            `attention_scale`, `drops` and `qkv_bias`, as in `CrossBlock`.

    Raises:
        LookupError: a name is not known.
        ValueError: the heads do not divide the width.
    """

    def __init__(
        self,
        width: int,
        token_width: int,
        layers: int,
        heads: int,
        *,
        reuses_layers: bool = False,
        **block: Unpack[BlockSettings],
    ) -> None:
        super().__init__()
        self.norm_tokens = nn.LayerNorm(token_width)
        self.repeats = layers if reuses_layers else 1
        self.blocks = nn.ModuleList(
            CrossBlock(width, token_width, heads, **block)
            for _ in range(1 if reuses_layers else layers)
        )

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries [N, S, D] and tokens [N, P, C] → slots [N, S, D]."""
        seen = self.norm_tokens(tokens)
        for _ in range(self.repeats):
            for block in self.blocks:
                queries = block(queries, seen)
        return queries


class CoAttentionDecoder(nn.Module):
    """Slots look at patches while patches look at slots, block by block (after Lu et al. 2019).

    Both sides of a block see what the other was before it, and each begins with its self-attention.
    Arguments are those of `CrossAttentionDecoder`; the heads divide both widths.
    """

    def __init__(
        self,
        width: int,
        token_width: int,
        layers: int,
        heads: int,
        **block: Unpack[BlockSettings],
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            CoAttentionBlock(width, token_width, heads, moves_tokens=number < layers, **block)
            for number in range(1, layers + 1)
        )

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries [N, S, D] and tokens [N, P, C] → slots [N, S, D]."""
        for block in self.blocks:
            queries, tokens = block(queries, tokens)
        return queries


class CoAttentionBlock(nn.Module):
    """a ← A(a, LN b) and b ← B(b, LN a), both of the old values; A and B are a `CrossBlock` each.

    Without `moves_tokens` there is no B, and b stays: what the last block made of it nobody sees.
    """

    def __init__(
        self,
        width: int,
        token_width: int,
        heads: int,
        *,
        moves_tokens: bool = True,
        **block: Unpack[BlockSettings],
    ) -> None:
        super().__init__()
        self.norm_tokens = nn.LayerNorm(token_width)
        self.slots_look = CrossBlock(width, token_width, heads, **block)
        self.norm_slots = nn.LayerNorm(width) if moves_tokens else None
        self.tokens_look = CrossBlock(token_width, width, heads, **block) if moves_tokens else None

    def forward(self, slots: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Slots [N, S, D] and tokens [N, P, C] → both."""
        moved = self.slots_look(slots, self.norm_tokens(tokens))
        if self.tokens_look is None or self.norm_slots is None:
            return moved, tokens
        return moved, self.tokens_look(tokens, self.norm_slots(slots))
