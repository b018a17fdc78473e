"""PNG pictures to arrays, several at once."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

_THREADS = min(8, len(os.sched_getaffinity(0)))


def colour(data: bytes) -> NDArray[np.uint8]:
    """A picture [H, W, 3]. Raises ValueError if it is none; a predicate without subject."""
    return np.asarray(_opened(data).convert("RGB"))


def numbers(data: bytes) -> NDArray[np.uint8]:
    """The values [H, W] of a picture with one channel. Raises as `colour`."""
    picture = _opened(data)
    if picture.mode != "L":
        raise ValueError(f"holds a picture that must have one channel, and is {picture.mode}")
    return np.asarray(picture)


def _opened(data: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"holds a picture that cannot be read ({error})") from None
    return picture


def stacked(
    read: Callable[[bytes], NDArray[np.uint8]], pictures: Sequence[bytes]
) -> NDArray[np.uint8]:
    """Pictures of one size [N, H, W, …], read in threads: unpacking them holds no lock.

    Raises:
        ValueError: they have several sizes, or one cannot be read; a predicate without subject.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        found = list(threads.map(read, pictures))
    sizes = {picture.shape for picture in found}
    if len(sizes) > 1:
        raise ValueError(f"holds pictures that must all be of one size, got {sorted(sizes)}")
    return np.stack(found)
