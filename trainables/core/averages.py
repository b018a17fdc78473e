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
        self._parts = parts
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Takes the terms of one part: the same names each time."""
        for name, term in terms.items():
            value = term.detach() / self._parts
            if self._parts == 1:
                self._sums[name] = value
                continue
            value, counts = _numbers(value)
            is_first = name not in self._sums
            self._sums[name] = value if is_first else self._sums[name] + value
            self._counts[name] = counts if is_first else self._counts[name] + counts

    def take(self) -> dict[str, Tensor]:
        """The means; where all parts have a number the factor is exactly 1."""
        if self._parts == 1:
            return self._sums
        return {
            name: total * (self._parts / self._counts[name].to(total.dtype))
            for name, total in self._sums.items()
        }


class Averages:
    """Means of training metrics since the last report; they stay on their device until then.

    It goes on with what an earlier run has `left`.
    """

    def __init__(self, begun: Unreported | None = None, device: torch.device | None = None) -> None:
        sums, self._count, missing = begun or Unreported({}, 0)
        self._sums = {name: total.to(device) for name, total in sums.items()}
        self._numbers = {
            name: torch.tensor(self._count - missing.get(name, 0), device=total.device)
            for name, total in self._sums.items()
        }

    def left(self, position: Position) -> Position:
        """The position with what has not been reported."""
        missing = {name: self._count - int(count) for name, count in self._numbers.items()}
        missing = {name: count for name, count in missing.items() if count}
        return replace(position, unreported=Unreported(dict(self._sums), self._count, missing))

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Takes the terms of one step: the same names each time."""
        for name, term in terms.items():
            value, is_number = _numbers(term)
            self._sums[name] = self._sums[name] + value if self._count else value
            self._numbers[name] = self._numbers[name] + is_number if self._count else is_number
        self._count += 1

    def take(self) -> dict[str, float]:
        """The means as `train/name`, NaN where no step has a number; begins anew."""
        means: dict[str, float] = {}
        for name, total in self._sums.items():
            count = int(self._numbers[name])
            means[f"train/{name}"] = float(total) / count if count else float("nan")
        self._sums, self._numbers, self._count = {}, {}, 0
        return means


def _numbers(term: Tensor) -> tuple[Tensor, Tensor]:
    """A term with 0 for NaN, and 1 where it is a number, otherwise 0 (int64); no host waits."""
    is_nan = term.isnan()
    return term.masked_fill(is_nan, 0.0), (~is_nan).long()
