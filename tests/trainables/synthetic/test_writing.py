"""Sets as a whole: scenes by (seed, number) alone, files that are whole, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.data import files
from trainables.data.catalog import FASHION_MNIST
from trainables.data.detection.catalog import DETECTION_SETS
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.synthetic.sets import MADE
from trainables.synthetic.writing import write_set

SMALL = {"tetrominoes": 14, "multi_dsprites": 16, "movi": 16, "digit_grids": 24}


def scene(name: str, seed: int, index: int, needed: dict[str, Any]) -> dict:
    """A small scene of a set, by names of features."""
    made = MADE[name]
    size = next((size for start, size in SMALL.items() if name.startswith(start)), 32)
    rules: dict[str, Any] = {"frames": 2} if name.startswith("movi") else {}
    rules |= needed if made.needs else {}
    found = made.scene(seed, index, image_size=size, **made.fixed, **rules)
    return {"image": found.image, "shape": found.shape} if name == "clevr" else dict(found)


@pytest.fixture(scope="module")
def needed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A few pictures in the form of Fashion-MNIST."""
    folder = tmp_path_factory.mktemp("fashion")
    files.write_mnist(folder)
    return {"files": tuple(folder / file.name for file in FASHION_MNIST.forms[0])}


def clevr(folder: Path, scenes: int = 4, **options: Any) -> Path:
    """The set that is written fastest and without TensorFlow."""
    return write_set("clevr", folder, scenes=scenes, image_size=32, **options)


@pytest.mark.parametrize("name", MADE)
def test_a_scene_is_the_same_again_and_another_with_another_seed_or_number(
    name: str, needed: dict[str, Any]
) -> None:
    one, again = scene(name, 3, 2, needed), scene(name, 3, 2, needed)
    assert all(np.array_equal(one[key], again[key]) for key in one)
    key = "video" if "video" in one else "image"
    assert not np.array_equal(one[key], scene(name, 3, 1, needed)[key])
    assert not np.array_equal(one[key], scene(name, 4, 2, needed)[key])


def test_every_set_of_the_catalogue_can_be_made_and_no_other() -> None:
    scenes = {name for name, each in SCENE_SETS.items() if each.is_made != "never"}
    boxes = {name for name, each in DETECTION_SETS.items() if each.kind == "made"}
    assert set(MADE) == scenes | boxes


def test_more_scenes_begin_with_the_same_ones(tmp_path: Path) -> None:
    few, more = clevr(tmp_path / "few", 2), clevr(tmp_path / "more", 4)
    image = Path("images") / "train" / "CLEVR_train_000000.png"
    assert (few / image).read_bytes() == (more / image).read_bytes()


def test_what_was_asked_for_is_written_beside_the_files(tmp_path: Path) -> None:
    folder = clevr(tmp_path / "set", seed=7)
    assert json.loads((folder / "made.json").read_text()) == {
        "name": "clevr",
        "scenes": 4,
        "image_size": 32,
        "seed": 7,
        "rules": {},
    }


def test_progress_is_told_with_each_scene(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    clevr(tmp_path / "set", 3, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_same_set_is_not_made_twice_and_another_is_refused(tmp_path: Path) -> None:
    folder = clevr(tmp_path / "set")
    times = folder.stat().st_mtime_ns
    assert clevr(tmp_path / "set") == folder
    assert folder.stat().st_mtime_ns == times
    with pytest.raises(ValueError, match="must be empty or hold the set .*remove it or take"):
        clevr(tmp_path / "set", seed=1)


def test_a_folder_with_files_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds files that were not made"):
        clevr(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_left_of_a_set_whose_making_fails(tmp_path: Path) -> None:
    def stops(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clevr(tmp_path / "set", progress=stops)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / ".set.unfinished" / "images"
    left.mkdir(parents=True)
    (left / "half.png").write_bytes(b"")
    folder = clevr(tmp_path / "set")
    assert [each.name for each in tmp_path.iterdir()] == ["set"]
    assert not list(folder.rglob("half.png"))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("tetrominoes", {"scenes": 0}, "scenes of tetrominoes must be at least 1, got 0"),
        ("movi_c", {"scenes": 2}, "scenes of movi_c must be at least 3, got 2"),
        ("clevr", {"scenes": 2, "seed": -1}, "seed must not be negative, got -1"),
        ("clevr", {"scenes": 2, "equal_colors": True}, "equal_colors is no rule of clevr; it has"),
        ("tetrominoes", {"scenes": 1, "equal": True}, "equal is no rule of .*it has equal_colors"),
        ("tetrominoes", {"scenes": 1, "equal_colors": 1}, "must be of type bool, got 1"),
    ],
)
def test_what_cannot_be_made_is_said_and_nothing_is_written(
    tmp_path: Path, name: str, options: dict, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        write_set(name, tmp_path / "set", **options)
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_where_the_image_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="image_size must be at least 32 for CLEVR, got 31"):
        write_set("clevr", tmp_path / "set", scenes=2, image_size=31)
    assert not list(tmp_path.iterdir())


def test_an_unknown_set_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="got 'cifar10'; clevr_with_masks, clevr, tetrominoes"):
        write_set("cifar10", tmp_path / "set", scenes=1)
