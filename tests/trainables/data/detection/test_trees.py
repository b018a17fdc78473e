"""Tiles have the crowns whose centre is in them, and splits do not touch."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.detection.written import noise
from trainables.data.detection import trees
from trainables.data.detection.catalog import TREES
from trainables.data.detection.store import open_set
from trainables.data.detection.trees import Tile

SIZE = 128


def photograph(folder: Path, name: str, height: int, width: int, count: int) -> np.ndarray:
    """A picture and its boxes, as the package has them; returns the boxes."""
    random = np.random.RandomState(height + width)
    corners = np.stack([random.randint(0, side - 40, count) for side in (width, height)], 1)
    boxes = np.concatenate([corners, corners + random.randint(8, 40, (count, 2))], 1)
    Image.fromarray(noise(height, width, count)).save(folder / f"{name}.png", compress_level=1)
    names = ("xmin", "ymin", "xmax", "ymax")
    objects = "".join(
        "<object><name>Tree</name><bndbox>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(names, box, strict=True))
        + "</bndbox></object>"
        for box in boxes.tolist()
    )
    (folder / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")
    return boxes


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in which photographs of the right names, and of other sizes, lie in a folder."""
    root = tmp_path_factory.mktemp("root")
    (root / "trees").mkdir()
    for each, shape in zip(
        trees.PHOTOGRAPHS, ((650, 300), (520, 400), (260, 270), (300, 140)), strict=True
    ):
        photograph(root / "trees", each.name, *shape, count=40)
    return root


def test_a_crown_is_in_the_tile_of_its_centre(root: Path) -> None:
    random = np.random.RandomState(0)
    corners = random.uniform(0, 350, (200, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 60, (200, 2))], 1)
    every = [Tile("test", row * SIZE, column * SIZE) for row in range(4) for column in range(4)]
    found = [trees.boxes_of(boxes, tile, SIZE) for tile in every]
    assert sum(map(len, found)) == len(boxes)
    for tile, some in zip(every, found, strict=True):
        painted = np.zeros((SIZE, SIZE), bool)
        for left, top, right, bottom in some.round().astype(int):
            painted[top:bottom, left:right] = True
        whole = np.zeros((4 * SIZE, 4 * SIZE), bool)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2 // SIZE
        mine = (centres == [tile.left // SIZE, tile.top // SIZE]).all(1)
        for left, top, right, bottom in boxes[mine].round().astype(int):
            whole[top:bottom, left:right] = True
        expected = whole[tile.top : tile.top + SIZE, tile.left : tile.left + SIZE]
        assert (painted == expected).mean() > 0.999


def test_training_and_validation_do_not_touch() -> None:
    for shape in ((2472, 2299), (1035, 1249)):
        for size in (64, 128, 160):
            found = trees.tiles(shape, size, is_test=False)
            lowest = max(tile.top for tile in found if tile.split == "train") + size
            highest = min(tile.top for tile in found if tile.split == "val")
            assert highest - lowest >= 128 and len(set(found)) == len(found)


def test_the_largest_photograph_has_323_tiles() -> None:
    assert len(trees.tiles((2472, 2299), SIZE, is_test=True)) == 323


def test_the_catalogue_says_how_many_there_are() -> None:
    shapes = {"train": [(2472, 2299), (1035, 1249)], "test": [(400, 400)] * 2}
    found = [
        tile.split
        for kind, some in shapes.items()
        for shape in some
        for tile in trees.tiles(shape, SIZE, is_test=kind == "test")
    ]
    assert {split: found.count(split) for split in trees.SPLITS} == TREES.splits


def test_it_is_cut_once_and_read_like_any_other(root: Path) -> None:
    found = open_set(TREES, root)
    sizes = {name: len(split) for name, split in found.splits.items()}
    assert sizes == {"train": 3 * 2 + 2 * 3, "val": 2 + 3, "test": 4 + 2}
    assert found.num_classes == TREES.num_classes == 2 and found.categories == {1: "tree"}
    split = found.split("test")
    name, top, left = split.path(0).stem.rsplit("-", 2)
    assert (name, top, left) == ("OSBS_029", "0", "0")
    tile, whole = (
        np.asarray(Image.open(path).convert("RGB"))
        for path in (split.path(0), root / "trees/OSBS_029.png")
    )
    assert np.array_equal(tile, whole[:SIZE, :SIZE])
    before = split.path(0).stat().st_mtime_ns
    assert open_set(TREES, root).fingerprint == found.fingerprint
    assert split.path(0).stat().st_mtime_ns == before


def test_other_photographs_are_cut_anew(root: Path, tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    for path in (root / "trees").iterdir():
        (tmp_path / "trees" / path.name).write_bytes(path.read_bytes())
    before = open_set(TREES, tmp_path)
    photograph(tmp_path / "trees", "SOAP_061", 300, 140, 30)
    assert open_set(TREES, tmp_path).fingerprint != before.fingerprint


def test_a_size_that_leaves_no_tiles_is_named(root: Path) -> None:
    with pytest.raises(
        ValueError, match="must leave tiles of each split in a photograph of 650 × "
    ):
        open_set(TREES, root, image_size=256)
    with pytest.raises(ValueError, match="image_size must be at least 32 for trees, got 31"):
        open_set(TREES, root, image_size=31)


def test_without_the_package_one_line_says_what_to_install(tmp_path: Path) -> None:
    if "deepforest" not in sys.modules and TREES.missing(tmp_path) is not None:
        with pytest.raises(
            LookupError, match="`pip install --no-deps deepforest==2.1.0`, or put 20"
        ):
            open_set(TREES, tmp_path)


def test_the_package_is_found_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deepforest/data").mkdir(parents=True)
    (tmp_path / "deepforest/__init__.py").write_text("raise RuntimeError")
    (tmp_path / "deepforest-2.1.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: deepforest\nVersion: 2.1.0\n"
    (tmp_path / "deepforest-2.1.0.dist-info/METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    assert TREES.looked_for(tmp_path / "root")[1] == tmp_path / "deepforest/data"
    for name in TREES.needs:
        (tmp_path / "deepforest/data" / name).touch()
    assert TREES.missing(tmp_path / "root") is None and "deepforest" not in sys.modules


def test_boxes_that_cannot_be_read_are_named(root: Path, tmp_path: Path) -> None:
    photograph(tmp_path, "a", 128, 128, 2)
    (tmp_path / "a.xml").write_text(
        "<annotation><object><bndbox><xmin>1</xmin></bndbox></object></annotation>"
    )
    some = [trees.Photograph("a", True)]
    with pytest.raises(ValueError, match="a.xml must be a photograph's boxes, and cannot be read"):
        trees.cut(tmp_path, tmp_path / "out", SIZE, some)
    (tmp_path / "a.xml").write_text("<annotation></annotation>")
    with pytest.raises(ValueError, match="a.xml must have boxes with a width and a height each"):
        trees.cut(tmp_path, tmp_path / "out", SIZE, some)
