"""Means of the terms of a loss: what is not a number is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from trainables.core.checkpoint import Position, Unreported


class PartMeans:
    """Means of terms over the equal parts of a batch; NaN where no part has a number."""

    def __init__(self, parts: int) -> None:
        self._parts, self._sums = parts, _Sums()

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Takes the terms of one part: the same names each time."""
        shares = {name: term.detach() / self._parts for name, term in terms.items()}
        if self._parts == 1:
            self._sums.totals = shares
        else:
            self._sums.add(shares)

    def take(self) -> dict[str, Tensor]:
        """The means; where all parts have a number the factor is exactly 1."""
        missing = self._sums.missing
        if self._parts == 1:
            return self._sums.totals
        return {
            name: total * (self._parts / (self._parts - missing[name]).to(total.dtype))
            for name, total in self._sums.totals.items()
        }


class Averages:
    """Means of training metrics since the last report; they stay on their device until then.

    It goes on with what an earlier run has `left`.
    """

    def __init__(self, begun: Unreported | None = None, device: torch.device | None = None) -> None:
        totals, self._count, missing = begun or Unreported({}, 0)
        self._sums = _Sums()
        for name, total in totals.items():
            self._sums.totals[name] = total.to(device)
            self._sums.missing[name] = torch.tensor(missing.get(name, 0), device=device)

    def left(self, position: Position) -> Position:
        """The position with what has not been reported."""
        counts = {name: int(count) for name, count in self._sums.missing.items()}
        missing = {name: count for name, count in counts.items() if count}
        left = Unreported(dict(self._sums.totals), self._count, missing)
        return replace(position, unreported=left)

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Takes the terms of one step: the same names each time."""
        self._sums.add(terms)
        self._count += 1

    def take(self) -> dict[str, float]:
        """The means as `train/name`, NaN where no step has a number; begins anew."""
        means: dict[str, float] = {}
        for name, total in self._sums.totals.items():
            count = self._count - int(self._sums.missing[name])
            means[f"train/{name}"] = float(total) / count if count else float("nan")
        self._sums, self._count = _Sums(), 0
        return means


class _Sums:
    """Sums of terms without what is not a number, and how often each was not; no host waits."""

    def __init__(self) -> None:
        self.totals: dict[str, Tensor] = {}
        self.missing: dict[str, Tensor] = {}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Adds a term of each name."""
        for name, term in terms.items():
            is_nan = term.isnan()
            number = term.masked_fill(is_nan, 0.0)
            is_first = name not in self.totals
            self.totals[name] = number if is_first else self.totals[name] + number
            self.missing[name] = is_nan.long() if is_first else self.missing[name] + is_nan
