"""What is shown of a data set is what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainables.data import files
from tests.trainables.data.scenes import written
from tests.trainables.data.scenes.test_clips import SIDE, clips
from trainables.data import digits
from trainables.data.catalog import DIGITS, FOLDER, MNIST
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.prepare import prepare
from trainables.data.scenes.store import open_store
from trainables.figures.data_sets import show_images, show_scenes

NAME = "tetrominoes"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_each_class_has_a_row_of_its_images(tmp_path: Path) -> None:
    found = show_images(
        DIGITS, None, split="val", count=3, store=None, into=tmp_path / "digits.png"
    )
    labels = digits.load().val.labels
    assert [row["val"] for row in found.rows] == torch.bincount(labels).tolist()
    assert found.facts["images"] == "1,197 train, 300 val, 300 test"
    height, width, _ = pixels(found.picture).shape
    assert height > 10 * 64 and width > 3 * 64
    assert (pixels(found.picture) == 0).any(), "the paper of digits is black"


def test_an_image_is_shown_as_it_was_before_it_was_standardised(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist")
    found = show_images(MNIST, tmp_path, split="test", count=1, store=None, into=tmp_path / "a.png")
    assert set(found.rows[0]) == {"class", "train", "val", "test"}
    assert found.facts["pixels"].startswith("mean 0.")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set of scenes, prepared."""
    root = tmp_path_factory.mktemp("scenes")
    written.tetrominoes(root, 20)
    prepare(SCENE_SETS[NAME], root, progress=lambda done, total: None)
    return root


def test_a_scene_is_shown_with_its_objects_and_what_is_said_of_them(
    root: Path, tmp_path: Path
) -> None:
    data_set = SCENE_SETS[NAME]
    found = show_scenes(data_set, root, split="train", count=2, store=None, into=tmp_path / "a.png")
    store = open_store(data_set.stores(root)[0])
    scenes = store.splits["train"]
    visible = scenes.fields["visibility"]
    shown = sorted({row["scene"] for row in found.rows})
    assert len(found.rows) == sum(int(visible[one, store.num_background :].sum()) for one in shown)
    first = found.rows[0]
    value = scenes.fields["x"][first["scene"], first["object"] + store.num_background - 1]
    assert float(first["x"]) == pytest.approx(float(np.ravel(value)[0]), rel=0.01)
    assert found.facts["fingerprint"] == store.fingerprint
    assert len({tuple(pixel) for row in pixels(found.picture) for pixel in row}) > 5


def test_of_a_clip_the_first_and_the_last_frame_are_shown(tmp_path: Path) -> None:
    prepare(SCENE_SETS["movi_c"], clips(tmp_path), image_size=SIDE)
    into = tmp_path / "a.png"
    found = show_scenes(
        SCENE_SETS["movi_c"], tmp_path, split="train", count=3, store=None, into=into
    )
    # Clips 0, 1, 2 have 3, 5, 4 objects each in 3 frames: the first of them and one of the last.
    shown = {(row["scene"], row["clip"], row["frame"]) for row in found.rows}
    assert shown == {(0, "0", "0"), (2, "0", "2"), (6, "2", "0")}
    assert [row["object"] for row in found.rows] == [1, 2, 3, 1, 2, 3, 1, 2, 3, 4]
    places = open_store(SCENE_SETS["movi_c"].stores(tmp_path)[0]).splits["train"].fields
    value = places["image_positions"][6, 3]
    assert found.rows[-1]["image_positions"] == " ".join(f"{one:.2g}" for one in value)


def test_what_is_not_there_is_said_in_a_sentence(root: Path, tmp_path: Path) -> None:
    data_set, into = SCENE_SETS[NAME], tmp_path / "a.png"
    with pytest.raises(ValueError, match="--split must be one of train, val, test, got 'x'"):
        show_scenes(data_set, root, split="x", count=1, store=None, into=into)
    with pytest.raises(LookupError, match="--store must be one of tetrominoes-35-.*got 'x'"):
        show_scenes(data_set, root, split="train", count=1, store="x", into=into)
    with pytest.raises(LookupError, match=f"`raysearch data prepare {NAME}` comes first"):
        show_scenes(data_set, tmp_path, split="train", count=1, store=None, into=into)
    with pytest.raises(LookupError, match="data set folder is your own"):
        show_images(FOLDER, root, split="train", count=1, store=None, into=into)
    with pytest.raises(ValueError, match="--store must be left out for digits, got 'x'"):
        show_images(DIGITS, root, split="train", count=1, store="x", into=into)
    assert not into.exists()
