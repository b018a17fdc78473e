"""A vision transformer (Dosovitskiy et al. 2021) whose parts are all choices."""

# B images, N tokens, P patches, D width.

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from trainables.layers.attention import AttentionScale
from trainables.layers.blocks import Block, Norm, glorot
from trainables.layers.checks import check_choice, check_heads
from trainables.layers.features import Features
from trainables.layers.positions import resized_positions, sine_cosine_positions

Pool = Literal["class_token", "mean"]
Positions = Literal["learned", "sine_cosine"]
PositionsAt = Literal["input", "every_block"]
Schedule = Literal["linear", "constant"]
Init = Literal["glorot", "timm"]


class ViT(nn.Module):
    """Patches → tokens → blocks → one vector an image → logits of `classes` (0: the vector).

    Images of another size than `image_size` are taken, too: the table of positions is resized to
    their patches (see `resized_positions`), but for that of the class token.

    Args:
        image_size: side of the images that the table of positions is for.
        channels: of the images.
        patch_size: side of a patch.
        width: D.
        layers: number of blocks.
        heads: of attention, a divisor of D.
        classes: number of logits; 0 for none.
        mlp_ratio: hidden width of a block's perceptron over D.
        dropout: of tokens with their positions, and behind each linear layer of the blocks.
        attention_dropout: of the weights of attention.
        drop_path: rate of `drop_path_schedule`.
        pool: what the vector of an image is, `class_token` or the mean of the patches.
        positions: a learned table, or one of sines and cosines.
        norm: whether LN comes before a residual branch or behind the sum.
        qkv_bias: whether queries, keys and values have biases.
        eps: ε of LN.
        init: `glorot`: linear layers Glorot-uniform as in the paper's code, the class token normal
            of σ 0.02, and the head 0. `timm`: linear layers and head normal of σ 0.02, the class
            token of σ 1e-6, as timm has it. With both their biases are 0, positions are normal of
            σ 0.02, and the projection of patches is as torch leaves it.
        has_class_token: whether there is one, if the vector is the mean; None: only if it is used.
        class_has_position: whether the class token has a position of its own, or none.
        positions_at: `input`: the table is added to the tokens once; `every_block`: before every
            block, the same table.
        patch_norm: whether LN follows the projection of patches.
        output_norm: whether LN follows the last block; None: if `norm` is `pre`.
        drop_path_schedule: `linear`: from 0 in the first block to the rate in the last;
            `constant`: the rate in all.
        attention_scale: as in `SelfAttention`.

    Raises:
        LookupError: a name is not known.
        ValueError: the patch does not divide the image, or the heads do not divide the width, or
            the class token is to be pooled and there is none.
    """

    positions: Tensor

    def __init__(
        self,
        *,
        image_size: int,
        channels: int,
        patch_size: int,
        width: int,
        layers: int,
        heads: int,
        classes: int,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        pool: Pool = "class_token",
        positions: Positions = "learned",
        norm: Norm = "pre",
        qkv_bias: bool = True,
        eps: float = 1e-6,
        init: Init = "glorot",
        has_class_token: bool | None = None,
        class_has_position: bool = True,
        positions_at: PositionsAt = "input",
        patch_norm: bool = False,
        output_norm: bool | None = None,
        drop_path_schedule: Schedule = "linear",
        attention_scale: AttentionScale = "sqrt",
    ) -> None:
        super().__init__()
        _check_sizes(image_size, patch_size, width, heads)
        has_class_token = _has_class_token(pool, has_class_token)
        check_choice("positions_at", positions_at, ("input", "every_block"))
        side = image_size // patch_size
        self.pool, self.patch_size, self.grid, self.width = pool, patch_size, (side, side), width
        self.adds_at_every_block = positions_at == "every_block"
        self.patches = nn.Conv2d(channels, width, patch_size, patch_size)
        self.patch_norm = nn.LayerNorm(width, eps) if patch_norm else nn.Identity()
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if has_class_token else None
        self._make_positions(positions, has_class_token and class_has_position)
        self.dropout, self._drops = nn.Dropout(dropout), dropout > 0 or attention_dropout > 0
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                mlp_ratio,
                dropout,
                attention_dropout,
                rate,
                norm,
                qkv_bias=qkv_bias,
                eps=eps,
                attention_scale=attention_scale,
            )
            for rate in drop_path_rates(drop_path, layers, drop_path_schedule)
        )
        normalizes = norm == "pre" if output_norm is None else output_norm
        self.norm = nn.LayerNorm(width, eps) if normalizes else nn.Identity()
        self.head = nn.Linear(width, classes) if classes else nn.Identity()
        self._initialise(init)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, channels, height, width] → logits [B, classes]."""
        return self.head(self.embed(images))

    def embed(self, images: Tensor) -> Tensor:
        """Images [B, channels, height, width] → vectors [B, D]: as `pool` says.

        Of the class token alone if it is pooled: in the last block the others are looked at only,
        unless something is dropped there, whose draws are those of all tokens.
        """
        if self.pool == "class_token" and not (self.training and self._drops):
            return self._run(images, first_alone=True)[:, 0]
        return self.features(images).pooled

    def features(self, images: Tensor) -> Features:
        """Of images [B, channels, height, width]: the vector that `embed` gives, and all patches.

        Raises:
            ValueError: the patch does not divide the images.
        """
        tokens = self.tokens(images)
        return Features(self.pooled(tokens), self._patches(tokens), self.grid_of(images))

    def pooled(self, tokens: Tensor) -> Tensor:
        """Of tokens [B, N, D] the vectors [B, D]: the class token, or the mean of the patches."""
        return tokens[:, 0] if self.pool == "class_token" else self._patches(tokens).mean(1)

    def _patches(self, tokens: Tensor) -> Tensor:
        return tokens if self.class_token is None else tokens[:, 1:]

    def tokens(self, images: Tensor) -> Tensor:
        """Images [B, channels, height, width] → what leaves the last norm, [B, N, D]: the class
        token if there is one, then the patches, row after row.

        Raises:
            ValueError: the patch does not divide the images.
        """
        return self._run(images, first_alone=False)

    def _run(self, images: Tensor, *, first_alone: bool) -> Tensor:
        """As `tokens`: of all of them, or of the first alone, [B, 1, D]."""
        positions = self._positions_of(self.grid_of(images))
        tokens = self.patch_norm(self.patches(images).flatten(2).transpose(1, 2))
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1)
        tokens = self.dropout(tokens + positions)
        for number, block in enumerate(self.blocks):
            if number and self.adds_at_every_block:
                tokens = tokens + positions
            is_last = number == len(self.blocks) - 1
            tokens = block(tokens, first=1) if first_alone and is_last else block(tokens)
        return self.norm(tokens if not first_alone else tokens[:, :1])

    def grid_of(self, images: Tensor) -> tuple[int, int]:
        """Rows and columns of patches of images [B, channels, height, width].

        Raises:
            ValueError: the patch does not divide them.
        """
        height, width = images.shape[2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"images must have sides that patch_size ({self.patch_size}) divides, got "
                f"{height} × {width}"
            )
        return height // self.patch_size, width // self.patch_size

    def patch_positions(self, grid: tuple[int, int]) -> Tensor:
        """The positions of patches as they are now, for a grid, [1, P, D]; gradients flow back."""
        count = self.grid[0] * self.grid[1]
        return resized_positions(self.positions[:, -count:], self.grid, grid)

    def _positions_of(self, grid: tuple[int, int]) -> Tensor:
        """What is added to the tokens, [1, N, D]."""
        own = self.positions[:, : -self.grid[0] * self.grid[1]]  # of the class token, or none
        if self.class_token is not None and not own.shape[1]:
            own = own.new_zeros(1, 1, self.width)
        elif grid == self.grid:
            return self.positions
        return torch.cat([own, self.patch_positions(grid)], 1)

    def _make_positions(self, kind: Positions, counts_class: bool) -> None:
        """A parameter or a buffer, [1, (1 +) P, D]."""
        check_choice("positions", kind, ("learned", "sine_cosine"))
        if kind == "learned":
            count = self.grid[0] ** 2 + counts_class
            self.positions = nn.Parameter(torch.zeros(1, count, self.width))
            return
        table = sine_cosine_positions(self.grid[0], self.width)
        if counts_class:
            table = torch.cat([torch.zeros(1, self.width), table])
        self.register_buffer("positions", table[None], persistent=False)

    def _initialise(self, init: Init) -> None:
        check_choice("init", init, ("glorot", "timm"))
        glorot(self)
        bound = 1 / math.sqrt(self.patches.weight[0].numel())
        nn.init.uniform_(self.patches.weight, -bound, bound)
        if isinstance(self.head, nn.Linear):
            nn.init.zeros_(self.head.weight)
        for tensor in (self.class_token, self.positions):
            if isinstance(tensor, nn.Parameter):
                nn.init.trunc_normal_(tensor, std=0.02)
        if init == "timm":
            self._initialise_as_timm()

    def _initialise_as_timm(self) -> None:
        """What timm starts from other numbers."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
        if self.class_token is not None:
            nn.init.normal_(self.class_token, std=1e-6)


def drop_path_rates(rate: float, layers: int, schedule: Schedule) -> list[float]:
    """The rate of each block: all the same, or growing linearly from 0 to the rate."""
    check_choice("drop_path_schedule", schedule, ("linear", "constant"))
    if schedule == "constant":
        return [rate] * layers
    return [rate * index / max(layers - 1, 1) for index in range(layers)]


def _check_sizes(image_size: int, patch_size: int, width: int, heads: int) -> None:
    if image_size % patch_size:
        raise ValueError(f"patch_size must divide the image ({image_size}), got {patch_size}")
    check_heads(width, heads)


def _has_class_token(pool: Pool, asked: bool | None) -> bool:
    """Whether there is one: if asked for, or else if it is used."""
    check_choice("pool", pool, ("class_token", "mean"))
    if pool == "class_token" and asked is False:
        raise ValueError("has_class_token must be true with the pool 'class_token', got False")
    return pool == "class_token" if asked is None else asked
