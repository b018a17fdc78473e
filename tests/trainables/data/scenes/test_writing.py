"""A store is written whole or goes on from its last whole shard; one process writes at a time."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data.files import alone, need_space
from trainables.data.scenes.formats import Piece
from trainables.data.scenes.store import MANIFEST, open_store
from trainables.data.scenes.writing import StoreWriter

SIDE = 4
SHARD = 10 * SIDE * SIDE * 3  # ten scenes


def pieces(count: int, size: int = 7, start: int = 0, *, labels: bool = True) -> list[Piece]:
    """Scenes start … count − 1 in pieces, each a function of its number."""
    found: list[Piece] = []
    for first in range(start, count, size):
        numbers = np.arange(first, min(count, first + size))
        images = np.broadcast_to(numbers[:, None, None, None], (len(numbers), SIDE, SIDE, 3))
        fields = {
            "counts": numbers.astype(np.uint8) % 4,
            "x": np.stack([numbers, -numbers], 1).astype(np.float32),
            "visibility": np.stack([numbers > -1, numbers % 2 == 0], 1),
        }
        known = images[..., 0].astype(np.uint8) % 3 if labels else None
        found.append(Piece(images.astype(np.uint8), known, fields))
    return found


def divided(count: int) -> dict[str, tuple[int, int]]:
    return {"train": (0, count - 5), "val": (count - 5, count - 2), "test": (count - 2, count)}


def facts() -> dict[str, Any]:
    return {"num_background": 1}


def written(folder: Path, count: int = 34, **options: Any) -> Path:
    writer = StoreWriter(folder, {"name": "toys"}, shard_bytes=SHARD)
    for piece in pieces(count, start=writer.done, **options):
        writer.add(piece)
    return writer.finish(divided, facts)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_added_is_read(tmp_path: Path) -> None:
    store = open_store(written(tmp_path / "toys"))
    train, test = store.splits["train"], store.splits["test"]
    positions = np.array([28, 3, 3, 10, 0])
    assert train.images(positions)[:, 1, 2, 0].tolist() == positions.tolist()
    assert train.labels(positions)[:, 0, 0].tolist() == (positions % 3).tolist()
    assert train.fields["x"][:, 0].tolist() == list(range(29))
    assert test.images(np.array([0, 1]))[:, 0, 0, 0].tolist() == [32, 33]
    assert (train.counts == np.arange(29) % 4).all()


def test_shards_are_as_large_as_was_told(tmp_path: Path) -> None:
    store = open_store(written(tmp_path / "toys"))
    assert store.manifest["shards"] == [10, 10, 10, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toys"]


def test_ranges_are_those_of_the_objects_that_are_there(tmp_path: Path) -> None:
    assert open_store(written(tmp_path / "toys")).manifest["ranges"] == {"x": [-32.0, 0.0]}


def test_without_masks_there_are_no_labels(tmp_path: Path) -> None:
    scenes = open_store(written(tmp_path / "toys", labels=False)).splits["train"]
    assert not scenes.has_labels and scenes.images(np.array([2])).max() == 2
    with pytest.raises(ValueError, match="labels must be of a set with masks"):
        scenes.labels(np.array([2]))


def test_the_fingerprint_depends_on_pixels_and_on_splits(tmp_path: Path) -> None:
    first = open_store(written(tmp_path / "a")).fingerprint
    assert open_store(written(tmp_path / "b")).fingerprint == first and len(first) == 16
    assert open_store(written(tmp_path / "c", 33)).fingerprint != first
    writer = StoreWriter(tmp_path / "d", {"name": "toys"}, shard_bytes=SHARD)
    for piece in pieces(34):
        writer.add(piece)
    all_in_train = {"train": (0, 34), "val": (0, 0), "test": (0, 0)}
    assert open_store(writer.finish(lambda count: all_in_train, facts)).fingerprint != first


def _killed(folder: Path, after: int) -> None:
    writer = StoreWriter(folder, {"name": "toys"}, shard_bytes=SHARD)
    for number, piece in enumerate(pieces(34)):
        if number == after:
            os.kill(os.getpid(), signal.SIGKILL)
        writer.add(piece)


@pytest.mark.parametrize(("after", "done"), [(0, 0), (1, 0), (2, 10), (4, 20)])
def test_after_a_kill_it_goes_on_and_is_the_same(tmp_path: Path, after: int, done: int) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=_killed, args=(tmp_path / "toys", after)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and not (tmp_path / "toys").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".toys*/*0000*.npy")}
    assert StoreWriter(tmp_path / "toys", {"name": "toys"}, shard_bytes=SHARD).done == done
    written(tmp_path / "toys")
    assert files(tmp_path / "toys") == files(written(tmp_path / "whole"))
    after_it = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "toys").iterdir()}
    assert all(after_it[path.name] == time for path, time in before.items())


def test_what_is_left_of_a_kill_after_the_manifest_is_put_in_place(tmp_path: Path) -> None:
    whole = files(written(tmp_path / "toys"))
    (tmp_path / "toys").rename(tmp_path / ".toys.unfinished")
    writer = StoreWriter(tmp_path / "toys", {"name": "toys"}, shard_bytes=SHARD)
    assert writer.is_complete
    assert files(writer.finish(divided, facts)) == whole


def test_what_was_begun_with_other_settings_is_thrown_away(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "toys", {"name": "other"}, shard_bytes=SHARD)
    for piece in pieces(30):
        writer.add(piece)
    writer.close()
    assert StoreWriter(tmp_path / "toys", {"name": "other"}, shard_bytes=SHARD).done == 30
    assert StoreWriter(tmp_path / "toys", {"name": "toys"}, shard_bytes=SHARD).done == 0


def test_damaged_progress_is_thrown_away(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "toys", {"name": "toys"}, shard_bytes=SHARD)
    for piece in pieces(30):
        writer.add(piece)
    (tmp_path / ".toys.unfinished/progress.json").write_text("{")
    assert StoreWriter(tmp_path / "toys", {"name": "toys"}, shard_bytes=SHARD).done == 0
    assert files(written(tmp_path / "toys")) == files(written(tmp_path / "whole"))


def test_a_store_without_scenes_is_refused(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "toys", {})
    with pytest.raises(ValueError, match="toys must hold scenes, and its files hold none"):
        writer.finish(divided, facts)
    assert not (tmp_path / "toys" / MANIFEST).exists()


def test_a_second_process_says_that_it_waits(tmp_path: Path) -> None:
    said: list[str] = []
    with alone(tmp_path / "toys", said.append), (tmp_path / ".toys.lock").open("w") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / ".toys.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def release(text: str) -> None:
            said.append(text)
            fcntl.flock(other, fcntl.LOCK_UN)

        with alone(tmp_path / "toys", release):
            assert said == [f"another process prepares {tmp_path / 'toys'}; waiting for it"]


def test_a_disk_without_room_is_refused(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    need_space(tmp_path, free // 2)
    with pytest.raises(ValueError, match="must be on a disk with .* GB free, got .* GB"):
        need_space(tmp_path, free)
