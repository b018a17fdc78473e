"""What is missing is said with the command that brings it; files are taken from where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.trainables.data.scenes import written
from tests.trainables.data.scenes.test_clevr import clevr
from trainables.data.root import ROOT
from trainables.data.scenes.catalog import SCENE_SETS, missing_store, store_folder
from trainables.data.scenes.formats import SCHEMAS
from trainables.synthetic.catalog import MAKERS

TETROMINOES = SCENE_SETS["tetrominoes"]
OPTIONS: dict[str, Any] = {"image_size": 28, "crop": "none", "interpolation": "nearest"}
PREPARE = "raysearch data prepare {} --image-size {} --crop {} --interpolation nearest"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_set_of_records_has_a_schema_and_its_own_name() -> None:
    assert {name for name, each in SCENE_SETS.items() if each.kind == "records"} == set(SCHEMAS)
    assert all(name == each.name for name, each in SCENE_SETS.items()) and len(SCENE_SETS) == 17


def test_a_store_has_a_folder_of_its_own() -> None:
    assert store_folder(Path("d"), "clevr", made=True, **OPTIONS) == Path(
        "d/prepared/made-clevr-28-none-nearest"
    )


def test_a_store_that_is_there_is_not_missing(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path, 10, 28)
    TETROMINOES.prepare(tmp_path, progress=lambda done, total: None, **OPTIONS)
    assert missing_store(tmp_path, "tetrominoes", made=False, **OPTIONS) is None
    assert missing_store(tmp_path, "tetrominoes", made=True, **OPTIONS) is not None


def test_files_that_are_there_are_to_be_prepared(tmp_path: Path) -> None:
    written.tetrominoes(tmp_path, 1)
    said = missing_store(tmp_path, "tetrominoes", made=False, **OPTIONS)
    run = f"{PREPARE.format('tetrominoes', 28, 'none')} --root {tmp_path}"
    assert said and said.endswith(f"28-none-nearest); run `{run}`")


def test_without_files_they_are_to_be_got_first() -> None:
    said = missing_store(ROOT, "tetrominoes", made=False, **OPTIONS)
    run = PREPARE.format("tetrominoes", 28, "none")
    assert said and said.endswith(f"run `raysearch data get tetrominoes`, then `{run}`")
    said = missing_store(ROOT, "movi_c", made=False, **OPTIONS)
    assert said and "get it from gs://kubric-public/tfds/movi_c/256x256/1.0.0" in said


def test_made_scenes_are_to_be_made() -> None:
    said = missing_store(ROOT, "tetrominoes", made=True, **OPTIONS)
    assert said and said.endswith("run `raysearch data make tetrominoes --image-size 28`")
    said = missing_store(ROOT, "clevr", made=True, **OPTIONS)  # not its customary crop
    run = f"raysearch data make clevr --image-size 28`, then `{PREPARE.format('clevr', 28, 'none')}"
    assert said and said.endswith(f"run `{run} --made`")


@pytest.mark.parametrize("name", ["clevr_with_masks", "tetrominoes"])
@pytest.mark.parametrize("crop", ["square", "whole"])
def test_made_scenes_of_all_rows_are_to_be_made_so(tmp_path: Path, name: str, crop: str) -> None:
    options: dict[str, Any] = {**OPTIONS, "image_size": 32, "crop": crop}
    said = missing_store(tmp_path, name, made=True, **options)
    make = f"raysearch data make {name} --image-size 32 --crop {crop} --root {tmp_path}"
    assert said and said.endswith(f"run `{make}`")
    rest: dict[str, Any] = {"seed": 0, "rules": {}, "progress": lambda done, total: None}
    MAKERS[name].make(tmp_path, scenes=4, image_size=32, crop=crop, **rest)
    said = missing_store(tmp_path, name, made=True, **options)
    run = f"{PREPARE.format(name, 32, crop)} --made --root {tmp_path}"
    assert said and said.endswith(f"run `{run}`")
    SCENE_SETS[name].prepare(
        tmp_path, made=True, image_size=32, crop=crop, progress=lambda done, total: None
    )
    assert missing_store(tmp_path, name, made=True, **options) is None


def test_what_is_only_made_is_to_be_made(tmp_path: Path) -> None:
    options: dict[str, Any] = {**OPTIONS, "image_size": 24}
    said = missing_store(tmp_path, "digit_grids", made=True, **options)
    run = f"raysearch data make digit_grids --image-size 24 --root {tmp_path}"
    assert said and said.endswith(f"; run `{run}`")
    digit_grids = SCENE_SETS["digit_grids"]
    assert digit_grids.looked_for(tmp_path) == [tmp_path / "prepared"]
    said = digit_grids.missing(tmp_path)
    assert said and said.endswith(f"run `raysearch data make digit_grids --root {tmp_path}`")


def test_what_comes_as_squares_is_not_cropped(tmp_path: Path) -> None:
    digit_grids = SCENE_SETS["digit_grids"]
    digit_grids.need_square("none", "nearest")
    SCENE_SETS["clevr"].need_square("centre", "bilinear")
    words = "crop must be none for digit_grids, whose pictures have the size .* got 'centre'"
    rest: dict[str, Any] = {"scenes": 4, "image_size": 24, "seed": 0, "rules": {}}
    with pytest.raises(ValueError, match=words):
        digit_grids.prepare(tmp_path, made=True, crop="centre", progress=lambda done, total: None)
    with pytest.raises(ValueError, match=words):
        MAKERS["digit_grids"].make(
            tmp_path, crop="centre", progress=lambda done, total: None, **rest
        )
    with pytest.raises(ValueError, match="interpolation must be nearest for digit_grids"):
        digit_grids.need_square(None, "bilinear")
    assert not any(tmp_path.iterdir())


def test_made_files_lie_where_they_did() -> None:
    for name, each in SCENE_SETS.items():
        for crop in ("none", "centre", "google", None):
            folder = each.folder(Path("d"), made=True, image_size=28, crop=crop)
            assert folder == Path(f"d/made/{name}-28")
    masked = SCENE_SETS["clevr_with_masks"]
    folder = masked.folder(Path("d"), made=True, image_size=28, crop="whole")
    assert folder == Path("d/made/clevr_with_masks-28-high")


def test_a_set_is_there_with_its_files_or_prepared(tmp_path: Path) -> None:
    said = TETROMINOES.missing(tmp_path)
    assert said and f"run `raysearch data get tetrominoes --root {tmp_path}`, or put" in said
    path = written.tetrominoes(tmp_path, 10, 28)
    assert TETROMINOES.missing(tmp_path) is None
    TETROMINOES.prepare(tmp_path, progress=lambda done, total: None, **OPTIONS)
    path.unlink()
    assert TETROMINOES.missing(tmp_path) is None and TETROMINOES.check(tmp_path) == []


def test_files_at_hand_are_taken(tmp_path: Path) -> None:
    path = written.tetrominoes(tmp_path / "hand", 3)
    said: list[str] = []
    TETROMINOES.get(tmp_path / "data", path, said.append)
    target = tmp_path / "data/tetrominoes"
    assert (target / path.name).samefile(path) and said == [f"tetrominoes is there: {target}"]
    TETROMINOES.get(tmp_path / "data", None, said.append)
    assert said[1] == said[0]


def test_a_folder_at_hand_is_taken_whole(tmp_path: Path) -> None:
    given = clevr(tmp_path / "hand/CLEVR_v1.0", 3, 2)
    SCENE_SETS["clevr"].get(tmp_path / "data", given.parent, lambda text: None)
    found = tmp_path / "data/clevr/CLEVR_v1.0"
    names = {path.relative_to(given) for path in given.rglob("*.*")}
    assert {path.relative_to(found) for path in found.rglob("*.*")} == names and len(names) == 7


def test_what_cannot_be_got_is_said(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="data set movi_c is not there .* put movi_c-train"):
        SCENE_SETS["movi_c"].get(tmp_path, None, print)
    with pytest.raises(LookupError, match="run `raysearch data make digit_grids --root [^ ]*`$"):
        SCENE_SETS["digit_grids"].get(tmp_path, None, print)
    with pytest.raises(LookupError, match="--from must be a folder that has tetrominoes_train.tf"):
        TETROMINOES.get(tmp_path, tmp_path, print)
