"""The operations of strong augmentation: shears, turns, colours, tones, each of a strength.

They are those of AutoAugment (Cubuk et al. 2019, table 6) without the two that mix images, equal to
torchvision's on images of floating point. Two of them work on bytes, as they were published: images
are rounded to 255ths before `posterize` and `equalize`, and nowhere else.
"""

# B images, C channels.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

Resampling = Literal["nearest", "bilinear"]
Change = tuple[str, float]
"""An operation and its value, as `changed` takes it."""

SHAPES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
COLOURS = ("brightness", "color", "contrast", "sharpness")
TONES = ("posterize", "solarize", "auto_contrast", "equalize")
OPERATIONS = ("identity", *SHAPES, *COLOURS, *TONES, "invert")
SIGNED = (*SHAPES, *COLOURS)
"""Those that go in two directions."""
FARTHEST = 150 / 331
"""The longest translation, in sides of the image."""


def value(
    name: str,
    strength: float,
    size: tuple[int, int],
    *,
    farthest: float = FARTHEST,
    bits: int = 8,
) -> float:
    """What an operation of a strength in 0…1 is, as `changed` takes it.

    Shears are slopes up to 0.3, translations whole pixels up to `farthest` times the side, turns up
    to 30 degrees, colours factors up to 0.9 from 1, thresholds of solarising 1 … 0, and of `bits`
    of a value up to four are left out. The other operations have no strength: 0. Size is (H, W).

    Raises:
        LookupError: there is no such operation.
    """
    if name not in OPERATIONS:
        raise LookupError(f"operation must be one of {', '.join(OPERATIONS)}, got {name!r}")
    if name in ("shear_x", "shear_y"):
        return 0.3 * strength
    if name in ("translate_x", "translate_y"):
        return float(int(farthest * size[name == "translate_x"] * strength))
    if name == "rotate":
        return 30 * strength
    if name in COLOURS:
        return 0.9 * strength
    if name == "posterize":
        return float(round(bits - 4 * strength))
    return 1 - strength if name == "solarize" else 0.0


def signed(name: str, positive: float) -> tuple[Change, Change]:
    """An operation of this value and of its opposite, if it has one."""
    return (name, positive), (name, -positive if name in SIGNED else positive)


def changed(
    images: Tensor,
    numbers: Tensor,
    changes: Sequence[Change],
    *,
    fill: float = 0.5,
    resampling: Resampling = "nearest",
) -> Tensor:
    """Each image by the change of its number; below 0 it stays as it is.

    What comes in from outside is `fill`. Images of one channel have no `color`: it leaves them as
    they are.

    Args:
        images: [B, C, H, W], 0…1, C 1 or 3.
        numbers: of `changes`, int64 [B].
        changes: operations with their values (see `value`).
        fill: 0…1.
        resampling: of shears, translations and turns.

    Returns:
        [B, C, H, W], 0…1.
    """
    found = images.clone()
    for number in numbers.unique().tolist():
        if number >= 0:
            chosen = (numbers == number).nonzero()[:, 0]
            made = _changed(images[chosen], *changes[number], fill=fill, resampling=resampling)
            found.index_copy_(0, chosen, made)
    return found


def _changed(
    images: Tensor, name: str, amount: float, *, fill: float, resampling: Resampling
) -> Tensor:
    if name in SHAPES:
        return _moved(images, name, amount, fill, InterpolationMode(resampling))
    if name == "brightness":
        return functional.adjust_brightness(images, 1 + amount)
    if name == "color":
        return functional.adjust_saturation(images, 1 + amount)
    if name == "contrast":
        return functional.adjust_contrast(images, 1 + amount)
    if name == "sharpness":
        return functional.adjust_sharpness(images, 1 + amount)
    if name == "posterize":
        return _of_bytes(functional.posterize(_bytes(images), int(amount)), images)
    if name == "equalize":
        return _of_bytes(functional.equalize(_bytes(images)), images)
    if name == "solarize":
        return functional.solarize(images, amount)
    if name == "auto_contrast":
        return functional.autocontrast(images)
    return functional.invert(images) if name == "invert" else images


def _moved(
    images: Tensor, name: str, amount: float, fill: float, resampling: InterpolationMode
) -> Tensor:
    """Sheared from the corner at the top left, shifted, or turned counter-clockwise."""
    how: dict[str, Any] = {"interpolation": resampling, "fill": [fill]}
    if name == "rotate":
        return functional.rotate(images, amount, **how)
    along = [amount, 0.0] if name.endswith("_x") else [0.0, amount]
    if name.startswith("translate"):
        given: dict[str, Any] = {"translate": [int(one) for one in along], "shear": [0.0, 0.0]}
    else:
        lean = [math.degrees(math.atan(one)) for one in along]
        given = {"translate": [0, 0], "shear": lean, "center": [0.0, 0.0]}
    return functional.affine(images, angle=0.0, scale=1.0, **given, **how)


def _bytes(images: Tensor) -> Tensor:
    return (255 * images).round().clamp(0, 255).to(torch.uint8)


def _of_bytes(pixels: Tensor, images: Tensor) -> Tensor:
    return pixels.to(images.dtype) / 255
