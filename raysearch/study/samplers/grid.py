"""The exact grid: all points of a finite space, each once, conditional or not."""

from __future__ import annotations

from collections.abc import Iterator

from raysearch.study.samplers.suggestions import Known, Sampler, Suggestion, cell, with_seed
from raysearch.sweeps.space import Point, Space


class Grid(Sampler):
    """All points of a finite space in order, each once a seed: first all with the first seed.

    Its place is what was asked, no more.
    """

    def __init__(self, space: Space, repeats: int = 1) -> None:
        self._space, self._repeats = space, repeats
        self._walk: Iterator[Point] = space.points()
        self._cells: list[Point] = []
        self._count: int | None = None
        self._next = 0
        self._asked = 0

    def suggest(self, known: Known) -> Suggestion | None:
        """The first cell that was not asked for."""
        if len(known.cells) < self._asked:
            self._next = 0  # prepared points were dropped
        self._asked = len(known.cells)
        while (point := self._at(self._next)) is not None:
            if cell(point.params, point.seed) not in known.cells:
                return Suggestion(point, "grid")
            self._next += 1
        return None

    def _at(self, index: int) -> Point | None:
        """The point at a place of the whole walk, seeds included; None behind its end."""
        while self._count is None and index >= len(self._cells):
            point = next(self._walk, None)
            if point is None:
                self._count = len(self._cells)
            else:
                self._cells.append(point)
        if self._count is None:
            return self._cells[index]
        if index >= self._count * self._repeats:
            return None
        point = self._cells[index % self._count]
        return with_seed(point, point.seed + index // self._count)
