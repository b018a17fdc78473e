"""Pictures decoded when asked for, several at once, in threads that the whole process shares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises: the third of a damaged PNG, the last of one that is too large."""


def decoded(path: Path, size: tuple[int, int]) -> Tensor:
    """A JPEG or PNG as uint8 [3, H, W]; a grey one has three equal channels.

    Raises:
        ValueError: it cannot be read, or its height and width are not those of `size`, by which
            its boxes were moved.
    """
    try:
        with Image.open(path) as opened:
            found = opened.height, opened.width
            pixels = np.array(opened.convert("RGB"))
    except _UNREADABLE as error:
        raise ValueError(f"{path} must be a picture that can be read ({error})") from None
    if found != size:
        raise ValueError(_wrong_size(path, size, found))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def wrong_sizes(
    folder: Path, names: Sequence[str], sizes: NDArray[np.int64], *, threads: int = 8
) -> Iterator[str]:
    """A sentence on each picture of a folder that has not its size [I, 2], height and width.

    Their beginnings are read, no pixels; those that are not there, or no pictures, are left to
    those who read them.
    """
    found: list[tuple[int, int] | None] = [None] * len(names)

    def look(number: int) -> None:
        try:
            with Image.open(folder / names[number]) as opened:
                found[number] = opened.height, opened.width
        except _UNREADABLE:
            found[number] = None

    for one in begun(look, len(names), threads):
        one.result()
    for name, size, own in zip(names, sizes.tolist(), found, strict=False):
        if own is not None and list(own) != size:
            yield _wrong_size(folder / name, tuple(size), own)


def _wrong_size(path: Path, said: tuple[int, ...], found: tuple[int, int]) -> str:
    return f"{path} must have the height and width that are annotated, {said}, got {found}"


def begun(work: Callable[[int], None], count: int, threads: int) -> list[Future[None]]:
    """Begins work number 0 … `count` − 1 in a pool of threads; the results are to be waited for.

    Raises:
        ValueError: there are to be fewer than one thread.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    pool = _pool(threads, os.getpid())
    return [pool.submit(work, number) for number in range(count)]


@lru_cache(maxsize=4)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Of this process: the threads of another one do not survive a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="pictures")
