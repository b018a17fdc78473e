"""Position embeddings that are added to the channels of a map or put beside them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-5


def ramps(height: int, width: int) -> Tensor:
    """Four linear ramps over a map, [height, width, 4]: row, column, 1 − row, 1 − column.

    Rows and columns go from 0 to 1, both ends included (Locatello et al. 2020, section E.2).
    """
    rows = torch.linspace(0, 1, height)[:, None].expand(height, width)
    columns = torch.linspace(0, 1, width)[None].expand(height, width)
    return torch.stack([rows, columns, 1 - rows, 1 - columns], dim=-1)


def resized_positions(table: Tensor, grid: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """A table of positions of a grid, row after row, for another: [1, P, D] → [1, P′, D].

    Bicubic, without averaging where the grid shrinks. The same tensor if it is the same grid. In
    single precision at least, and returned in the precision of the table.

    Raises:
        ValueError: the table is of another grid.
    """
    if table.shape[1] != grid[0] * grid[1]:
        raise ValueError(
            f"table must have a position for each of {grid[0]} × {grid[1]} patches, got "
            f"{table.shape[1]}"
        )
    if tuple(grid) == tuple(to):
        return table
    exact = table if table.dtype == torch.float64 else table.float()
    folded = exact.unflatten(1, tuple(grid)).permute(0, 3, 1, 2)
    resized = functional.interpolate(folded, tuple(to), mode="bicubic", align_corners=False)
    return resized.flatten(2).transpose(1, 2).to(table.dtype)


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


class SoftPositions(nn.Module):
    """A position embedding for maps [B, C, H, W], with E channels, fixed or learned.

    Args:
        width: C, channels of the map.
        size: H and W.
        combines: `add`: a linear layer takes E to C channels, which are added. `concatenate`: the
            E channels follow those of the map.
        kind: `ramps`: those of `ramps`, E = 4. `learned`: a learned map of `learned_width`
            channels, Glorot-uniform at first, within ±√(3 / (W · E)) if H = W.
        learned_width: E of a learned map; C if None.
        normalizes: whether map (each image over C, H and W) and embedding (over H, W and E) are
            brought to mean 0 and variance 1 before.
        weight: multiplies the embedding, after that; 1 if None.

    Raises:
        LookupError: `combines` or `kind` is not known.
    """

    embedding: Tensor

    def __init__(
        self,
        width: int,
        *,
        size: tuple[int, int],
        combines: Literal["add", "concatenate"] = "add",
        kind: Literal["ramps", "learned"] = "ramps",
        learned_width: int | None = None,
        normalizes: bool = False,
        weight: float | None = None,
    ) -> None:
        super().__init__()
        if combines not in ("add", "concatenate"):
            raise LookupError(f"combines must be one of add, concatenate, got {combines!r}")
        if kind not in ("ramps", "learned"):
            raise LookupError(f"kind must be one of ramps, learned, got {kind!r}")
        self.size, self.normalizes = tuple(size), normalizes
        self.weight = 1.0 if weight is None else weight
        if kind == "ramps":
            self.register_buffer("embedding", ramps(*size), persistent=False)
        else:
            self.embedding = nn.Parameter(torch.empty(*size, learned_width or width))
            nn.init.xavier_uniform_(self.embedding)
        channels = self.embedding.shape[-1]
        self.linear = nn.Linear(channels, width) if combines == "add" else None
        if self.linear is not None:
            nn.init.xavier_uniform_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
        self.out_channels = width if combines == "add" else width + channels

    def field(self) -> Tensor:
        """What is added, [1, C, H, W], or put beside, [1, E, H, W]; in channels-last memory."""
        embedding = self.embedding
        if self.normalizes:
            embedding = functional.layer_norm(embedding, embedding.shape, eps=EPS)
        if self.weight != 1:
            embedding = self.weight * embedding
        if self.linear is not None:
            embedding = self.linear(embedding)
        return embedding.permute(2, 0, 1)[None]

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, H, W] or [B, C + E, H, W], in the memory format it came in.

        Raises:
            ValueError: the map has another size.
        """
        if tuple(features.shape[2:]) != self.size:
            raise ValueError(
                f"features must be a map of size {self.size}, got {tuple(features.shape[2:])}"
            )
        if self.normalizes:
            features = _standardized(features)
        if self.linear is not None:
            return features + self.field()
        field = self.field().to(features.dtype).expand(features.shape[0], -1, -1, -1)
        if features.is_contiguous(memory_format=torch.channels_last):
            field = field.contiguous(memory_format=torch.channels_last)
        return torch.cat([features, field], dim=1)


def _standardized(features: Tensor) -> Tensor:
    """Each image with mean 0 and variance 1; statistics in single precision at least."""
    exact = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
    variance, mean = torch.var_mean(exact, dim=(1, 2, 3), correction=0, keepdim=True)
    return ((exact - mean) * torch.rsqrt(variance + EPS)).to(features.dtype)
