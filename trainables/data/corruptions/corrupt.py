"""Corrupts images as those of CIFAR-10-C and ImageNet-C were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from torch import Tensor

from trainables.data.corruptions import blurs, digital, noise, weather
from trainables.data.corruptions.noise import Draws
from trainables.data.corruptions.severities import NAMES, SEVERITIES, TABLES, Table

_FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    name: getattr(module, name)
    for module in (noise, blurs, weather, digital)
    for name in NAMES
    if hasattr(module, name)
}


def corrupt(
    images: Tensor, name: str, severity: int, draws: Draws, *, table: Table = "cifar"
) -> Tensor:
    """Images with a corruption of Hendrycks and Dietterich 2019, not rounded to bytes.

    The constants are those of the published code for pictures of 32 (`cifar`) or of 224 pixels a
    side (`imagenet`), and so are the formulas, but for frost and spatter, which are like it only:
    their photographs and edges are replaced by noise.

    Args:
        images: [B, C, S, S] of one or three channels, float, 0…1, on the CPU.
        name: one of `NAMES`.
        severity: 1 (weak) … 5 (strong).
        draws: called as draws(what for, count), gives uniform numbers [B, count] in [0, 1).
        table: whose constants.

    Returns:
        [B, C, S, S], of the same type, 0…1.

    Raises:
        LookupError: there is no such corruption or table. ValueError: there is no such severity,
            or the images are not squares of one or three channels.
    """
    if name not in NAMES:
        raise LookupError(f"corruption must be one of {', '.join(NAMES)}, got {name!r}")
    if table not in TABLES:
        raise LookupError(f"table must be one of {', '.join(get_args(Table))}, got {table!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1…5, got {severity!r}")
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.shape[2] != images.shape[3]:
        raise ValueError(
            f"images must be squares of one or three channels [B, C, S, S], got "
            f"{list(images.shape)}"
        )
    return _FUNCTIONS[name](images, draws, *TABLES[table][name][severity - 1])
