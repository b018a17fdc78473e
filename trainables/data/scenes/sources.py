"""Sources of scenes, whatever their files: pieces in order, splits, checksums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from trainables.data.scenes.formats import Piece

Advance = Callable[[int], None]
_GATHERED = 64  # scenes that are handed on at once


class Source(Protocol):
    """Scenes in the order in which they are stored.

    `units` is the sum of all that its `advance` is told; `scenes` how many there will be, None if
    that shows at the end.
    """

    num_background: int

    @property
    def units(self) -> int:
        """Of progress."""
        ...

    @property
    def scenes(self) -> int | None:
        """How many scenes there will be, if that is known."""
        ...

    def pieces(self, skip: int) -> Iterator[Piece]:
        """All scenes after the first `skip`."""
        ...

    def splits(self, count: int) -> Mapping[str, tuple[int, int]]:
        """First position and end of each split, of so many scenes."""
        ...

    def checksums(self) -> Mapping[str, str]:
        """SHA-256 by name of each file that was read; asked for when all pieces were taken."""
        ...


def shares(count: int) -> dict[str, int]:
    """70 % for training, 15 % for validation and test each, rounded."""
    held_out = round(0.15 * count)
    return {"train": count - 2 * held_out, "val": held_out, "test": held_out}


def in_a_row(sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """First position and end of parts with these sizes, one behind the other."""
    found: dict[str, tuple[int, int]] = {}
    start = 0
    for name, size in sizes.items():
        found[name] = start, start + size
        start += size
    return found


def gathered(pieces: Iterator[Piece], count: int = _GATHERED) -> Iterator[Piece]:
    """The same scenes in pieces of at least so many."""
    waiting: list[Piece] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(map(len, waiting)) >= count:
            yield joined(waiting)
            waiting = []
    if waiting:
        yield joined(waiting)


def joined(pieces: Sequence[Piece]) -> Piece:
    """One piece of several. Raises ValueError if their pictures have several sizes."""
    shapes = {piece.images.shape[1:] for piece in pieces}
    if len(shapes) > 1:
        raise ValueError(f"pictures must all be of one size, got {sorted(shapes)}")
    labels: list[Any] = [piece.labels for piece in pieces if piece.labels is not None]
    names = pieces[0].fields
    return Piece(
        np.concatenate([piece.images for piece in pieces]),
        np.concatenate(labels) if labels else None,
        {name: np.concatenate([piece.fields[name] for piece in pieces]) for name in names},
    )
