"""CLEVR v1.0 is read from a folder or its archive, in the fields of CLEVR with masks."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.prepare import prepare
from trainables.data.scenes.store import open_store

OBJECT = {
    "size": "large",
    "material": "rubber",
    "shape": "cylinder",
    "color": "cyan",
    "3d_coords": [1.5, -2.0, 0.7],
    "pixel_coords": [200, 100, 11.5],
    "rotation": 30.0,
}


def picture(part: str, number: int) -> Any:
    seed = number + (1000 if part == "val" else 0)
    return np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)


def clevr(folder: Path, train: int = 20, val: int = 4, objects: Any = None) -> Path:
    """Scenes with 1, 2, 3 … objects, or with those that are given."""
    for part, count in (("train", train), ("val", val)):
        (folder / "images" / part).mkdir(parents=True)
        (folder / "scenes").mkdir(exist_ok=True)
        scenes: list[Any] = []
        for number in range(count):
            name = f"CLEVR_{part}_{number:06d}.png"
            Image.fromarray(picture(part, number)).convert("RGBA").save(
                folder / "images" / part / name
            )
            own = objects or [OBJECT] * (number % 3 + 1)
            scenes.append({"image_filename": name, "objects": own})
        (folder / f"scenes/CLEVR_{part}_scenes.json").write_text(json.dumps({"scenes": scenes}))
    return folder


def prepared(root: Path, **options: Any) -> Any:
    chosen: dict[str, Any] = {"image_size": 16, "crop": "centre", **options}
    return open_store(prepare(SCENE_SETS["clevr"], root, **chosen))


def test_validation_is_held_out_of_training_and_the_test_is_its_validation(tmp_path: Path) -> None:
    clevr(tmp_path / "clevr")
    store = prepared(tmp_path)
    for split, count, part, first in (
        ("val", 3, "train", 0),
        ("train", 17, "train", 3),
        ("test", 4, "val", 0),
    ):
        scenes = store.splits[split]
        assert len(scenes) == count and not scenes.has_labels
        expected = picture(part, first + 1)[2:18, 7:23]
        assert np.array_equal(scenes.images(np.array([1]))[0], expected)


def test_properties_are_coded_from_1_and_entity_0_is_the_background(tmp_path: Path) -> None:
    clevr(tmp_path / "clevr")
    fields = prepared(tmp_path).splits["test"].fields
    codes = {name: fields[name][1].tolist() for name in ("size", "material", "shape", "color")}
    rest = [0] * 8
    assert codes == {
        "size": [0, 2, 2, *rest],
        "material": [0, 1, 1, *rest],
        "shape": [0, 3, 3, *rest],
        "color": [0, 8, 8, *rest],
    }
    assert fields["visibility"][1].tolist() == [True] * 3 + [False] * 8
    places = [fields[axis][1, 2] for axis in "xyz"]
    assert np.allclose(places, OBJECT["3d_coords"]) and fields["rotation"][1, 2] == 30
    assert fields["pixel_coords"][1, 2].tolist() == [200, 100, 11.5]


def test_counts_and_ranges_are_those_of_the_objects(tmp_path: Path) -> None:
    clevr(tmp_path / "clevr")
    store = prepared(tmp_path)
    assert store.splits["test"].counts.tolist() == [1, 2, 3, 1]
    assert store.manifest["ranges"]["y"] == [-2.0, -2.0]


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_every_form_gives_the_same(tmp_path: Path, form: str) -> None:
    clevr(tmp_path / "clevr")
    expected = prepared(tmp_path).fingerprint
    source = clevr(tmp_path / "other/clevr/CLEVR_v1.0")
    if form == "archive":
        with zipfile.ZipFile(tmp_path / "other/clevr/CLEVR_v1.0.zip", "w") as archive:
            for path in source.rglob("*"):
                archive.write(path, path.relative_to(source.parent))
    store = prepared(tmp_path / "other")
    assert store.fingerprint == expected
    assert ("CLEVR_v1.0.zip" in store.manifest["settings"]["files"]) == (form == "archive")


def test_told_sizes(tmp_path: Path) -> None:
    clevr(tmp_path / "clevr")
    splits = prepared(tmp_path, sizes={"train": 10, "val": 2, "test": 1}).splits
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 10,
        "val": 2,
        "test": 1,
    }
    assert np.array_equal(splits["train"].images(np.array([0]))[0], picture("train", 2)[2:18, 7:23])


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"train": 19, "val": 2, "test": 0}, "val and train must be at most 20 scenes, got 2, 19"),
        ({"train": 1, "val": 1, "test": 5}, "test must be at most 4 scenes, got 5"),
    ],
)
def test_more_than_there_are_are_refused(tmp_path: Path, told: dict[str, int], words: str) -> None:
    clevr(tmp_path / "clevr")
    with pytest.raises(ValueError, match=words):
        prepared(tmp_path, sizes=told)


@pytest.mark.parametrize(("objects", "left"), [(10, 24), (11, 0)])
def test_scenes_with_more_than_ten_objects_are_left_out(
    tmp_path: Path, objects: int, left: int
) -> None:
    clevr(tmp_path / "clevr", objects=[OBJECT] * objects)
    if left:
        assert prepared(tmp_path).manifest["scenes"] == left
        return
    with pytest.raises(ValueError, match="must hold scenes, and its files hold none"):
        prepared(tmp_path)


@pytest.mark.parametrize(
    "other", [{"size": "huge"}, {"3d_coords": [1, 2]}, {"color": None}], ids=str
)
def test_an_object_of_another_kind_is_named(tmp_path: Path, other: dict[str, Any]) -> None:
    clevr(tmp_path / "clevr", objects=[OBJECT, OBJECT | other])
    with pytest.raises(ValueError, match="object 2 of images/train/CLEVR_train_000000.png must be"):
        prepared(tmp_path)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = clevr(tmp_path / "clevr") / "images/train/CLEVR_train_000007.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(
        ValueError, match="images/train/CLEVR_train_000007.png holds a picture that"
    ):
        prepared(tmp_path)


def test_descriptions_that_are_none_are_named(tmp_path: Path) -> None:
    path = clevr(tmp_path / "clevr") / "scenes/CLEVR_val_scenes.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="CLEVR_val_scenes.json must describe the scenes of CLEVR"):
        prepared(tmp_path)
