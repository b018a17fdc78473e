"""Which images Swin takes as they are, and how wide networks of timm are; no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SIZED = re.compile(
    r"(?P<kind>vit|deit3?|beit(v2)?|flexivit|swin(v2)?(_s3|_cr)?)_(?P<size>tiny|small|base|large)_"
)
_PLAIN_WIDTHS = {"tiny": 192, "small": 384, "base": 768, "large": 1024}
_SWIN_WIDTHS = {"tiny": 768, "small": 768, "base": 1024, "large": 1536}
_FURTHEST = 4  # a size up to so many times as large, or as small, is proposed


def swin_geometry(
    image_size: int, patch_size: int, window: int, depths: Sequence[int]
) -> str | None:
    """Why Swin does not take images of a side as they are, as a sentence; None if it does.

    Each stage but the first merges 2 × 2 tokens (Liu et al. 2021, section 3.1). In every stage the
    window, or the whole grid if that is smaller, must divide the grid of tokens, which must be even
    before it is merged. Otherwise timm puts zeros behind, at which the tokens look as at others.

    Args:
        image_size: side of the images in pixels.
        patch_size: side of the patches in pixels.
        window: side of the windows in tokens.
        depths: number of blocks of each stage.
    """
    reason = _reason(image_size, patch_size, window, len(depths))
    if reason is None:
        return None
    near = _nearest(image_size, patch_size, window, len(depths))
    hint = f"; try {' or '.join(map(str, near))}" if near else ""
    return f"image_size must fit windows of {window} tokens, got {image_size}: {reason}{hint}"


def _reason(image_size: int, patch_size: int, window: int, stages: int) -> str | None:
    if image_size % patch_size:
        return f"patches of {patch_size} pixels do not divide it"
    grid = image_size // patch_size
    for stage in range(1, stages + 1):
        if grid % min(window, grid):
            return f"windows do not divide the {grid} × {grid} tokens of stage {stage}"
        if stage < stages and grid % 2:
            return f"the {grid} × {grid} tokens of stage {stage} cannot be merged by two"
        grid //= 2
    return None


def _nearest(image_size: int, patch_size: int, window: int, stages: int) -> list[int]:
    """The nearest smaller and larger sides that fit, if there are such."""
    lowest, highest = image_size // _FURTHEST, image_size * _FURTHEST
    smaller, larger = range(image_size - 1, lowest - 1, -1), range(image_size + 1, highest + 1)
    found = [
        next((side for side in sides if not _reason(side, patch_size, window, stages)), None)
        for sides in (smaller, larger)
    ]
    return [side for side in found if side]


def timm_width(name: str) -> int | None:
    """The width of what leaves a network of timm; None where its name does not say it.

    Names say it of vision transformers and of Swin in the sizes tiny to large, `plus` and those
    behind a ResNet apart.
    """
    found = _SIZED.match(name)
    if found is None or "plus" in name or "resnet" in name:
        return None
    kind, size = found["kind"], found["size"]
    if kind == "swin_s3":  # all sizes are as wide as the tiny one
        size = "tiny"
    return (_SWIN_WIDTHS if kind.startswith("swin") else _PLAIN_WIDTHS)[size]
