"""Which scenes: what the catalogue has, what has no effect, and where a store is looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from trainables.data.scenes.catalog import SCENE_SETS
from trainables.settings.scenes import Scenes, SceneSet


def test_the_names_are_those_of_the_catalogue() -> None:
    assert set(get_args(SceneSet)) == SCENE_SETS.keys()


def test_a_range_of_objects_is_not_empty() -> None:
    assert Scenes(min_objects=3, max_objects=3).max_objects == 3
    with pytest.raises(ValueError, match=r"max_objects must be at least min_objects \(4\), got 3"):
        Scenes().with_values({"min_objects": 4, "max_objects": 3})


@pytest.mark.parametrize(
    ("values", "void"),
    [
        ({}, {"root", "max_objects", "limit", "frames"}),
        ({"max_objects": 6, "limit": 10}, {"root", "frames"}),
        ({"frames": 3}, {"root", "max_objects", "limit", "frames"}),
        ({"name": "movi_c", "frames": 3}, {"root", "max_objects", "limit"}),
        (
            {"name": "digit_grids", "made": True, "frames": 1},
            {"root", "max_objects", "limit", "crop", "interpolation"},
        ),
    ],
)
def test_what_has_no_effect_is_void(values: dict[str, Any], void: set[str]) -> None:
    assert Scenes(**values).void() == void | {"copy_to"}


def test_what_is_only_made_is_made() -> None:
    with pytest.raises(ValueError, match="made must be true for digit_grids, .* got false"):
        Scenes(name="digit_grids")
    with pytest.raises(ValueError, match="made must be false for nuclei, .* got true"):
        Scenes(name="nuclei", made=True)
    assert Scenes(name="nuclei").folder().name == "nuclei-128-none-nearest"


def test_squares_are_found_whatever_the_crop(tmp_path: Path) -> None:
    scenes = Scenes(name="digit_grids", made=True, image_size=48, root=str(tmp_path))
    assert scenes.folder() == tmp_path / "prepared/made-digit_grids-48-none-nearest"
    assert scenes.canonical() == scenes.with_values({"crop": "square"}).canonical()


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    scenes = Scenes(name="tetrominoes", made=True, root=str(tmp_path), image_size=28, crop="none")
    said = scenes.missing()
    assert said is not None and f"looked for in {scenes.folder()}" in said
    scenes.folder().mkdir(parents=True)
    (scenes.folder() / "manifest.json").touch()
    assert scenes.missing() is None
