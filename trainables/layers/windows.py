"""Windows within which the layers of Swin look, by the names of their attention."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import nn

SWIN = (SwinTransformer, SwinTransformerV2)


class Windows(NamedTuple):
    """Of one layer, in rows and columns of places: the grid, its windows, how far it is rolled."""

    grid: tuple[int, int]
    size: tuple[int, int]
    shift: tuple[int, int] = (0, 0)


def windows_of(network: nn.Module, grid: tuple[int, int]) -> dict[str, Windows]:
    """The windows of each attention of the Swin in a network, by its name and in its order.

    As they were for the images that were seen last. Empty where there is no Swin.

    Args:
        network: Swin of timm (Liu et al. 2021), version 1 or 2, or what has one inside.
        grid: rows and columns of the last stage; each stage before has twice as many.
    """
    found: dict[str, Windows] = {}
    for path, swin in network.named_modules():
        if not isinstance(swin, SWIN):
            continue
        stages = cast("Any", swin).layers
        for number, stage in enumerate(stages):
            times = 2 ** (len(stages) - 1 - number)
            here = (grid[0] * times, grid[1] * times)
            for place, block in enumerate(stage.blocks):
                name = f"{path}.layers.{number}.blocks.{place}.attn".lstrip(".")
                found[name] = Windows(here, tuple(block.window_size), tuple(block.shift_size))
    return found
