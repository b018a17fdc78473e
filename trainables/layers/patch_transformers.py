"""Patch decoders in which patches look at slots: an autoregressive one, and a mixer of slots."""

# B images, K slots, D their width, P patches, F width of features, W width of tokens, H heads.

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.attention import SelfAttention, shares
from trainables.layers.patch_decoders import Decoded


class AutoregressivePatchDecoder(nn.Module):
    """A transformer that predicts each patch from those before it and from the slots.

    Row after row, patch n is predicted from targets 1 … n − 1, behind a learned start token: one
    pass for all patches, in evaluations too (teacher forcing). Targets and slots each go through a
    linear layer without bias and LN; each block is causal self-attention, attention to the slots,
    and an MLP four times as wide with GELU, pre-norm; LN and a linear layer make the features
    (Seitzer et al. 2023, section 3, after Singh et al. 2022).

    Args:
        slot_width: D.
        features: F.
        width: W; F if None.
        layers: blocks.
        heads: H, a divisor of W.
        masks: `decoder`: masks are how much patches look at slots in the last block, the mean over
            heads. `attention`: none of its own; those of Slot Attention serve.

    Raises:
        LookupError: `masks` is not known.
        ValueError: the heads do not divide the width.
    """

    def __init__(
        self,
        *,
        slot_width: int,
        features: int,
        width: int | None = None,
        layers: int = 4,
        heads: int = 4,
        masks: Literal["attention", "decoder"] = "attention",
    ) -> None:
        super().__init__()
        if masks not in ("attention", "decoder"):
            raise LookupError(f"masks must be one of attention, decoder, got {masks!r}")
        width = width or features
        self.masks = masks
        self.start = nn.Parameter(torch.randn(1, 1, features) * features**-0.5)
        self.of_targets = nn.Sequential(nn.Linear(features, width, bias=False), nn.LayerNorm(width))
        self.of_slots = nn.Sequential(nn.Linear(slot_width, width, bias=False), nn.LayerNorm(width))
        self.blocks = nn.ModuleList(
            LookingBlock(width, heads, looks_back=True) for _ in range(layers)
        )
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, features))

    def forward(self, slots: Tensor, targets: Tensor | None = None) -> Decoded:
        """Features [B, P, F] of slots [B, K, D] and of what is to be predicted, [B, P, F].

        Raises:
            ValueError: there are no targets.
        """
        if targets is None:
            raise ValueError("targets must be given: patches are predicted from those before them")
        start = self.start.to(targets.dtype).expand(len(targets), -1, -1)
        tokens = self.of_targets(torch.cat([start, targets[:, :-1]], 1))
        seen = self.of_slots(slots)
        weights: Tensor | None = None
        for number, block in enumerate(self.blocks, 1):
            is_last = number == len(self.blocks)
            tokens, weights = block(tokens, seen, is_last and self.masks == "decoder")
        masks = None if weights is None else weights.transpose(1, 2)
        return Decoded(self.last(tokens), masks)


class SlotMixerPatchDecoder(nn.Module):
    """Each patch mixes the slots, and one MLP renders the mixture: P evaluations instead of K·P.

    Learned codes of the patches look at the slots through `layers` blocks (attention to the slots,
    MLP four times as wide with GELU; pre-norm). With x_n what becomes of them,

        m_n = softmax over slots of (LN(x_n) Q)·(s_k K)/√D;  ŷ_n = MLP(Σ_k m_kn s_k + p_n)

    with p_n the code of patch n (Sajjadi et al. 2022, section 3.2, with patches for rays).

    Args:
        slot_width: D, width of slots and codes.
        features: F.
        patches: P.
        layers: blocks.
        heads: H, a divisor of D.
        width: of the hidden layers of the MLP.
        mlp_layers: how many it has, each with ReLU.

    Raises:
        ValueError: the heads do not divide the width.
    """

    def __init__(
        self,
        *,
        slot_width: int,
        features: int,
        patches: int,
        layers: int = 3,
        heads: int = 4,
        width: int = 1024,
        mlp_layers: int = 3,
    ) -> None:
        super().__init__()
        self.codes = nn.Parameter(torch.randn(patches, slot_width))
        self.norm_slots = nn.LayerNorm(slot_width)
        self.blocks = nn.ModuleList(
            LookingBlock(slot_width, heads, looks_back=False) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(slot_width)
        self.to_queries = nn.Linear(slot_width, slot_width, bias=False)
        self.to_keys = nn.Linear(slot_width, slot_width, bias=False)
        self.mixing = Mixing()
        widths = [slot_width, *([width] * mlp_layers)]
        steps: list[nn.Module] = []
        for inputs, outputs in zip(widths, widths[1:], strict=False):
            steps += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.render = nn.Sequential(*steps, nn.Linear(widths[-1], features))

    def forward(self, slots: Tensor, targets: Tensor | None = None) -> Decoded:
        """Features and masks of slots [B, K, D]; targets are not looked at."""
        seen = self.norm_slots(slots)
        tokens = self.codes.expand(len(slots), -1, -1)
        for block in self.blocks:
            tokens, _ = block(tokens, seen, False)
        queries, keys = self.to_queries(self.norm(tokens)), self.to_keys(seen)
        weights = self.mixing(queries, keys)
        mixture = weights.to(slots.dtype) @ slots + self.codes
        return Decoded(self.render(mixture), weights.transpose(1, 2))


class Mixing(nn.Module):
    """The shares by which slots are mixed at each patch; a module, so that it can be recorded."""

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Of patches [B, P, D] and slots [B, K, D]: [B, P, K], adding up to 1 over slots."""
        return shares(queries, keys)

    def attention_weights(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The same, [B, 1, P, K]."""
        return shares(queries, keys)[:, None]


class LookingBlock(nn.Module):
    """Tokens look back at one another (if they do), then at slots, then an MLP; pre-norm.

    Raises:
        ValueError: the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int, *, looks_back: bool) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the width of tokens ({width}), got {heads}")
        self.back = SelfAttention(width, heads, is_causal=True) if looks_back else None
        self.norm_back = nn.LayerNorm(width) if looks_back else None
        self.norm_look, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look = SlotLook(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor, slots: Tensor, shows: bool) -> tuple[Tensor, Tensor | None]:
        """Tokens [B, P, W] and slots [B, K, W] → tokens, and if shown the shares [B, P, K]."""
        if self.back is not None and self.norm_back is not None:
            tokens = tokens + self.back(self.norm_back(tokens))
        looked, weights = self.look(self.norm_look(tokens), slots, shows)
        tokens = tokens + looked
        return tokens + self.mlp(self.norm_mlp(tokens)), weights


class SlotLook(nn.Module):
    """Multi-head attention of tokens to slots (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, tokens: Tensor, slots: Tensor, shows: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Tokens [B, P, W] and slots [B, K, W] → [B, P, W], and if shown the shares [B, P, K].

        Shares add up to 1 over slots; they are the mean over heads.
        """
        queries, keys, values = self._by_head(tokens, slots)
        if not shows:
            mixed = functional.scaled_dot_product_attention(queries, keys, values)
            return self.out(mixed.transpose(1, 2).flatten(2)), None
        weights = shares(queries, keys)
        mixed = weights.to(values.dtype) @ values
        return self.out(mixed.transpose(1, 2).flatten(2)), weights.mean(1)

    def attention_weights(self, tokens: Tensor, slots: Tensor, shows: bool = False) -> Tensor:
        """How much each head of tokens [B, P, W] looks at slots [B, K, W]: [B, H, P, K]."""
        queries, keys, _ = self._by_head(tokens, slots)
        return shares(queries, keys)

    def _by_head(self, tokens: Tensor, slots: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, P, W/H], keys and values [B, H, K, W/H]."""
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.queries(tokens), *self.keys_values(slots).chunk(2, -1))
        )
        return queries, keys, values
