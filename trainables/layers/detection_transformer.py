"""The encoder and the decoder of DETR: attention with positions added to queries and keys only."""

# B images, K cells of the grid, Q object queries, D width, L decoder layers.

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, get_args

import torch
from torch import Tensor, nn

from trainables.layers.blocks import Norm
from trainables.layers.checks import check_choice
from trainables.layers.dropping import Dropout
from trainables.layers.feed_forward import Activation, FeedForward
from trainables.layers.multihead import MultiHeadAttention, PaddingMode

Maps = Sequence[nn.Module | None]
"""The map to the simplex of each layer; None: softmax."""


class LayerSettings(TypedDict, total=False):
    """Arguments that encoder and decoder hand on to their layers, which have the defaults."""

    mlp_ratio: float
    dropout: float
    norm: Norm
    activation: Activation


class EncoderLayer(nn.Module):
    """Self-attention of cells and a perceptron, each with dropout and a residual.

    With post-norm x ← LN(x + f(x)), with pre-norm x ← x + f(LN(x)); queries and keys have the
    positions added, values have not (Carion et al. 2020, A.3).

    Args:
        width: D.
        heads: of attention.
        simplex: the map of attention; None: softmax.
        mlp_ratio: hidden width of the perceptron over D.
        dropout: rate of weights of attention, of hidden values, and of both residuals.
        norm: `post` or `pre`.
        activation: of the perceptron, `relu` or `gelu`.

    Raises:
        LookupError: a name is not known.
        ValueError: heads do not divide the width, or the rate is not a share below 1.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        simplex: nn.Module | None = None,
        mlp_ratio: float = 8,
        dropout: float = 0.1,
        norm: Norm = "post",
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        check_choice("norm", norm, get_args(Norm))
        self.norm: Norm = norm
        self.self_attention = MultiHeadAttention(width, heads, dropout=dropout, simplex=simplex)
        self.mlp = FeedForward(width, mlp_ratio, dropout=dropout, activation=activation)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        padding: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """[B, K, D], positions [1 or B, K, D], padding [B, K] → [B, K, D]."""
        if self.norm == "pre":
            seen = self.norm1(tokens)
            tokens = tokens + self.dropout(self._attend(seen, positions, padding, grid))
            return tokens + self.dropout(self.mlp(self.norm2(tokens)))
        tokens = self.norm1(tokens + self.dropout(self._attend(tokens, positions, padding, grid)))
        return self.norm2(tokens + self.dropout(self.mlp(tokens)))

    def _attend(
        self,
        tokens: Tensor,
        positions: Tensor,
        padding: Tensor | None,
        grid: tuple[int, int] | None,
    ) -> Tensor:
        placed = tokens + positions
        return self.self_attention(placed, placed, tokens, padding, grid)


class DecoderLayer(nn.Module):
    """Self-attention of objects, attention of objects to cells, and a perceptron, each with
    dropout and a residual; norms as in `EncoderLayer`.

    Queries and keys of self-attention and queries of the other have the object queries added.

    Args:
        width: D.
        heads: of attention.
        self_simplex: the map of self-attention; None: softmax.
        cross_simplex: the map of attention to cells; None: softmax.
        padding_mode: of attention to cells, as in `MultiHeadAttention`.
        mlp_ratio: as in `EncoderLayer`, as are the others.
        dropout: its rate.
        norm: `post` or `pre`.
        activation: of the perceptron.

    Raises:
        LookupError: a name is not known.
        ValueError: heads do not divide the width, or the rate is not a share below 1.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        self_simplex: nn.Module | None = None,
        cross_simplex: nn.Module | None = None,
        padding_mode: PaddingMode = "masked",
        mlp_ratio: float = 8,
        dropout: float = 0.1,
        norm: Norm = "post",
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        check_choice("norm", norm, get_args(Norm))
        self.norm: Norm = norm
        self.self_attention = MultiHeadAttention(
            width, heads, dropout=dropout, simplex=self_simplex
        )
        self.cross_attention = MultiHeadAttention(
            width, heads, dropout=dropout, simplex=cross_simplex, padding_mode=padding_mode
        )
        self.mlp = FeedForward(width, mlp_ratio, dropout=dropout, activation=activation)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = Dropout(dropout)

    def forward(
        self,
        objects: Tensor,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        padding: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Objects [B, Q, D] after one more layer.

        Args:
            objects: [B, Q, D].
            queries: the object queries, [Q, D].
            keys: cells with their positions, [B, K, D].
            values: cells without, [B, K, D].
            padding: [B, K], True for cells that are no part of an image.
            grid: rows and columns of cells.
        """
        if self.norm == "pre":
            objects = objects + self.dropout(self._among(self.norm1(objects), queries))
            asked = self.norm2(objects) + queries
            found = self.cross_attention(asked, keys, values, padding, grid)
            objects = objects + self.dropout(found)
            return objects + self.dropout(self.mlp(self.norm3(objects)))
        objects = self.norm1(objects + self.dropout(self._among(objects, queries)))
        found = self.cross_attention(objects + queries, keys, values, padding, grid)
        objects = self.norm2(objects + self.dropout(found))
        return self.norm3(objects + self.dropout(self.mlp(objects)))

    def _among(self, objects: Tensor, queries: Tensor) -> Tensor:
        placed = objects + queries
        return self.self_attention(placed, placed, objects)


class Encoder(nn.Module):
    """Layers of cells, and a norm behind the last with pre-norm.

    Args:
        width: D.
        heads: of attention.
        layers: how many.
        maps: the map of each layer; None: softmax in all.
        settings: of `EncoderLayer`.

    Raises:
        ValueError: there are not as many maps as layers.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        layers: int,
        *,
        maps: Maps | None = None,
        settings: LayerSettings | None = None,
    ) -> None:
        super().__init__()
        given = settings or {}
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, simplex=one, **given)
            for one in maps_of("encoder_self", maps, layers)
        )
        self.norm = nn.LayerNorm(width) if given.get("norm") == "pre" else None

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        padding: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """[B, K, D], positions [1 or B, K, D], padding [B, K] → [B, K, D]."""
        for layer in self.layers:
            tokens = layer(tokens, positions, padding, grid)
        return tokens if self.norm is None else self.norm(tokens)


class Decoder(nn.Module):
    """Layers of objects, which are 0 at first, and a norm behind each of them, the same for all.

    Args:
        width: D.
        heads: of attention.
        layers: L.
        self_maps: the map of self-attention of each layer; None: softmax in all.
        cross_maps: the map of attention to cells of each layer; None: softmax in all.
        padding_mode: of attention to cells.
        settings: of `DecoderLayer`.

    Raises:
        ValueError: there are not as many maps as layers.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        layers: int,
        *,
        self_maps: Maps | None = None,
        cross_maps: Maps | None = None,
        padding_mode: PaddingMode = "masked",
        settings: LayerSettings | None = None,
    ) -> None:
        super().__init__()
        pairs = zip(
            maps_of("decoder_self", self_maps, layers),
            maps_of("cross", cross_maps, layers),
            strict=True,
        )
        self.layers = nn.ModuleList(
            DecoderLayer(
                width,
                heads,
                self_simplex=own,
                cross_simplex=cross,
                padding_mode=padding_mode,
                **settings or {},
            )
            for own, cross in pairs
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        queries: Tensor,
        memory: Tensor,
        positions: Tensor,
        padding: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Queries [Q, D], memory [B, K, D], positions, padding → objects of all layers,
        [L, B, Q, D]."""
        objects = memory.new_zeros(memory.shape[0], *queries.shape)
        keys = memory + positions
        found: list[Tensor] = []
        for layer in self.layers:
            objects = layer(objects, queries, keys, memory, padding, grid)
            found.append(objects)
        return self.norm(torch.stack(found))


def maps_of(field: str, maps: Maps | None, layers: int) -> Maps:
    """A map for each layer. Raises ValueError if there are not as many."""
    if maps is None:
        return [None] * layers
    if len(maps) != layers:
        raise ValueError(f"{field} must have a map for each of {layers} layers, got {len(maps)}")
    return maps
