"""Scenes are taken by position from whatever shard they lie in; a damaged store is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.trainables.data.scenes.test_writing import written
from trainables.data.scenes.store import MANIFEST, Shards, check, open_store, positions_with


def test_shards_are_one_array() -> None:
    whole = np.random.default_rng(0).integers(0, 256, (50, 3, 2), np.uint8)
    shards = Shards(np.split(whole, [7, 8, 30]))
    positions = np.random.default_rng(1).integers(0, 50, 200)
    assert len(shards) == 50 and np.array_equal(shards.take(positions), whole[positions])
    assert np.array_equal(Shards([whole]).take(positions), whole[positions])
    assert shards.take(np.array([], np.int64)).shape == (0, 3, 2)


@pytest.mark.parametrize("position", [-1, 29])
def test_a_position_outside_of_the_split_is_refused(tmp_path: Path, position: int) -> None:
    train = open_store(written(tmp_path / "toys")).splits["train"]
    assert len(train) == 29 and train.images(np.array([0, 28])).shape == (2, 4, 4, 3)
    with pytest.raises(IndexError, match=r"positions must be 0…28, got \["):
        train.images(np.array([0, position]))


def test_what_is_taken_is_a_copy_and_what_is_mapped_cannot_be_written(tmp_path: Path) -> None:
    train = open_store(written(tmp_path / "toys")).splits["train"]
    taken = train.images(np.array([3, 4]))
    taken[:] = 0
    assert train.images(np.array([3, 4])).max() == 4
    assert not train.fields["x"].flags.writeable


def test_positions_are_those_in_the_range_of_objects(tmp_path: Path) -> None:
    train = open_store(written(tmp_path / "toys")).splits["train"]
    assert positions_with(train, 2, 3).tolist() == [i for i in range(29) if i % 4 in (2, 3)]
    assert len(positions_with(train, 0, 255)) == 29 and len(positions_with(train, 4, 9)) == 0


def test_a_right_store_has_nothing_wrong(tmp_path: Path) -> None:
    assert list(check(written(tmp_path / "toys"))) == []


@pytest.mark.parametrize("name", ["images-00001.npy", "labels-00003.npy", "field-x.npy"])
def test_a_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "toys") / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    [sentence] = check(tmp_path / "toys")
    assert sentence == f"{path} was changed; delete {path.parent} and prepare it again"


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    folder = written(tmp_path / "toys")
    (folder / "images-00002.npy").unlink()
    [sentence] = check(folder)
    assert "images-00002.npy cannot be read (No such file or directory)" in sentence
    with pytest.raises(ValueError, match=r"toys is damaged .*images-00002.npy.*prepare it again"):
        open_store(folder)


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "toys") / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 2}))
    with pytest.raises(ValueError, match="its version is 2, and 1 is read"):
        open_store(tmp_path / "toys")


def test_a_shard_that_is_too_short_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "toys")
    np.save(folder / "labels-00003.npy", np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="34 scenes must be there, got 33"):
        open_store(folder)


def test_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no prepared set is at .*nothing"):
        open_store(tmp_path / "nothing")
    assert "cannot be read" in next(check(tmp_path / "nothing"))
