"""A set is prepared in its splits, once; broken off it goes on; wrong files leave nothing."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.data.scenes import written
from tests.trainables.data.scenes.test_writing import files
from trainables.data.scenes.catalog import SCENE_SETS, store_folder
from trainables.data.scenes.prepare import prepare
from trainables.data.scenes.sources import shares
from trainables.data.scenes.store import check, open_store

TETROMINOES = SCENE_SETS["tetrominoes"]


def prepared(root: Path, name: str = "tetrominoes", **options: Any) -> Any:
    chosen: dict[str, Any] = {"image_size": 12, **options}
    return open_store(prepare(SCENE_SETS[name], root, **chosen))


def sizes(store: Any) -> dict[str, int]:
    return {name: len(split) for name, split in store.splits.items()}


def test_scenes_keep_their_order_in_the_splits(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path, 150)
    store = prepared(tmp_path)
    assert sizes(store) == {"train": 106, "val": 22, "test": 22}
    for name, first in (("train", 0), ("val", 106), ("test", 128)):
        given = written.scene("tetrominoes", first + 3)
        scenes = store.splits[name]
        assert np.array_equal(scenes.images(np.array([3]))[0], given["image"])
        assert np.array_equal(scenes.labels(np.array([3]))[0], given["mask"].argmax(0))
        assert np.array_equal(scenes.fields["color"][3], given["color"])


def test_it_lies_where_it_is_looked_for(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path, 10)
    options: dict[str, Any] = {"image_size": 6, "crop": "none", "interpolation": "bilinear"}
    folder = prepared(tmp_path, **options).folder
    assert folder == store_folder(tmp_path, "tetrominoes", made=False, **options)
    assert folder == tmp_path / "prepared/tetrominoes-6-none-bilinear" and not list(check(folder))


@pytest.mark.parametrize(
    ("count", "expected"), [(100_000, (70_000, 15_000, 15_000)), (10, (6, 2, 2)), (1, (1, 0, 0))]
)
def test_shares_are_70_15_and_15_percent(count: int, expected: tuple[int, int, int]) -> None:
    assert tuple(shares(count).values()) == expected


def test_told_sizes_are_taken_from_the_start(tmp_path: Path) -> None:
    path = written.tetrominoes(tmp_path, 200)
    store = prepared(tmp_path, sizes={"train": 50, "val": 0, "test": 21})
    assert sizes(store) == {"train": 50, "val": 0, "test": 21} and store.manifest["scenes"] == 71
    given = written.scene("tetrominoes", 70)["image"]
    assert np.array_equal(store.splits["test"].images(np.array([20]))[0], given)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()  # of all of it, though not all was read
    assert store.manifest["sources"] == {path.name: f"sha256:{digest}"}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"train": 5}, "sizes of train, val and test must be told together, got train only"),
        (
            {"train": 0, "val": 0, "test": 0},
            "must be at least 0 and not all of them 0, got train 0",
        ),
        ({"train": 9, "val": 1, "test": 1}, "must be at most the 10 scenes of .*, got 9, 1, 1"),
    ],
)
def test_impossible_sizes_are_refused(tmp_path: Path, told: dict[str, int], words: str) -> None:
    written.tetrominoes(tmp_path, 10)
    with pytest.raises(ValueError, match=words):
        prepared(tmp_path, sizes=told)


def test_rooms_for_the_test_are_all_in_the_test_and_in_the_validation(tmp_path: Path) -> None:
    name = "objects_room_six_objects"
    path = tmp_path / name / "objects_room_test_six_objects.tfrecords"
    written.write(path, [written.scene(name, seed) for seed in range(9)])
    store = prepared(tmp_path, name)
    assert sizes(store) == {"train": 0, "val": 9, "test": 9} and store.num_background == 4
    last = np.array([8])
    labels = [store.splits[split].labels(last) for split in ("val", "test")]
    assert np.array_equal(*labels)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path, 10)
    folder = prepared(tmp_path).folder
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    prepared(tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_what_is_there_of_other_files_or_sizes_is_not_taken_for_it(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path, 10)
    prepared(tmp_path)
    with pytest.raises(ValueError, match="must be of the same sizes, .* delete it to prepare it"):
        prepared(tmp_path, sizes={"train": 5, "val": 2, "test": 2})
    written.tetrominoes(tmp_path, 11)
    with pytest.raises(ValueError, match="must be of the same files, .* delete it to prepare it"):
        prepared(tmp_path)


def _killed(root: Path) -> None:
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if len(told) == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    prepare(TETROMINOES, root, image_size=24, shard_bytes=40_000, progress=progress)


def test_a_killed_preparation_goes_on_and_is_the_same_in_every_byte(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path, 300, 24, packed=False)  # 4 MB: read in several pieces
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    unfinished = tmp_path / "prepared/.tetrominoes-24-none-nearest.unfinished"
    kept = {path.name: path.stat().st_mtime_ns for path in unfinished.glob("images-*.npy")}
    assert 1 < len(kept) < 12 and not (tmp_path / "prepared/tetrominoes-24-none-nearest").exists()
    folder = prepare(TETROMINOES, tmp_path, image_size=24, shard_bytes=40_000)
    assert kept == {name: (folder / name).stat().st_mtime_ns for name in kept}
    resumed = files(folder)
    folder.rename(tmp_path / "resumed")
    assert files(prepare(TETROMINOES, tmp_path, image_size=24, shard_bytes=40_000)) == resumed


def test_progress_is_told_in_bytes_of_the_file(tmp_path: Path) -> None:
    path = written.tetrominoes(tmp_path, 100, 24, packed=False)
    told: list[tuple[int, int]] = []
    prepare(TETROMINOES, tmp_path, progress=lambda done, total: told.append((done, total)))
    size = path.stat().st_size
    assert told[-1] == (size, size) and told == sorted(told) and len(told) > 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:-40_000], "tetrominoes_train.tfrecords is truncated: it ends within "),
        (lambda data: b"\x1f\x8b" + data, "is damaged or truncated at record 0: "),
        (lambda data: data[:90_000] + b"\0" + data[90_001:], "is damaged: record 27 has a wrong"),
    ],
)
def test_a_wrong_file_leaves_nothing_that_looks_finished(
    tmp_path: Path, damage: Any, words: str
) -> None:
    path = written.tetrominoes(tmp_path, 100, packed=False)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=words):
        prepared(tmp_path)
    assert not list((tmp_path / "prepared").glob("[!.]*"))
    assert not list(tmp_path.rglob("*.partial"))


def test_a_record_of_another_set_is_named(tmp_path: Path) -> None:
    scenes = [written.scene("tetrominoes", seed) for seed in range(4)]
    scenes[3]["mask"][:, 5, 5] = 0
    path = written.write(tmp_path / "tetrominoes/tetrominoes_train.tfrecords", scenes)
    with pytest.raises(ValueError, match=f"{path}: record 3 has masks of which exactly one must"):
        prepared(tmp_path)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="put tetrominoes_train.tfrecords there"):
        prepared(tmp_path)
    with pytest.raises(LookupError, match="tetrominoes-12; run `raysearch data make tetrominoes`"):
        prepared(tmp_path, made=True)
