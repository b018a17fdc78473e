"""Accuracy of networks on corrupted images, beside that of what has learned nothing."""

# n images of each corruption and severity; C corruptions, S severities.

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from trainables.core import liveness
from trainables.core.experiment import Evaluated, Evaluation, References
from trainables.core.files import written
from trainables.core.randomness import uniform
from trainables.data.choosing import stratified
from trainables.data.cifar_c import CorruptedFiles, opened
from trainables.data.corruptions.corrupt import corrupt
from trainables.data.corruptions.noise import Draws
from trainables.data.corruptions.severities import MAIN, SEVERITIES
from trainables.data.digits import Digits
from trainables.data.images import Images, Split
from trainables.figures.corruption import accuracy_grid
from trainables.metrics.corruption import (
    mean_corruption_error,
    mean_error,
    relative_mean_corruption_error,
    robustness_accuracy,
)
from trainables.ssl.robustness import Corruption

NAME = "corruption"
"""Of the evaluation."""
CLEAN = "clean"
AT_ONCE = 512
"""So many images are looked at together."""

Answer = Callable[[Tensor], Tensor]
"""The classes [n] of standardised images [n, C, S, S], on the CPU."""


class Answers(Protocol):
    """Who says classes of images: the network as it is now, and what has learned nothing."""

    def network(self) -> Answer:
        """The network; what it needs of clean images is looked up once."""
        ...

    def pixels(self) -> Answer:
        """Neighbours of raw pixels among clean images."""
        ...

    def majority(self) -> int:
        """The class that training has most of."""
        ...


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Grid:
    """Accuracies [C, S] of corruptions by name, and that on the same images without any."""

    names: tuple[str, ...]
    accuracies: Tensor
    clean: float

    def values(self) -> dict[str, float]:
        """`accuracy`, the mean of all; of each corruption, of each severity; `clean`;
        `mean_error` of the 15 main corruptions, as far as they are there.
        """
        rows = zip(self.names, self.accuracies.mean(1).tolist(), strict=True)
        columns = enumerate(self.accuracies.mean(0).tolist(), 1)
        found = {"accuracy": robustness_accuracy(self.accuracies), CLEAN: self.clean}
        if main := self._main():
            found["mean_error"] = mean_error(self.accuracies[main])
        return found | dict(rows) | {f"severity_{number}": value for number, value in columns}

    def of(self, names: Sequence[str]) -> Grid:
        """Those of some corruptions. Raises ValueError if it has not all of them."""
        if missing := set(names) - set(self.names):
            raise ValueError(f"accuracies of {min(missing)} must be there, and are not")
        rows = [self.names.index(name) for name in names]
        return Grid(tuple(names), self.accuracies[rows], self.clean)

    def beside(self, reference: Grid) -> dict[str, float]:
        """`mce` and `relative_mce` of the main corruptions; of all if there are no main ones.

        The second is left out, and that is said in the log, where the reference's errors do not
        rise under each of them.

        Raises:
            ValueError: the reference has not all of them, or no errors.
        """
        rows = self._main() or list(range(len(self.names)))
        others = reference.of([self.names[row] for row in rows])
        errors, beside = 1 - self.accuracies[rows], 1 - others.accuracies
        found = {"mce": mean_corruption_error(errors, beside)}
        ends = 1 - self.clean, 1 - reference.clean
        try:
            relative = relative_mean_corruption_error(errors, ends[0], beside, ends[1])
        except ValueError as error:
            log.warning("corruption/relative_mce is left out: %s", error)
            return found
        return found | {"relative_mce": relative}

    def _main(self) -> list[int]:
        return [row for row, name in enumerate(self.names) if name in MAIN]

    def write(self, path: Path) -> None:
        """A CSV with a line for each corruption and severity; clean images have severity 0."""
        lines = ["corruption,severity,accuracy", f"{CLEAN},0,{self.clean!r}"]
        for name, row in zip(self.names, self.accuracies.tolist(), strict=True):
            lines += [f"{name},{severity},{value!r}" for severity, value in enumerate(row, 1)]
        with written(path) as file:
            file.write("\n".join([*lines, ""]).encode())


def read_grid(path: Path) -> Grid:
    """What `Grid.write` wrote.

    Raises:
        ValueError: it is not such a file; it is named.
    """
    try:
        with path.open(newline="") as file:
            rows = {
                (row["corruption"], int(row["severity"])): float(row["accuracy"])
                for row in csv.DictReader(file)
            }
        names = tuple(dict.fromkeys(name for name, _ in rows if name != CLEAN))
        lines = [[rows[name, severity] for severity in SEVERITIES] for name in names]
        return Grid(names, torch.tensor(lines, dtype=torch.float64), rows[CLEAN, 0])
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise ValueError(
            f"evaluation.corruption.reference must be a file of accuracies of all severities, got "
            f"{path} ({error!r})"
        ) from None


class Corrupting:
    """The evaluation of an experiment on corrupted images of its data."""

    def __init__(
        self, settings: Corruption, data: Digits | Images, answers: Answers, *, seed: int
    ) -> None:
        self._settings, self._data, self._answers, self._seed = settings, data, answers, seed
        self.split: str = "val" if settings.path is None else "test"
        self._images: Split = getattr(data, self.split)
        self._files = None if settings.path is None else self._opened(Path(settings.path))
        labels = self._images.labels
        number = min(settings.images, len(labels))
        self._positions = torch.from_numpy(stratified(labels.numpy(), number, seed))
        self._reference = None if settings.reference is None else self._read(settings.reference)

    def evaluations(self) -> list[Evaluation]:
        """The one, made at the last time only."""
        measure = partial(self.measure, True)
        return [Evaluation(NAME, self.split, self.measure, 0, self.references, measure)]

    def measure(self, last: bool) -> Evaluated:
        """All corruptions and severities, at the last time."""
        if not last:
            return Evaluated({})
        grid = self._grid(self._answers.network())
        title = f"{len(self._positions)} images each, accuracy {grid.accuracies.mean():.3f}"
        draw = partial(
            accuracy_grid,
            accuracies=grid.accuracies,
            names=grid.names,
            clean=grid.clean,
            title=f"{title}, on clean images {grid.clean:.3f}",
        )
        return Evaluated(self._values(grid), {"grid": draw}, files={"accuracies.csv": grid.write})

    def references(self) -> References:
        """`majority`: always the same class. `pixels`: neighbours of clean images."""
        most = self._answers.majority()
        share = float((self._images.labels[self._positions] == most).double().mean())
        shape = (len(self._settings.names), len(SEVERITIES))
        flat = Grid(self._settings.names, torch.full(shape, share, dtype=torch.float64), share)
        rows = {"majority": flat, "pixels": self._grid(self._answers.pixels())}
        return {name: self._values(grid) for name, grid in rows.items()}

    def _values(self, grid: Grid) -> dict[str, float]:
        return grid.values() | (grid.beside(self._reference) if self._reference else {})

    def _grid(self, answer: Answer) -> Grid:
        names = self._settings.names
        lines = [[self._share(answer, name, one) for one in SEVERITIES] for name in names]
        clean = self._share(answer, CLEAN, 0)
        return Grid(names, torch.tensor(lines, dtype=torch.float64), clean)

    def _share(self, answer: Answer, name: str, severity: int) -> float:
        """Of images whose class is answered."""
        right = 0
        for positions in self._positions.split(AT_ONCE):
            liveness.alive()
            pixels = self._pixels(name, severity, positions)
            images = (pixels - self._data.mean) / self._data.deviation
            right += int((answer(images) == self._images.labels[positions]).sum())
        return right / len(self._positions)

    def _pixels(self, name: str, severity: int, positions: Tensor) -> Tensor:
        """Corrupted images, 0…1; the same at each time and for each seed of the training."""
        if name == CLEAN:
            return self._images.pixels(positions)
        if self._files is not None:
            return self._files.take(name, severity, positions)
        pixels = self._images.pixels(positions)
        draws = drawn(self._seed, name, severity, positions)
        return corrupt(pixels, name, severity, draws, table=self._settings.table)

    def _read(self, path: str) -> Grid:
        """The accuracies of a reference; that errors can be put beside them is seen here, before
        anything is trained.
        """
        found = read_grid(Path(path))
        try:
            found.of(self._settings.names).beside(found)
        except ValueError as error:
            raise ValueError(f"evaluation.corruption.reference, {path}: {error}") from None
        return found

    def _opened(self, folder: Path) -> CorruptedFiles:
        """The folder, if it is of this test split."""
        files = opened(folder)
        if files.labels.tolist() != self._images.labels.tolist():
            raise ValueError(
                f"evaluation.corruption.path must hold corrupted images of the test split, in its "
                f"order: labels.npy of {folder} has other labels"
            )
        sample = self._images.pixels(torch.arange(1)).shape
        for name in self._settings.names:
            found = files.take(name, 1, torch.arange(1)).shape
            if found != sample:
                raise ValueError(
                    f"evaluation.corruption.path must hold images {list(sample[1:])}, got "
                    f"{list(found[1:])} of {name}"
                )
        return files


def drawn(seed: int, name: str, severity: int, examples: Tensor) -> Draws:
    """Uniform numbers as functions of seed, corruption, severity, and example [n]."""
    return lambda what, count: uniform(seed, f"corruption {name} {what}", severity, examples, count)


def evaluations(
    settings: Corruption, data: Digits | Images, answers: Answers, *, seed: int
) -> Sequence[Evaluation]:
    """The evaluation on corrupted images, if it is asked for."""
    if not settings.images:
        return []
    return Corrupting(settings, data, answers, seed=seed).evaluations()
