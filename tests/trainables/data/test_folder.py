"""Folders of images: classes are sub-folders; sizes and modes are made equal; damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data import files
from trainables.data import folder
from trainables.data.catalog import folder_facts


def image(path: Path, mode: str, colour: object, size: tuple[int, int] = (20, 20)) -> Path:
    Image.new(mode, size, colour).save(path)  # pyright: ignore[reportArgumentType]
    return path


def test_classes_are_sub_folders_in_order(tmp_path: Path) -> None:
    files.write_images(tmp_path, each=3, classes=("zebra", "ant", "cat"))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    assert folder_facts(tmp_path, 8, 3).classes == ("ant", "cat", "zebra")
    [part] = folder.parts(folder.files(tmp_path), 8, 3)
    [(pixels, labels)] = part.pieces
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert pixels[:, 0, 0, 0].tolist() == [50, 51, 52, 100, 101, 102, 0, 1, 2]


def test_a_divided_folder_has_its_own_splits(tmp_path: Path) -> None:
    for name, each in (("train", 4), ("val", 2), ("test", 3)):
        files.write_images(tmp_path / name, each)
    found = folder.files(tmp_path)
    assert {name: len(images) for name, images in found.items()} == {
        "train": 8,
        "val": 4,
        "test": 6,
    }


def test_the_middle_is_kept_and_the_shorter_side_scaled(tmp_path: Path) -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    found = folder.read_image(tmp_path / "wide.png", 10, 3)
    assert found.shape == (3, 10, 10) and (found == 200).all()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 90, (90, 90, 90)),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("RGBA", (100, 50, 0, 255), (100, 50, 0)),
        ("RGBA", (100, 50, 0, 0), (0, 0, 0)),
        ("LA", (200, 255), (200, 200, 200)),
        ("1", 1, (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
        ("I;16", 0x5A00, (90, 90, 90)),
    ],
)
def test_every_mode_becomes_the_one_asked_for(
    tmp_path: Path, mode: str, colour: object, expected: tuple[int, ...]
) -> None:
    path = image(tmp_path / "a.png", mode, colour)
    assert folder.read_image(path, 8, 3)[:, 4, 4].tolist() == list(expected)
    assert folder.read_image(path, 8, 1).shape == (1, 8, 8)


def test_grey_is_the_luma_of_colour(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png", "RGB", (10, 200, 30))
    luma = round(0.299 * 10 + 0.587 * 200 + 0.114 * 30)
    assert folder.read_image(path, 8, 1)[0, 0, 0] == luma


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert (folder.read_image(tmp_path / "a.png", 8, 1)[0, 7] == 255).all()


@pytest.mark.parametrize("damage", ["short", "empty", "text"])
def test_a_broken_image_is_named(tmp_path: Path, damage: str) -> None:
    files.write_images(tmp_path, each=2)
    path = tmp_path / "cat" / "01.png"
    noise = np.random.RandomState(0).randint(0, 255, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes({"short": path.read_bytes()[:900], "empty": b"", "text": b"hello"}[damage])
    [part] = folder.parts(folder.files(tmp_path), 8, 3)
    with pytest.raises(ValueError, match="cat/01.png cannot be read as an image"):
        list(part.pieces)


def test_a_folder_that_is_none_and_one_without_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="data.path must be a folder .* none at '/no/such'"):
        folder_facts(Path("/no/such"), 8, 3)
    (tmp_path / "only").mkdir()
    with pytest.raises(LookupError, match="at least two classes, .* has 1 sub-folders"):
        folder_facts(tmp_path, 8, 3)


def test_a_class_without_images_and_one_unknown_to_train_are_named(tmp_path: Path) -> None:
    files.write_images(tmp_path / "train", 2)
    files.write_images(tmp_path / "test", 2, classes=("cat", "dog", "cow"))
    with pytest.raises(LookupError, match="test/cow must be a class that .*train has, too"):
        folder.files(tmp_path)
    (tmp_path / "train" / "bird").mkdir()
    with pytest.raises(LookupError, match="train/bird must hold images of its class, and has none"):
        folder.files(tmp_path)
