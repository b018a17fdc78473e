"""A vision transformer (Dosovitskiy et al. 2021) whose parts are all choices."""

# B images, N tokens, D width, H heads, P patch size.

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from trainables.layers.attention import SelfAttention

Pool = Literal["class_token", "mean"]
Positions = Literal["learned", "sine_cosine"]
Norm = Literal["pre", "post"]


class DropPath(nn.Module):
    """Drops whole residual branches per image with `rate`, scaling the others by 1/(1 − rate)
    (stochastic depth, Huang et al. 2016). Identity when evaluated."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """[B, …] → [B, …]; the mean over draws is the input."""
        if self.rate == 0 or not self.training:
            return branch
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
        kept = torch.empty(shape, device=branch.device, dtype=branch.dtype)
        return branch * kept.bernoulli_(1 - self.rate) / (1 - self.rate)


class Block(nn.Module):
    """Self-attention and a two-layer perceptron (GELU), each with a residual.

    Pre-norm: x + f(LN(x)); post-norm: LN(x + f(x)) (Xiong et al. 2020, figure 1).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        norm: Norm = "pre",
    ) -> None:
        super().__init__()
        self.norm = norm
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attention = SelfAttention(width, heads, attention_dropout, dropout)
        hidden = round(width * mlp_ratio)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N, D] → [B, N, D]."""
        if self.norm == "pre":
            tokens = tokens + self.drop_path(self.attention(self.norm1(tokens)))
            return tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        tokens = self.norm1(tokens + self.drop_path(self.attention(tokens)))
        return self.norm2(tokens + self.drop_path(self.mlp(tokens)))


class ViT(nn.Module):
    """Patches → tokens → blocks → one vector an image → logits of `classes` (0: the vector).

    Drop path grows linearly from 0 in the first block to its rate in the last.

    Raises:
        ValueError: the patch does not divide the image, or the heads do not divide the width.
    """

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
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"patch_size must divide the image ({image_size}), got {patch_size}")
        if width % heads:
            raise ValueError(f"heads must divide width ({width}), got {heads}")
        self.pool, grid = pool, image_size // patch_size
        self.patches = nn.Conv2d(channels, width, patch_size, patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if pool == "class_token" else None
        if positions == "learned":
            count = grid**2 + (pool == "class_token")
            self.positions = nn.Parameter(torch.zeros(1, count, width))
        else:
            table = sine_cosine_positions(grid, width)
            if pool == "class_token":
                table = torch.cat([torch.zeros(1, width), table])
            self.register_buffer("positions", table[None], persistent=False)
        self.dropout = nn.Dropout(dropout)
        rates = [drop_path * index / max(layers - 1, 1) for index in range(layers)]
        self.blocks = nn.ModuleList(
            Block(width, heads, mlp_ratio, dropout, attention_dropout, rate, norm) for rate in rates
        )
        self.norm = nn.LayerNorm(width, 1e-6) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, classes) if classes else nn.Identity()
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, channels, size, size] → logits [B, classes]."""
        return self.head(self.embed(images))

    def embed(self, images: Tensor) -> Tensor:
        """Images [B, channels, size, size] → vectors [B, D]: the class token, or the mean token."""
        tokens = self.tokens(images)
        return tokens[:, 0] if self.class_token is not None else tokens.mean(1)

    def tokens(self, images: Tensor) -> Tensor:
        """Images [B, channels, size, size] → tokens after the last norm [B, N (+ 1), D]."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1)
        tokens = self.dropout(tokens + self.positions)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def _initialise(self) -> None:
        """Glorot uniform for linear layers, as in the paper's code; normal of σ 0.02 for tokens and
        positions; biases 0. The head begins at 0: uniform predictions."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        bound = 1 / math.sqrt(self.patches.weight[0].numel())
        nn.init.uniform_(self.patches.weight, -bound, bound)
        if isinstance(self.head, nn.Linear):
            nn.init.zeros_(self.head.weight)
        for tensor in (self.class_token, self.positions):
            if isinstance(tensor, nn.Parameter):
                nn.init.trunc_normal_(tensor, std=0.02)


def sine_cosine_positions(grid: int, width: int) -> Tensor:
    """Fixed positions of a grid × grid image, [grid², D]: half of D for rows, half for columns.

    Each half is [sin(p·ω_k), cos(p·ω_k)], ω_k = 10000^(−4k/D), k = 0 … D/4 − 1 (MoCo v3, Chen et
    al. 2021, after Vaswani et al. 2017, section 3.5).

    Raises:
        ValueError: the width is no multiple of 4.
    """
    if width % 4:
        raise ValueError(f"width must be a multiple of 4 for sine_cosine positions, got {width}")
    frequencies = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * frequencies
    line = torch.cat([angles.sin(), angles.cos()], 1)
    rows = line[:, None].expand(grid, grid, -1)
    columns = line[None].expand(grid, grid, -1)
    return torch.cat([rows, columns], 2).reshape(grid * grid, width).float()
