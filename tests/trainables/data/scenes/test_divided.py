"""Sets with a file for each split: their scenes are theirs, and a part of them can be taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.data.scenes import written
from trainables.data.scenes.frames import Frame
from trainables.data.scenes.records import DividedRecords
from trainables.data.scenes.sources import joined

SIZES = {"train": 70, "val": 3, "test": 2}  # the first of more scenes than are read at once


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, start, found = tmp_path_factory.mktemp("divided"), 0, []
    for split, size in SIZES.items():
        scenes = [written.scene("garments", seed) for seed in range(start, start + size)]
        found.append(written.write(folder / f"garments-{split}.tfrecords", scenes))
        start += size
    return found


def source(paths: list[Path], **told: int) -> DividedRecords:
    return DividedRecords("garments", paths, Frame(12), told, lambda amount: None)


def seeds(found: Any) -> list[int]:
    """From which seeds the scenes of some pieces are."""
    images = joined(list(found)).images
    known = [written.scene("garments", seed)["image"] for seed in range(75)]
    return [next(n for n, one in enumerate(known) if np.array_equal(one, each)) for each in images]


@pytest.mark.parametrize("skip", [0, 1, 69, 70, 72, 74])
def test_scenes_follow_in_the_order_of_the_splits_after_those_that_are_skipped(
    paths: list[Path], skip: int
) -> None:
    whole = source(paths)
    assert seeds(whole.pieces(skip)) == list(range(skip, 75))
    assert whole.splits(75) == {"train": (0, 70), "val": (70, 73), "test": (73, 75)}
    assert list(whole.checksums()) == [path.name for path in paths] and whole.scenes is None


def test_all_that_are_skipped_leave_none(paths: list[Path]) -> None:
    whole = source(paths)
    assert list(whole.pieces(75)) == []
    assert whole.splits(75)["test"] == (73, 75)


@pytest.mark.parametrize("skip", [0, 4, 6])
def test_the_first_of_each_file_are_taken_as_were_told(paths: list[Path], skip: int) -> None:
    some = source(paths, train=5, val=0, test=2)
    assert seeds(some.pieces(skip)) == [0, 1, 2, 3, 4, 73, 74][skip:]
    assert some.splits(7) == {"train": (0, 5), "val": (5, 5), "test": (5, 7)} and some.scenes == 7


def test_more_than_a_file_has_are_refused(paths: list[Path]) -> None:
    some = source(paths, train=5, val=4, test=2)
    list(some.pieces(0))
    with pytest.raises(ValueError, match="val must be at most the 3 scenes of its file, got 4"):
        some.splits(10)
