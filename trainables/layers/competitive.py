"""Attention in which the best queries compete for tokens, and decoders of it.

Softmax goes over queries, as in Slot Attention, but head by head, and only those queries stay that
some token wants most.
"""

# N images, H heads, Q queries, S those that stay, P tokens, D width of queries, C of tokens.

from __future__ import annotations

from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.attention import Drops, check_drops, kept_logits
from trainables.layers.blocks import DropPath, glorot, perceptron
from trainables.layers.checks import check_heads

_SMALLEST = 1e-8


class CompetitionSettings(TypedDict, total=False):
    """Arguments of `QueryCompetition` that those hand on who have one; it has the defaults."""

    max_queries: int | None
    keeps_first: bool
    attention_dropout: float
    drops: Drops
    qkv_bias: bool


class QueryCompetition(nn.Module):
    """By which weights queries take of tokens: softmax over queries of QKᵀ/√(D/H), made to add up
    to 1 over tokens.

    Args:
        width: D.
        token_width: C.
        heads: H, a divisor of D.
        max_queries: S, how many queries stay (see `best_queries`); all if None or no more come.
        keeps_first: whether the first query always stays, as one of them.
        attention_dropout: rate of `drops`.
        drops: `weights`, or `logits` before the softmax over queries; where all queries of a token
            would be dropped, all are kept.
        qkv_bias: whether queries and keys (and values, in those who have them) have biases.

    Raises:
        LookupError: `drops` is not known.
        ValueError: the heads do not divide the width, or no query would stay.
    """

    def __init__(
        self,
        width: int,
        token_width: int,
        heads: int,
        *,
        max_queries: int | None = None,
        keeps_first: bool = True,
        attention_dropout: float = 0.0,
        drops: Drops = "weights",
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        check_heads(width, heads)
        check_drops(drops)
        if max_queries is not None and max_queries < 1:
            raise ValueError(f"max_queries must be at least 1, got {max_queries}")
        self.heads, self.max_queries, self.keeps_first = heads, max_queries, keeps_first
        self.attention_dropout, self.drops = attention_dropout, drops
        self.queries = nn.Linear(width, width, bias=qkv_bias)
        self.keys = nn.Linear(token_width, width, bias=qkv_bias)

    def forward(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of queries [N, Q, D] and tokens [N, P, C]: weights [N, H, S, P], in single precision at
        least, and which queries stay, int64 [N, S]; None if all do."""
        scores, chosen = self._scores(queries, tokens)
        rate = self.attention_dropout if self.training else 0.0
        if rate and self.drops == "logits":
            draws = torch.rand(scores.shape, device=scores.device)
            scores = scores.masked_fill(~kept_logits(draws, rate, 2), -torch.inf)
        weights = competitive(scores)
        if rate and self.drops == "weights":
            weights = functional.dropout(weights, rate)
        return weights, chosen

    def attention_weights(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """The weights of queries that stay, without dropout, [N, H, S, P]."""
        return competitive(self._scores(queries, tokens)[0])

    def _scores(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of queries that stay [N, H, S, P], and which they are."""
        asked, keys = (
            by_head(part, self.heads) for part in (self.queries(queries), self.keys(tokens))
        )
        scores = asked @ keys.mT * asked.shape[-1] ** -0.5
        scores = scores if scores.dtype == torch.float64 else scores.float()
        chosen = best_queries(scores, self.max_queries, keeps_first=self.keeps_first)
        if chosen is None:
            return scores, None
        places = chosen[:, None, :, None].expand(-1, self.heads, -1, scores.shape[-1])
        return scores.gather(2, places), chosen


class WeightedValues(nn.Module):
    """What is taken of tokens by given weights: values by head, mixed, and a linear layer."""

    def __init__(
        self, width: int, token_width: int, heads: int, *, dropout: float, qkv_bias: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        self.values = nn.Linear(token_width, width, bias=qkv_bias)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, weights: Tensor, tokens: Tensor) -> Tensor:
        """Weights [N, H, S, P] and tokens [N, P, C] → [N, S, D]."""
        values = by_head(self.values(tokens), self.heads)
        mixed = (weights.to(values.dtype) @ values).transpose(1, 2).flatten(2)
        return self.dropout(self.out(mixed))


class CompetitiveAttention(nn.Module):
    """Queries compete for tokens, and take of them. `settings` are those of `QueryCompetition`."""

    def __init__(
        self,
        width: int,
        token_width: int,
        heads: int,
        *,
        dropout: float = 0.0,
        **settings: Unpack[CompetitionSettings],
    ) -> None:
        super().__init__()
        self.competition = QueryCompetition(width, token_width, heads, **settings)
        qkv_bias = settings.get("qkv_bias", False)
        self.mixing = WeightedValues(width, token_width, heads, dropout=dropout, qkv_bias=qkv_bias)
        glorot(self)

    def forward(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of queries [N, Q, D] and tokens [N, P, C]: what those that stay took [N, S, D], and which
        they are, int64 [N, S]; None if all stay."""
        weights, chosen = self.competition(queries, tokens)
        return self.mixing(weights, tokens), chosen


class CompetitiveDecoder(nn.Module):
    """Queries compete for tokens, block by block; the first block keeps the best of them.

    Tokens are normalised once, by an LN that all blocks share.

    Args:
        width: D.
        token_width: C.
        layers: how many blocks queries go through.
        heads: of attention, a divisor of D.
        mlp_ratio: hidden width of a perceptron over D.
        dropout: behind the linear layers of attention's output and of the perceptron.
        drop_path: rate by which each branch of a block is left out.
        reuses_layers: whether it is one block, gone through so often.
        settings: `max_queries`, `keeps_first`, `attention_dropout`, `drops` and `qkv_bias`, as in
            `QueryCompetition`.

    Raises:
        LookupError: `drops` is not known.
        ValueError: the heads do not divide the width, or no query would stay.
    """

    def __init__(
        self,
        width: int,
        token_width: int,
        layers: int,
        heads: int,
        *,
        mlp_ratio: float = 2.0,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        reuses_layers: bool = False,
        **settings: Unpack[CompetitionSettings],
    ) -> None:
        super().__init__()
        self.norm_tokens = nn.LayerNorm(token_width)
        self.repeats = layers if reuses_layers else 1
        self.blocks = nn.ModuleList(
            CompetitiveBlock(
                CompetitiveAttention(width, token_width, heads, dropout=dropout, **settings),
                perceptron(width, mlp_ratio, dropout),
                width=width,
                drop_path=drop_path,
            )
            for _ in range(1 if reuses_layers else layers)
        )

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries [N, Q, D] and tokens [N, P, C] → slots [N, S, D].

        The best comes first, behind the background's if that is kept; where all queries stay, they
        are in their order.
        """
        seen = self.norm_tokens(tokens)
        for _ in range(self.repeats):
            for block in self.blocks:
                queries = block(queries, seen)
        return queries


class CompetitiveBlock(nn.Module):
    """Of queries that stay: s ← s + LN(attention), s ← s + LN(MLP(s)); LN behind a branch."""

    def __init__(
        self, attention: CompetitiveAttention, mlp: nn.Module, *, width: int, drop_path: float
    ) -> None:
        super().__init__()
        self.attention, self.mlp = attention, mlp
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop_path = DropPath(drop_path)
        glorot(mlp)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries [N, Q, D] and tokens [N, P, C] → [N, S, D]."""
        taken, chosen = self.attention(queries, tokens)
        stayed = select(queries, chosen) + self.drop_path(self.norm_attention(taken))
        return stayed + self.drop_path(self.norm_mlp(self.mlp(stayed)))


@torch.no_grad()
def best_queries(scores: Tensor, count: int | None, *, keeps_first: bool) -> Tensor | None:
    """Which queries stay, of scores [N, H, Q, P]: int64 [N, count], the best first; None if all.

    A query is worth the largest share that it has of any token in any head, softmax over queries.
    With `keeps_first` the first is in front of them, and the others are compared without it.
    """
    if count is None or count >= scores.shape[2]:
        return None
    first = int(keeps_first)
    worth = scores[:, :, first:].softmax(2).amax((1, 3))
    best = worth.topk(count - first, dim=1).indices + first
    return torch.cat([best.new_zeros(len(best), first), best], 1)


def competitive(scores: Tensor) -> Tensor:
    """Softmax of scores [..., Q, P] over queries, then made to add up to 1 over tokens."""
    shares = scores.softmax(-2)
    return shares / shares.sum(-1, keepdim=True).clamp_min(_SMALLEST)


def select(queries: Tensor, chosen: Tensor | None) -> Tensor:
    """The chosen [N, S] of queries [N, Q, D], [N, S, D]; all if None."""
    if chosen is None:
        return queries
    return queries.gather(1, chosen[..., None].expand(-1, -1, queries.shape[-1]))


def by_head(tokens: Tensor, heads: int) -> Tensor:
    """[N, P, D] → [N, H, P, D/H]."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)
