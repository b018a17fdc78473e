"""Boxes of what masks show: instances by their masks, or pieces of classes; kept, and refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import measure

from trainables.data.boxes.crops import Options, crops
from trainables.data.boxes.instances import THINGS, boxes_of, instances
from trainables.data.images import load
from trainables.settings.images import Images
from trainables.synthetic.maritime import scene, write

PICTURES = 24


@pytest.fixture(scope="module")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made pictures, as MassMIND has them."""
    folder = tmp_path_factory.mktemp("massmind") / "sea"
    write(folder, (scene(0, index, image_size=64) for index in range(PICTURES)), PICTURES)
    return folder


def test_the_box_of_an_instance_holds_its_pixels_and_has_its_class() -> None:
    classes = np.zeros((10, 20), np.int64)
    numbers = np.zeros_like(classes)
    classes[2:5, 4:8], numbers[2:5, 4:8] = 3, 7
    classes[3:6, 7:9], numbers[3:6, 7:9] = 4, 9  # hides a part of the first
    classes[0, 0] = 3  # of no instance
    classes[7:9, 1:3], numbers[7:9, 1:3] = 5, 11  # the shore is no thing
    found = dict(boxes_of(classes, numbers))
    assert found == {
        "obstacle": (0.2, 0.2, 0.4, 0.5),
        "living_obstacle": (7 / 20, 0.3, 9 / 20, 0.6),
    }


def test_without_numbers_pieces_are_instances(sea: Path) -> None:
    """As scikit-image finds them."""
    for path in sorted((sea / "masks").iterdir()):
        classes = np.asarray(Image.open(path)).astype(np.int64)
        height, width = classes.shape
        expected: list[tuple[str, tuple[float, ...]]] = []
        for kind, name in THINGS.items():
            labels = measure.label(classes == kind, connectivity=2)
            for one in measure.regionprops(labels):
                top, left, bottom, right = one.bbox
                box = (left / width, top / height, right / width, bottom / height)
                expected.append((name, box))
        assert sorted(boxes_of(classes)) == sorted(expected)


def test_all_instances_that_were_drawn_are_found_once(sea: Path, tmp_path: Path) -> None:
    found = instances(sea, tmp_path)
    for index, picture in enumerate(found):
        drawn = scene(0, index, image_size=64)
        numbers = np.asarray(drawn["instances"])
        assert len(picture.boxes) == len(np.unique(numbers)) - 1
        assert (picture.width, picture.height) == (80, 64)
    assert {name for one in found for name, _ in one.boxes} == set(THINGS.values())
    [kept] = (tmp_path / "cache").glob("instances-*.json")
    made = kept.stat()
    assert instances(sea, tmp_path) == found and kept.stat() == made


def test_crops_of_them_are_images_with_a_class(sea: Path, tmp_path: Path) -> None:
    settings = Images().with_values(
        {
            "name": "boxes",
            "path": str(sea),
            "root": str(tmp_path),
            "image_size": 16,
            "channels": 1,
            "boxes.min_crop_size": 1,
            "boxes.time_gap": 4.9,
            "boxes.val_share": 0.3,
            "boxes.test_share": 0.3,
        }
    )
    assert settings.missing() is None
    facts = settings.facts()
    found = load(facts, root=tmp_path, path=sea, **settings.arguments())
    assert set(facts.classes) <= set(THINGS.values()) and len(facts.classes) >= 2
    assert found.train.take(torch.arange(2)).shape == (2, 1, 16, 16)
    brightness = found.train.pixels(torch.arange(len(found.train))).flatten(1).amax(1)
    living = found.train.labels == facts.classes.index("living_obstacle")
    assert float(brightness[living].min()) > 0.85  # they are the warmest


def test_files_that_do_not_go_together_are_named(sea: Path, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="data.path must be a list of boxes, or a folder with"):
        instances(tmp_path, tmp_path)
    copy = tmp_path / "sea"
    shutil.copytree(sea, copy)
    first = sorted((copy / "instances").iterdir())[0]
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(first)
    with pytest.raises(ValueError, match=r"must be as large as its mask of instances, \(3, 4\)"):
        instances(copy, tmp_path)
    first.unlink()
    with pytest.raises(ValueError, match="must have a mask below instances, as others have"):
        instances(copy, tmp_path)


def test_pictures_of_a_stretch_of_time_are_in_one_split(sea: Path, tmp_path: Path) -> None:
    """Pictures are five seconds apart: gaps of five are none, and 4.999 makes each its own."""
    options: dict[str, Any] = {"min_crop_size": 1, "val_share": 0.3, "test_share": 0.3}
    apart = crops(sea, 0, Options(**options, time_gap=4.999), tmp_path)
    assert len({box.group for box in apart.boxes}) == len({box.file for box in apart.boxes})
    with pytest.raises(ValueError, match="at least two classes with boxes in train, val and test"):
        crops(sea, 0, Options(**options, time_gap=5.0), tmp_path)
    thin = tmp_path / "thin"
    shutil.copytree(sea, thin)
    for index, image in enumerate(sorted((thin / "images").iterdir())):
        if index % 4 == 3:  # a gap of ten seconds
            for path in thin.rglob(f"{image.stem}*"):
                path.unlink()
    found = crops(thin, 0, Options(**options, time_gap=5.0), tmp_path)
    seconds = {int(Path(box.file).stem[:10]): (box.group, box.split) for box in found.boxes}
    for second, where in seconds.items():
        assert seconds.get(second + 5, where) == where
    assert len({group for group, _ in seconds.values()}) >= 5


def test_a_name_without_a_time_is_refused(sea: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.boxes.time_pattern must find a time in .* finds"):
        crops(sea, 0, Options(time_gap=1.0, time_pattern=r"t(\d+)"), tmp_path)
    with pytest.raises(ValueError, match="time_pattern must have a group of digits"):
        Images().with_values({"boxes.time_pattern": r"\d+"})
