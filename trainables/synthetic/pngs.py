"""Arrays as PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png(image: NDArray[np.uint8]) -> bytes:
    """A picture [H, W] or [H, W, 3]."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=4)
    return stream.getvalue()
