"""A decoder whose slots have a content and a place, each moved by the same attention."""

# N images, H heads, Q queries, S those that stay, P tokens, D width of all.

from __future__ import annotations

from typing import NamedTuple, Unpack

from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.blocks import DropPath, glorot, perceptron
from trainables.layers.competitive import (
    CompetitionSettings,
    QueryCompetition,
    WeightedValues,
    select,
)


class Placed(NamedTuple):
    """Contents and places, [N, S, D] each."""

    contents: Tensor
    places: Tensor


class InstanceDecoder(nn.Module):
    """Slots compete for tokens by content and place together, and take both, block by block.

    With contents s and x and places e and p of slots and tokens, q = W_q(LN s + LN e) and
    k = W_k(LN x + LN p) compete as in `QueryCompetition`, and the same weights mix W_f LN x and
    W_e LN p into two outputs, each with a linear layer, a residual and a pre-norm perceptron of its
    own. A slot's place begins as that of a random token. What leaves is s + e.

    The background's slot, the first, has no place: its e is 0 in front of each block and in the
    end, and left out of q.

    Args:
        width: D, of slots, tokens and positions.
        layers: how many blocks slots go through.
        heads: of attention, a divisor of D.
        token_width: must be D, since slots are placed where tokens are.
        mlp_ratio: hidden width of a perceptron over D.
        dropout: behind the linear layers of attention's outputs and of the perceptrons.
        drop_path: rate by which each branch of a block is left out.
        reuses_layers: whether it is one block, gone through so often.
        has_background: whether the first slot is the background's, which also always stays.
        settings: `max_queries`, `attention_dropout`, `drops` and `qkv_bias`, as in
            `QueryCompetition`.

    Raises:
        LookupError: `drops` is not known.
        ValueError: tokens have another width, the heads do not divide it, or no query would stay.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        *,
        token_width: int | None = None,
        mlp_ratio: float = 2.0,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        reuses_layers: bool = False,
        has_background: bool = True,
        **settings: Unpack[CompetitionSettings],
    ) -> None:
        super().__init__()
        if token_width not in (None, width):
            raise ValueError(f"width must be that of tokens ({token_width}), got {width}")
        settings["keeps_first"] = self.has_background = has_background
        self.repeats = layers if reuses_layers else 1
        self.blocks = nn.ModuleList(
            InstanceBlock(
                width,
                heads,
                mlp_ratio=mlp_ratio,
                dropout=dropout,
                drop_path=drop_path,
                **settings,
            )
            for _ in range(1 if reuses_layers else layers)
        )

    def forward(self, queries: Tensor, tokens: Tensor, positions: Tensor, draws: Tensor) -> Tensor:
        """Slots [N, S, D]: the background's, if there is one, then the best first.

        Args:
            queries: [N, Q, D].
            tokens: [N, P, D], without their positions.
            positions: of the tokens, [1 or N, P, D].
            draws: numbers in [0, 1) that choose where slots are at first, [N, Q].
        """
        seen = Placed(tokens, positions.expand(len(tokens), -1, -1))
        places = select(seen.places, (draws * tokens.shape[1]).long())
        slots = Placed(queries, without_first(places) if self.has_background else places)
        for _ in range(self.repeats):
            for block in self.blocks:
                slots = block(slots, seen)
        return slots.contents + slots.places


class InstanceBlock(nn.Module):
    """Moves contents and places of slots by one attention, and each by a perceptron; pre-norm.

    With `keeps_first`, the place of the first slot is 0 behind, and left out of its query. Other
    settings are those of `QueryCompetition`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mlp_ratio: float = 2.0,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        **settings: Unpack[CompetitionSettings],
    ) -> None:
        super().__init__()
        self.keeps_first = settings.get("keeps_first", True)
        self.competition = QueryCompetition(width, width, heads, **settings)
        self.contents, self.places = (
            Stream(
                width,
                heads,
                mlp_ratio=mlp_ratio,
                dropout=dropout,
                drop_path=drop_path,
                qkv_bias=settings.get("qkv_bias", False),
            )
            for _ in range(2)
        )
        glorot(self)

    def forward(self, slots: Placed, tokens: Placed) -> Placed:
        """Slots [N, Q, D] and tokens [N, P, D] → slots that stay [N, S, D]."""
        seen = Placed(
            self.contents.norm_tokens(tokens.contents), self.places.norm_tokens(tokens.places)
        )
        places = self._placed(self.places.norm_slots(slots.places))
        asked = self.contents.norm_slots(slots.contents) + places
        weights, chosen = self.competition(asked, seen.contents + seen.places)
        contents = self.contents(select(slots.contents, chosen), weights, seen.contents)
        places = self.places(select(slots.places, chosen), weights, seen.places)
        return Placed(contents, self._placed(places))

    def _placed(self, places: Tensor) -> Tensor:
        return without_first(places) if self.keeps_first else places


class Stream(nn.Module):
    """s ← s + what weights take of tokens; s ← s + MLP(LN s): of contents, or of places."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mlp_ratio: float,
        dropout: float,
        drop_path: float,
        qkv_bias: bool,
    ) -> None:
        super().__init__()
        self.norm_slots, self.norm_tokens = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixing = WeightedValues(width, width, heads, dropout=dropout, qkv_bias=qkv_bias)
        self.norm_mlp, self.mlp = nn.LayerNorm(width), perceptron(width, mlp_ratio, dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, slots: Tensor, weights: Tensor, tokens: Tensor) -> Tensor:
        """Slots [N, S, D], weights [N, H, S, P] and tokens behind their norm [N, P, D] → slots."""
        slots = slots + self.drop_path(self.mixing(weights, tokens))
        return slots + self.drop_path(self.mlp(self.norm_mlp(slots)))


def without_first(places: Tensor) -> Tensor:
    """Places [N, S, D], that of the first slot 0."""
    return functional.pad(places[:, 1:], (0, 0, 1, 0))
