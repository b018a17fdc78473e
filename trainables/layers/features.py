"""What a backbone makes of images: one vector for the whole, and one for each patch."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Features(NamedTuple):
    """Of N images: one vector each [N, D], those of their P patches [N, P, D], row after row, and
    the rows and columns of patches, whose product is P."""

    pooled: Tensor
    patches: Tensor
    grid: tuple[int, int]
