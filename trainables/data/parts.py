"""What a reader gives: a part of a set, such as all training images, in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """Images [N, C, H, W], 0…255, and labels [N], piece after piece; `shape` is (C, H, W)."""

    name: str
    shape: tuple[int, int, int]
    pieces: Iterable[tuple[Bytes, NDArray[Any]]]
