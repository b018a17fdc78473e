"""Sets whose scenes are the records of a file: their pieces, splits and checksums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from trainables.data.scenes.examples import Values
from trainables.data.scenes.formats import SCHEMAS, Piece, scenes
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.sources import Advance, gathered, in_a_row, shares
from trainables.data.scenes.store import SPLITS
from trainables.data.scenes.wire import RecordFile, batches, named


class RecordScenes:
    """Scenes of one file with a schema; `told` are sizes of splits, or empty.

    In the order of the file come train, val and test: 70, 15 and 15 % unless told otherwise. A set
    that is for the test alone has all its scenes in val and in test both. When all pieces were
    taken, `count` is how many scenes those and the skipped ones are.
    """

    def __init__(
        self, name: str, path: Path, frame: Frame, told: Mapping[str, int], advance: Advance
    ) -> None:
        self._schema = SCHEMAS[name]
        self._path, self._frame, self._told, self._advance = path, frame, told, advance
        self._is_for_the_test = name.startswith("objects_room_") and not name.endswith("train")
        self._checksum = ""
        self.count = 0
        self.num_background = self._schema.num_background
        self.units = path.stat().st_size
        self.scenes = sum(told.values()) if told else None

    def pieces(self, skip: int) -> Iterator[Piece]:
        """As `Source`. Raises ValueError for a damaged or foreign file or record."""
        return gathered(self._scenes(skip))

    def _scenes(self, skip: int) -> Iterator[Piece]:
        with RecordFile(self._path, self._advance, hashes=True) as file:
            for number, _, found in batches(file, skip):
                piece = self._piece(number, found)
                self.count = number + len(piece)
                left = len(piece) if self.scenes is None else self.scenes - number
                if left > 0:
                    yield piece.part(0, left)
                if left <= len(piece) and self.scenes is not None:
                    break
            else:
                self.count = file.count
            if self.scenes is not None:
                self.count = min(self.count, self.scenes)
            self._checksum = file.checksum()

    def _piece(self, number: int, found: Mapping[str, Values]) -> Piece:
        try:
            return scenes(self._schema, found, self._frame)
        except ValueError:
            for place in range(len(next(iter(found.values()), ()))):
                single = {name: values[place : place + 1] for name, values in found.items()}
                with named(self._path, number + place):
                    scenes(self._schema, single, self._frame)
            raise

    def splits(self, count: int) -> Mapping[str, tuple[int, int]]:
        """As `Source`. Raises ValueError if the file has fewer scenes than were told."""
        if self._is_for_the_test and not self._told:
            return {"train": (0, 0), "val": (0, count), "test": (0, count)}
        sizes = self._told or shares(count)
        if sum(sizes.values()) > count:
            raise ValueError(
                f"train, val and test must be at most the {count} scenes of {self._path}, got "
                f"{', '.join(map(str, sizes.values()))}"
            )
        return in_a_row(sizes)

    def checksums(self) -> Mapping[str, str]:
        """As `Source`."""
        return {self._path.name: self._checksum}


class DividedRecords:
    """Scenes of three files with one schema: train, val and test in this order.

    `told` are sizes of splits, the first scenes of each file, or empty: all of them.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        frame: Frame,
        told: Mapping[str, int],
        advance: Advance,
    ) -> None:
        self._told = told
        self._parts = {
            split: RecordScenes(name, path, frame, {split: told[split]} if told else {}, advance)
            for split, path in zip(SPLITS, paths, strict=True)
        }
        self.num_background = SCHEMAS[name].num_background
        self.units = sum(part.units for part in self._parts.values())
        self.scenes = sum(told.values()) if told else None

    def pieces(self, skip: int) -> Iterator[Piece]:
        """As `Source`. Raises ValueError for a damaged or foreign file or record."""
        done = 0
        for part in self._parts.values():
            yield from part.pieces(max(0, skip - done))
            done += part.count

    def splits(self, count: int) -> Mapping[str, tuple[int, int]]:
        """As `Source`. Raises ValueError if a file has fewer scenes than were told."""
        for split, size in self._told.items():
            if size > self._parts[split].count:
                raise ValueError(
                    f"{split} must be at most the {self._parts[split].count} scenes of its file, "
                    f"got {size}"
                )
        return in_a_row({split: part.count for split, part in self._parts.items()})

    def checksums(self) -> Mapping[str, str]:
        """As `Source`."""
        return {
            name: value for part in self._parts.values() for name, value in part.checksums().items()
        }
