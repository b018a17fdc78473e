"""Sets with boxes are fetched, taken from what is at hand, or said how to get."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.trainables.data.detection import written
from tests.trainables.data.server import Served, serving
from trainables.data.detection.catalog import COCO, TINY, UNREL
from trainables.data.detection.facts import Archive
from trainables.data.detection.store import open_set


def zipped(folder: Path, into: Path, *names: str, below: str = "") -> Path:
    with zipfile.ZipFile(into, "w") as archive:
        for name in names:
            for path in sorted((folder / name).rglob("*")):
                archive.write(path, f"{below}{path.relative_to(folder)}")
    return into


def test_archives_are_fetched_and_unpacked(tmp_path: Path) -> None:
    written.coco(tmp_path / "home")
    home = tmp_path / "home/coco"
    bodies = {
        name: zipped(home, tmp_path / f"{name}.zip", name).read_bytes()
        for name in ("annotations", "train2017", "val2017")
    }
    said: list[str] = []
    with (
        serving(Served(bodies["annotations"])) as first,
        serving(Served(bodies["train2017"])) as second,
        serving(Served(bodies["val2017"])) as third,
    ):
        addresses = zip((first, second, third), bodies.items(), strict=True)
        archives = tuple(
            Archive(f"{server.url}-{name}.zip", len(body), name)
            for server, (name, body) in addresses
        )
        coco = replace(COCO, archives=archives)
        coco.get(tmp_path / "data", None, said.append)
        coco.get(tmp_path / "data", None, said.append)
    assert said[-1] == f"coco is there: {tmp_path / 'data/coco'}"
    assert len(open_set(COCO, tmp_path / "data").split("train")) == 6
    assert sorted(each.name for each in (tmp_path / "data/coco").iterdir()) == sorted(bodies)


def test_a_folder_at_hand_is_linked(tmp_path: Path) -> None:
    written.coco(tmp_path / "home")
    COCO.get(tmp_path / "data", tmp_path / "home/coco", lambda text: None)
    assert (tmp_path / "data/coco/train2017").is_symlink()
    assert len(open_set(COCO, tmp_path / "data").split("test")) == 4


@pytest.mark.parametrize("below", ["", "coco/"], ids=["flat", "in a folder"])
def test_an_archive_at_hand_is_unpacked(tmp_path: Path, below: str) -> None:
    written.coco(tmp_path / "home")
    names = ("annotations", "train2017", "val2017")
    archive = zipped(tmp_path / "home/coco", tmp_path / "all.zip", *names, below=below)
    COCO.get(tmp_path / "data", archive, lambda text: None)
    assert COCO.missing(tmp_path / "data") is None


def test_what_is_not_all_there_is_said(tmp_path: Path) -> None:
    written.coco(tmp_path / "home")
    shutil.rmtree(tmp_path / "home/coco/val2017")
    with pytest.raises(LookupError, match="--from must be an archive or a folder that has annot"):
        COCO.get(tmp_path / "data", tmp_path / "home/coco", lambda text: None)
    archive = zipped(tmp_path / "home/coco", tmp_path / "some.zip", "annotations")
    with pytest.raises(
        LookupError, match="not all of coco was in .*some.zip: data set coco is not"
    ):
        COCO.get(tmp_path / "data", archive, lambda text: None)
    with pytest.raises(ValueError, match="annotations must not be there yet: it is in"):
        COCO.get(tmp_path / "data", archive, lambda text: None)


def test_a_set_without_an_address_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="run `raysearch data make tiny --root"):
        TINY.get(tmp_path, None, lambda text: None)
    with pytest.raises(LookupError, match="put annotations.mat, images there, from https://www.di"):
        UNREL.get(tmp_path, None, lambda text: None)
