"""Values of single images: means, intervals and curves come from one evaluation."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from scipy.special import stdtrit  # a tenth of what scipy.stats costs to import
from torch import Tensor

from trainables.core.files import appearing

CONFIDENCE = 0.95


class Mean(NamedTuple):
    """The mean of `number` values, and the ends of its 95 % interval: NaN below two values."""

    mean: float
    low: float
    high: float
    number: int


class Records:
    """A table with a row for each image, filled batch by batch.

    Columns are metrics and what they are looked at by: `position` in the split, `objects` …; NaN
    means that a metric is not defined for an image, and is left out of its mean.
    """

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}
        self._length = 0

    def __len__(self) -> int:
        """How many images there are."""
        return self._length

    def add(self, columns: Mapping[str, Tensor]) -> None:
        """Appends the images of a batch: a value [B] for each column. Nothing leaves the device.

        Raises:
            ValueError: the columns are not those of the batches before, or differ in length.
        """
        if self._parts and set(columns) != set(self._parts):
            raise ValueError(
                f"each batch must have the columns {', '.join(self._parts)}, "
                f"got {', '.join(columns)}"
            )
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the columns of a batch must have one length, got {lengths}")
        for name, values in columns.items():
            self._parts.setdefault(name, []).append(values.detach())
        self._length += next(iter(lengths.values()))

    def column(self, name: str) -> Tensor:
        """The values [N] of a column, float64, on the CPU.

        Raises:
            LookupError: there is no such column.
        """
        if name not in self._parts:
            raise LookupError(f"no column {name!r}; there are {', '.join(self._parts)}")
        return torch.cat(self._parts[name]).to("cpu", torch.float64)

    def table(self) -> dict[str, Tensor]:
        """All columns."""
        return {name: self.column(name) for name in self._parts}

    def means(self) -> dict[str, float]:
        """The mean of each column."""
        return {name: mean(values).mean for name, values in self.table().items()}

    def summary(self, within: str | None = None) -> dict[str, Mean]:
        """Each column's mean with its interval.

        Frames of one clip are alike: with the column `within` that says which clip an image is of,
        the mean over a clip counts as one value.
        """
        table = self.table()
        if within is None:
            return {name: mean(values) for name, values in table.items()}
        groups = self.column(within)
        return {name: mean(_group_means(values, groups)) for name, values in table.items()}

    def by(self, name: str) -> dict[int, dict[str, Mean]]:
        """As `summary`, for the images of each value of a column of integers, rising."""
        table, keys = self.table(), self.column(name)
        return {
            int(key): {column: mean(values[keys == key]) for column, values in table.items()}
            for key in keys.unique().tolist()
        }

    def write(self, path: Path) -> None:
        """Writes the table as CSV, a line for each image; it appears whole or not at all."""
        table = self.table()
        with appearing(path) as partial, partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            writer.writerows(zip(*map(_written, table.values()), strict=True))


def mean(values: Tensor) -> Mean:
    """The mean of values [N] with its interval; NaN are left out.

    mean ± t √(s² / n) with s² the variance with n − 1 and t the 97.5 % point of Student's
    distribution with n − 1 degrees of freedom.
    """
    values = values[~values.isnan()].double()
    count = len(values)
    if count == 0:
        return Mean(torch.nan, torch.nan, torch.nan, 0)
    middle = float(values.mean())
    if count == 1:
        return Mean(middle, torch.nan, torch.nan, 1)
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * float(values.std()) / count**0.5
    return Mean(middle, middle - half, middle + half, count)


def deviation(values: Tensor) -> float:
    """The standard deviation of values [N], with n − 1, of all but NaN; NaN below two."""
    values = values[~values.isnan()].double()
    return float(values.std()) if len(values) > 1 else torch.nan


def _group_means(values: Tensor, groups: Tensor) -> Tensor:
    """The mean of the values of each group; NaN where none is defined."""
    inverse = groups.unique(return_inverse=True)[1]
    size = int(inverse.max()) + 1
    known = ~values.isnan()
    sums = torch.zeros(size, dtype=torch.float64).scatter_add(0, inverse, values.nan_to_num())
    return sums / torch.bincount(inverse[known], minlength=size)


def _written(values: Tensor) -> list[int | float]:
    """A column as it stands in the file: integers without a point."""
    numbers = values.tolist()
    if all(number == number and number.is_integer() for number in numbers):
        return [int(number) for number in numbers]
    return numbers
