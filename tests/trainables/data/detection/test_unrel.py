"""UnRel is measured by categories that mean the same, or, as published, by numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from trainables.data.detection import unrel
from trainables.data.detection.catalog import UNREL
from trainables.data.detection.names import COCO_NAMES
from trainables.data.detection.store import open_set, truth

ENTRIES: list[dict[str, Any]] = [
    {
        "filename": "1.jpg",
        "im_id": 1,
        "objects": [
            {"category": "person", "box": [3, 4, 23, 34]},
            {"category": "bike", "box": [10, 10, 60, 40]},
            {"category": "tree", "box": [0, 0, 10, 40]},
        ],
    },
    {"filename": "2.jpg", "im_id": 2, "objects": [{"category": "trees", "box": [0, 0, 9, 9]}]},
    {"filename": "5.jpg", "im_id": 5, "objects": []},
]


def cells(values: list[Any]) -> np.ndarray:
    """A cell array, as MATLAB has it."""
    found = np.empty((len(values), 1), object)
    found[:, 0] = values
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    (root / "unrel/images").mkdir(parents=True)
    for entry in ENTRIES:
        Image.new("RGB", (70, 50)).save(root / "unrel/images" / entry["filename"])
    entries = [
        {
            **entry,
            "relationships": cells([]),
            "objects": cells(
                [{**o, "box": np.array(o["box"], np.uint16)} for o in entry["objects"]]
            ),
        }
        for entry in ENTRIES
    ]
    savemat(root / "unrel/annotations.mat", {"annotations": cells(entries)})
    return root


def test_the_file_of_matlab_says_what_was_written(root: Path) -> None:
    assert unrel.read(root / "unrel/annotations.mat") == ENTRIES


def test_names_are_mapped_to_categories_of_coco(root: Path) -> None:
    found = open_set(UNREL, root)
    split = found.split("test")
    assert dict(found.categories) == COCO_NAMES and found.num_classes == UNREL.num_classes == 91
    assert split.targets(0).classes.tolist() == [1, 2]  # person, bicycle
    assert split.targets(0).boxes.tolist() == [[3, 4, 23, 34], [10, 10, 60, 40]]
    assert len(split) == 3 and len(split.targets(1).boxes) == len(split.targets(2).boxes) == 0


def test_only_mapped_categories_are_measured_and_the_others_listed(root: Path) -> None:
    found = truth(open_set(UNREL, root).split("test"))
    assert {one["category_id"] for one in found["annotations"]} == {1, 2}
    assert [one["id"] for one in found["annotations"]] == [1, 2]
    assert found["annotations"][1]["area"] == 50 * 30
    said = json.loads((root / "prepared/unrel-mapped/annotations/instances_test.json").read_text())
    assert said["info"]["unmapped"] == {"tree": 1, "trees": 1}


def test_as_numbered_names_are_counted_as_they_appear(root: Path) -> None:
    found = open_set(UNREL, root, names="as_numbered")
    assert dict(found.categories) == {1: "person", 2: "bike", 3: "tree", 4: "trees"}
    assert found.split("test").targets(0).classes.tolist() == [1, 2, 3]
    assert [one["id"] for one in truth(found.split("test"))["annotations"]] == [1, 2, 3, 4]
    assert found.fingerprint != open_set(UNREL, root).fingerprint


def test_every_synonym_is_a_category_and_no_other_name_of_one() -> None:
    assert set(unrel.SYNONYMS.values()) <= set(COCO_NAMES.values())
    assert not set(unrel.SYNONYMS) & set(COCO_NAMES.values())


def test_what_is_wrong_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names must be mapped or as_numbered, got 'none'"):
        open_set(UNREL, root, names="none")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="image_size must be left out for unrel, got 64"):
        open_set(UNREL, root, image_size=64)
    with pytest.raises(
        LookupError, match="data set unrel is not there .*; put annotations.mat, im"
    ):
        open_set(UNREL, tmp_path)
    (tmp_path / "annotations.mat").write_bytes(b"none")
    with pytest.raises(ValueError, match="must be UnRel's annotations.mat, and cannot be read"):
        unrel.read(tmp_path / "annotations.mat")
    with pytest.raises(ValueError, match="images/1.jpg must be a picture that can be read"):
        unrel.converted(ENTRIES, tmp_path, "mapped")
