"""Pictures decoded when asked for, several at once, in threads that the whole process shares."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


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
    except (OSError, ValueError, SyntaxError) as error:  # the last of a damaged PNG
        raise ValueError(f"{path} must be a picture that can be read ({error})") from None
    if found != size:
        raise ValueError(
            f"{path} must have the height and width that are annotated, {size}, got {found}"
        )
    return torch.from_numpy(pixels).permute(2, 0, 1)


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
