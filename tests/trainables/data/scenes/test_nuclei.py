"""Tiles of a picture of nuclei: each pixel in one split, each object what the tile has of one."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data.scenes.catalog import SCENE_SETS
from trainables.data.scenes.nuclei import NucleiTiles, areas, corners
from trainables.data.scenes.prepare import prepare
from trainables.data.scenes.sources import joined
from trainables.data.scenes.store import Scenes, Store, open_store

NUCLEI = SCENE_SETS["nuclei"]
SIDE, SIZE = 64, 8


def arrays() -> tuple[Any, Any]:
    """A picture [S, S], and the numbers of about a hundred nuclei of at most 5 × 7 pixels."""
    draw = np.random.default_rng(0)
    numbers = np.zeros((SIDE, SIDE), np.uint16)
    for number in range(300, 420):
        row, column = draw.integers(0, SIDE - 7, 2)
        numbers[row : row + 5, column : column + 7] = number
    return draw.integers(0, 256, (SIDE, SIDE)).astype(np.uint16), numbers


def write(folder: Path, image: Any = None, numbers: Any = None) -> list[Path]:
    """The two files, in 16 bits as those of the set."""
    folder.mkdir(parents=True, exist_ok=True)
    image, numbers = (
        arrays()[place] if given is None else given for place, given in enumerate((image, numbers))
    )
    paths = [folder / name for name in NUCLEI.forms[0]]
    for path, array in zip(paths, (image, numbers), strict=True):
        Image.fromarray(array).save(path)
    return paths


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("nuclei")
    write(root / "nuclei")
    return open_store(prepare(NUCLEI, root, image_size=SIZE))


def cut(array: Any, scenes: Scenes, place: int) -> Any:
    """What a picture has where a tile is."""
    row, column = (int(scenes.fields[name][place]) for name in ("row", "column"))
    return array[row : row + SIZE, column : column + SIZE]


def test_no_pixel_is_in_two_splits_and_each_is_in_one(store: Store) -> None:
    seen = np.zeros((SIDE, SIDE), int)
    for bit, scenes in enumerate(store.splits.values()):
        for place in range(len(scenes)):
            cut(seen, scenes, place)[:] |= 1 << bit
    assert (seen[:40] == 1).all() and (seen[40:, :32] == 2).all() and (seen[40:, 32:] == 4).all()


def test_training_tiles_are_half_a_tile_apart_and_others_side_by_side(store: Store) -> None:
    assert {name: len(scenes) for name, scenes in store.splits.items()} == {
        "train": 9 * 15,
        "val": 3 * 4,
        "test": 3 * 4,
    }
    assert np.unique(store.splits["train"].fields["column"]).tolist() == list(range(0, 57, 4))
    assert np.unique(store.splits["test"].fields["column"]).tolist() == [32, 40, 48, 56]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_tile_is_what_the_picture_has_there(store: Store, split: str) -> None:
    image, numbers = arrays()
    scenes = store.splits[split]
    for place in range(len(scenes)):
        pixels, labels = scenes.images(np.array([place]))[0], scenes.labels(np.array([place]))[0]
        assert np.array_equal(pixels[..., 0], cut(image, scenes, place))
        nucleus = scenes.fields["nucleus"][place]
        assert np.array_equal(nucleus[labels], cut(numbers, scenes, place))
        there = sorted(set(np.unique(cut(numbers, scenes, place)).tolist()) - {0})
        assert nucleus[1 : 1 + len(there)].tolist() == there and not nucleus[1 + len(there) :].any()
        assert scenes.counts[place] == len(there)
        expected = [(labels == number).sum() for number in range(len(nucleus))]
        assert scenes.fields["area"][place].tolist() == expected
        assert scenes.fields["visibility"][place].tolist() == [size > 0 for size in expected]


@pytest.mark.parametrize("skip", [0, 1, 140, 159])
def test_the_first_tiles_can_be_skipped(tmp_path: Path, skip: int) -> None:
    told: list[int] = []
    source = NucleiTiles(write(tmp_path), SIZE, {}, told.append)
    pieces = list(source.pieces(skip))
    assert sum(map(len, pieces)) == 159 - skip and sum(told) == source.units == 159
    whole = joined(list(NucleiTiles(write(tmp_path), SIZE, {}, print).pieces(0)))
    assert all(np.array_equal(piece.images, whole.images[skip:]) for piece in pieces)


def test_so_many_tiles_are_taken_as_were_told(tmp_path: Path) -> None:
    write(tmp_path / "nuclei")
    sizes = {"train": 7, "val": 12, "test": 0}
    found = open_store(prepare(NUCLEI, tmp_path, image_size=SIZE, sizes=sizes))
    assert {name: len(scenes) for name, scenes in found.splits.items()} == sizes
    with pytest.raises(ValueError, match="val must be at most the 12 tiles of its .* got 13"):
        NucleiTiles(write(tmp_path), SIZE, {**sizes, "val": 13}, print)


@pytest.mark.parametrize(("size", "train"), [(64, 135), (32, 589), (48, 11 * 19), (256, 3)])
def test_of_the_published_picture_there_are_so_many_tiles(size: int, train: int) -> None:
    parts = areas((512, 512), size)
    assert len(corners(parts["train"], size, size // 2)) == train
    if size == 64:
        tiles = {name: len(corners(parts[name], size, size)) for name in ("val", "test")}
        assert {"train": train, **tiles} == NUCLEI.splits


WRONG = [
    ({}, 33, "image_size must be at most 32 for nuclei, got 33"),
    ({"image": np.zeros((SIDE, SIDE, 3), np.uint8)}, 8, "img2d.tif must have one channel"),
    ({"image": np.full((SIDE, SIDE), 256, np.uint16)}, 8, "img2d.tif must have values 0…255, got"),
    ({"numbers": np.zeros((8, 8), np.uint16)}, 8, r"mask2d.tif must be as large as img2d.tif"),
]


@pytest.mark.parametrize(("files", "size", "said"), WRONG)
def test_what_cannot_be_cut_is_refused(
    tmp_path: Path, files: dict[str, Any], size: int, said: str
) -> None:
    NucleiTiles(write(tmp_path), 32, {}, print)
    with pytest.raises(ValueError, match=said):
        NucleiTiles(write(tmp_path, **files), size, {}, print)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    paths = write(tmp_path)
    paths[1].write_text("text")
    with pytest.raises(ValueError, match=f"{paths[1]} cannot be read"):
        NucleiTiles(paths, SIZE, {}, print)


def test_files_of_the_installed_package_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site/stardist/data/images"
    write(folder)
    (tmp_path / "site/stardist/__init__.py").write_text("raise ImportError('not to be imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.invalidate_caches()
    assert NUCLEI.looked_for(tmp_path) == [tmp_path / "nuclei", folder]
    assert NUCLEI.missing(tmp_path) is None and NUCLEI.place(tmp_path) == folder
    assert open_store(prepare(NUCLEI, tmp_path, image_size=SIZE)).manifest["scenes"] == 159
    write(tmp_path / "nuclei")
    assert NUCLEI.place(tmp_path) == tmp_path / "nuclei"


@pytest.mark.skipif(importlib.util.find_spec("stardist") is not None, reason="it is installed")
@pytest.mark.parametrize("made", [False, True])
def test_without_the_files_it_is_said_what_brings_them(tmp_path: Path, made: bool) -> None:
    said = "run `pip install --no-deps stardist==0.9.2`, or put img2d.tif, mask2d.tif there, from"
    with pytest.raises(LookupError, match=said) as caught:
        prepare(NUCLEI, tmp_path, made=made, image_size=SIZE)
    assert "raysearch data make" not in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("stardist") is None, reason="needs stardist's files")
def test_the_published_picture_has_125_nuclei(tmp_path: Path) -> None:
    found = open_store(prepare(NUCLEI, tmp_path))
    nuclei = {int(one) for scenes in found.splits.values() for one in scenes.fields["nucleus"].flat}
    assert len(nuclei - {0}) == 125
    assert {name: len(scenes) for name, scenes in found.splits.items()} == NUCLEI.splits
