"""Attention of queries, recorded while a network runs."""

# B images, H heads, Q queries, K keys.

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainables.core.experiment import Batch
from trainables.detr.networks import DETR
from trainables.layers.grid_positions import grid_padding
from trainables.layers.recording import Recording, recorded

_ROUNDING = 1e-2
"""By so much a row in half precision may miss a sum of 1."""


def cross_names(network: DETR) -> list[str]:
    """The attention of queries to the picture, a name for each decoder layer."""
    return [
        f"decoder.layers.{layer}.cross_attention" for layer in range(len(network.decoder.layers))
    ]


class Looked(NamedTuple):
    """What is recorded of a network while a block runs."""

    recording: Recording
    grids: list[tuple[int, int]]
    """Rows and columns of the map of the backbone, of each batch."""

    def maps(self) -> list[Tensor]:
        """What queries looked at in each decoder layer, [B, H, Q, K]; begins anew."""
        return [one[0] for one in self.recording.take().values()]


@contextmanager
def looked(network: DETR) -> Generator[Looked]:
    """Records what queries look at in each decoder layer, and on which grid."""
    grids: list[tuple[int, int]] = []

    def note(_module: Any, _inputs: Any, features: Tensor) -> None:
        grids.append((features.shape[2], features.shape[3]))

    hook = network.backbone.register_forward_hook(note)
    try:
        with recorded(network, cross_names(network)) as recording:
            yield Looked(recording, grids)
    finally:
        hook.remove()


class Grid(NamedTuple):
    """The cells of a batch of pictures."""

    rows: int
    columns: int
    stride: int
    padding: Tensor
    """Bool [B, K], True where there is no picture."""


def grid_of(network: DETR, batch: Batch, grid: tuple[int, int]) -> Grid:
    """The cells that queries look at, of so many rows and columns."""
    height, width = batch["images"].shape[2:]
    padding = grid_padding(batch["sizes"], (height, width), grid)
    return Grid(*grid, network.backbone.stride, padding.flatten(1))


def on_simplex(maps: Tensor) -> Tensor:
    """Maps [B, H, Q, K] in single precision at least; rows that are no distribution become NaN.

    Attention that mixes by its scores themselves has such: nothing of it is measured.
    """
    exact = maps if maps.dtype == torch.float64 else maps.float()
    total = exact.sum(-1, keepdim=True)
    sums_to_one = ((total - 1).abs() < _ROUNDING) | (total == 0)  # 0 where all is padding
    return exact.masked_fill(~sums_to_one | (exact < 0).any(-1, keepdim=True), torch.nan)
