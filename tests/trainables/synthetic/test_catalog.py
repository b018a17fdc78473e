"""What the catalogue of makers offers is what can be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raysearch.sweeps import catalog
from trainables.data.scenes.catalog import SCENE_SETS
from trainables.synthetic.catalog import MAKERS
from trainables.synthetic.sets import MADE


def test_makers_are_offered_for_what_can_be_made() -> None:
    assert MAKERS.keys() == MADE.keys()
    assert all(catalog.find_maker(name, ["trainables"]) is MAKERS[name] for name in MADE)


def test_only_what_is_no_data_set_is_unknown() -> None:
    with pytest.raises(LookupError, match="no data set is named 'clevrr'; did you mean 'clevr'"):
        catalog.find_maker("clevrr", ["trainables"])
    with pytest.raises(LookupError, match="data set mnist cannot be made; these can: .*tiny$"):
        catalog.find_maker("mnist", ["trainables"])


def test_pictures_are_as_high_as_their_crop_needs(tmp_path: Path) -> None:
    folder = MAKERS["clevr"].make(
        tmp_path, scenes=2, image_size=32, seed=0, progress=lambda done, total: None, rules={}
    )
    assert folder == tmp_path / "made/clevr-32"
    assert json.loads((folder / "made.json").read_text())["image_size"] == 40  # 32 · 240 / 192
    assert SCENE_SETS["tetrominoes"].made_height(32, None) == 32


def test_nothing_is_made_for_a_crop_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="crop must be one of none, .*, whole, got 'bogus'"):
        MAKERS["clevr"].make(
            tmp_path,
            scenes=2,
            image_size=32,
            crop="bogus",
            seed=0,
            progress=lambda done, total: None,
            rules={},
        )
    assert not any(tmp_path.iterdir())
