"""What a loss landscape looks like, in numbers."""

from __future__ import annotations

import torch
from torch import Tensor

CEILING = 10.0
"""Where pictures of losses are cut off (Li et al. 2018)."""
FLOOR = 1e-2
"""The least loss that has a logarithm here: that of a network may be 1e-6 where it was trained, and
a picture would show nothing but this hole."""
FEW, MANY = 0.05, 0.95
"""Below and above these shares of cells under the ceiling a range is too wide or too narrow."""


def share_below(losses: Tensor, ceiling: float = CEILING) -> float:
    """The share of cells with a finite loss below a ceiling, 0…1."""
    return float((losses < ceiling).double().mean())


def not_finite(losses: Tensor) -> int:
    """How many cells are no number or infinite."""
    return int((~losses.isfinite()).sum())


def complaint(losses: Tensor, ceiling: float = CEILING) -> str | None:
    """The sentence on a range that shows little of a landscape; None if it shows enough."""
    share = share_below(losses, ceiling)
    if FEW <= share <= MANY:
        return None
    way = "narrower" if share < FEW else "wider"
    return (
        f"{share:.1%} of the points of the landscape have a loss below {ceiling:g}, where "
        f"{FEW:.0%} to {MANY:.0%} show its shape; take a {way} range"
    )


def heights(losses: Tensor, *, ceiling: float | None = CEILING, logs: bool = True) -> Tensor:
    """Losses as they are drawn: cut off at a ceiling (None: not), as log₁₀ of at least 0.01.

    In double precision. What is not finite is at the ceiling, or not a number where there is none.
    """
    found = losses.double()
    found = torch.where(found.isfinite(), found, torch.nan if ceiling is None else ceiling)
    if ceiling is not None:
        found = found.clamp(max=ceiling)
    return found.clamp(min=FLOOR).log10() if logs else found


def roughness(heights: Tensor) -> float:
    """Second differences over first ones, each as root mean square, of heights [A] or [A, B].

    Along each axis, over all neighbours that are numbers. 0 for a plane; small for what is curved
    over many points (a parabola y = x² from −1 to 1 at n points: about √3 · 2 / n); √3 for numbers
    that have nothing to do with their neighbours. 0 where all is flat.
    """
    first, second = [], []
    for axis in range(heights.ndim):
        slopes = heights.diff(dim=axis)
        first.append(slopes.flatten())
        second.append(slopes.diff(dim=axis).flatten())
    slope, bend = (_mean_square(torch.cat(each)) for each in (first, second))
    return (bend / slope) ** 0.5 if slope > 0 else 0.0


def _mean_square(values: Tensor) -> float:
    kept = values[values.isfinite()].double()
    return float(kept.square().mean()) if len(kept) else 0.0


def local_minima(losses: Tensor) -> int:
    """Inner points of losses [A] or [A, B] below 10 that are below all their neighbours, 2 or 8.

    One that is not a number is above all others.
    """
    known = torch.where(losses.isnan() | (losses >= CEILING), torch.inf, losses)
    inner = known[(slice(1, -1),) * known.ndim]
    lower = inner.isfinite()
    for shift in torch.cartesian_prod(*[torch.arange(3)] * known.ndim).view(-1, known.ndim):
        if (shift == 1).all():
            continue
        places = zip(shift.tolist(), known.shape, strict=True)
        lower &= inner < known[tuple(slice(by, size - 2 + by) for by, size in places)]
    return int(lower.sum())
