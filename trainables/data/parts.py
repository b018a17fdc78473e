"""Parts of a set as a reader gives them, such as all training images, in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Counts = NDArray[np.uint16]


@dataclass(frozen=True)
class Part:
    """Images [N, C, H, W] and labels [N], piece after piece; `shape` is (C, H, W).

    Images are 0…255, or with 16 `bits` 0…65535.
    """

    name: str
    shape: tuple[int, int, int]
    pieces: Iterable[tuple[Bytes | Counts, NDArray[Any]]]
    bits: Literal[8, 16] = 8
