"""Reports of an objective as one number."""

from __future__ import annotations

import re
from collections.abc import Sequence

from raysearch.errors import BadSetting
from raysearch.results.intervals import mean


def reduce_objective(history: Sequence[float], reduce: str, direction: str) -> float:
    """One number of the reported values of an objective: `last`, `best` so far, or `mean(k)`.

    Raises:
        ValueError: an empty history or another reduction.
    """
    if not history:
        raise BadSetting("an objective that was never reported has no value")
    if reduce == "last":
        return history[-1]
    if reduce == "best":
        return max(history) if direction == "maximize" else min(history)
    match = re.fullmatch(r"mean\((\d+)\)", reduce)
    if match is None:
        raise BadSetting(f"reduce must be 'last', 'best' or 'mean(k)', got {reduce!r}")
    return mean(history[-int(match[1]) :])
