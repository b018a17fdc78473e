"""Makes a store of the published files of a set, or of made ones in their format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainables.data.files import alone, need_space
from trainables.data.scenes.class_masks import ClassMaskScenes
from trainables.data.scenes.clevr import DescribedScenes
from trainables.data.scenes.clips import ClipScenes
from trainables.data.scenes.facts import ALL_ROWS, SceneFacts, missing_files, store_folder
from trainables.data.scenes.formats import Piece
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.nuclei import NucleiTiles
from trainables.data.scenes.records import DividedRecords, RecordScenes
from trainables.data.scenes.sources import Advance, Source
from trainables.data.scenes.store import MANIFEST, SPLITS, open_store
from trainables.data.scenes.writing import SHARD, StoreWriter

Progress = Callable[[int, int], None]


def prepare(
    data_set: SceneFacts,
    root: Path,
    *,
    made: bool = False,
    image_size: int | None = None,
    crop: str | None = None,
    interpolation: str | None = None,
    sizes: Mapping[str, int] | None = None,
    shard_bytes: int = SHARD,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Makes the store of a set, and returns its folder; goes on if it was begun before.

    `sizes` of train, val and test in scenes (for MOVi in clips), all three or none; None is as
    `SceneFacts.splits`. What is not told of the frame is what is customary for the set.
    `progress(done, total)` counts bytes of the files, or pictures.

    Raises:
        LookupError: its files are not there.
        ValueError: an option, a file or the room on the disk is wrong; a store with other splits
            or of other files is there.
    """
    data_set.need_square(crop, interpolation)
    chosen = dict(data_set.customary)
    given = {"image_size": image_size, "crop": crop, "interpolation": interpolation}
    chosen |= {name: value for name, value in given.items() if value is not None}
    folder = store_folder(root, data_set.name, made=made, **chosen)
    size, by = chosen["image_size"], chosen["crop"]
    there = data_set.place(root, made=made, image_size=size, crop=by)
    files = _files(data_set, root, there, made, f" --crop {by}" if by in ALL_ROWS else "")
    told = _told(sizes)
    settings = {
        "name": data_set.name,
        "made": made,
        **chosen,
        "sizes": told,
        "files": {path.name: path.stat().st_size for path in files if path.is_file()},
    }
    with alone(folder, say):
        if (folder / MANIFEST).exists():
            _need_same(folder, settings)
            return folder
        counter = _Counter(progress)
        source = _source(data_set, files, Frame(**chosen), told, counter)
        counter.total = source.units
        times = {path.name: path.stat().st_mtime_ns for path in files}
        writer = StoreWriter(folder, {**settings, "times": times}, shard_bytes=shard_bytes)
        try:
            expected = source.scenes or (0 if made else sum(data_set.splits.values()))
            _written(writer, source, settings, expected)
        finally:
            writer.close()
        _need_same(folder, settings)  # what lay finished beside it may be of other files
        open_store(folder)  # sees which objects are left, so that no run has to
        return folder


class _Counter:
    """Sums up what was advanced, and says it."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done, self.total = progress, 0, 0

    def __call__(self, amount: int) -> None:
        self._done += amount
        self._progress(self._done, self.total)


def _written(
    writer: StoreWriter, source: Source, settings: Mapping[str, Any], expected: int
) -> None:
    if not writer.is_complete:
        for number, piece in enumerate(source.pieces(writer.done)):
            if number == 0:
                need_space(writer.folder.parent, (expected - writer.done) * _size(piece))
            writer.add(piece)

    def facts() -> dict[str, Any]:
        return {
            "settings": settings,
            "sources": dict(source.checksums()),
            "num_background": source.num_background,
        }

    writer.finish(source.splits, facts)


def _size(piece: Piece) -> int:
    """Bytes of a scene."""
    labels = [] if piece.labels is None else [piece.labels]
    arrays = [piece.images, *labels, *piece.fields.values()]
    return sum(array.nbytes for array in arrays) // len(piece)


def _told(sizes: Mapping[str, int] | None) -> dict[str, int]:
    if not sizes:
        return {}
    if set(sizes) != set(SPLITS):
        raise ValueError(
            f"sizes of train, val and test must be told together, got {', '.join(sizes)} only"
        )
    if min(sizes.values()) < 0 or not sum(sizes.values()):
        raise ValueError(
            f"train, val and test must be at least 0 and not all of them 0, got "
            f"{', '.join(f'{name} {size}' for name, size in sizes.items())}"
        )
    return {name: sizes[name] for name in SPLITS}


def _files(data_set: SceneFacts, root: Path, folder: Path, made: bool, option: str) -> list[Path]:
    """What a set is read from. Raises LookupError if it is not there."""
    found = data_set.found(folder)
    if found:
        return found
    if not made or data_set.is_made == "never":
        raise LookupError(missing_files(data_set, root))
    raise LookupError(
        f"no made {data_set.name} is at {folder}; run `raysearch data make {data_set.name}{option}`"
    )


def _source(
    data_set: SceneFacts,
    files: list[Path],
    frame: Frame,
    told: Mapping[str, int],
    advance: Advance,
) -> Source:
    if data_set.kind == "nuclei":
        return NucleiTiles(files, frame.image_size, told, advance)
    if data_set.kind == "class_masks":
        return ClassMaskScenes(files, frame, told, advance, classes=len(data_set.classes))
    if data_set.kind == "clips":
        return ClipScenes(data_set.name, files, frame, told, advance)
    if data_set.kind == "clevr":
        return DescribedScenes(files, frame, told, advance)
    if len(files) > 1:
        return DividedRecords(data_set.name, files, frame, told, advance)
    return RecordScenes(data_set.name, files[0], frame, told, advance)


def _need_same(folder: Path, settings: Mapping[str, Any]) -> None:
    there = json.loads((folder / MANIFEST).read_text())["settings"]
    for name, value in settings.items():
        if there.get(name) != value:
            raise ValueError(
                f"{folder} must be of the same {name}, {value}, and is of {there.get(name)}; "
                "delete it to prepare it anew"
            )
