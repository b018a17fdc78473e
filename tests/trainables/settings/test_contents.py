"""Digests are of what is in files, not of where they lie; what has no effect is in none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from trainables.core.training import ExperimentConfig
from trainables.data.corruptions.severities import NAMES
from trainables.detr.config import Detection
from trainables.osc.config import Representation
from trainables.settings.contents import by_content
from trainables.ssl.config import Pretraining, Segmentation, Supervised

TIMM = {"model.kind": "timm", "model.pretrained": True}
CORRUPTION = "evaluation.corruption."
BOXES = {"data.name": "boxes", "data.path": "boxes.json"}
MEASURED = {f"{CORRUPTION}images": 5}
FILES = [
    (Segmentation, "features.checkpoint", {}),
    (Supervised, "data.boxes.coarse_map", BOXES),
    (Pretraining, "data.boxes.coarse_map", BOXES),
    (Supervised, f"{CORRUPTION}reference", MEASURED),
    (Pretraining, f"{CORRUPTION}reference", MEASURED),
    (Pretraining, "data.path", {**BOXES, "data.path": "none.json"}),
    (Supervised, "model.weights_file", TIMM),
    (Pretraining, "model.weights_file", TIMM),
    (Segmentation, "features.weights_file", {}),
    (Representation, "backbone.weights_file", {"backbone.kind": "timm"}),
    (Detection, "backbone.weights_file", {}),
]


@pytest.mark.parametrize(("kind", "name", "values"), FILES)
def test_another_content_is_another_run_and_another_place_is_not(
    kind: type[ExperimentConfig], name: str, values: dict[str, Any], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for file in (first, second):
        file.write_bytes(b"one")
    one, other = (kind().with_values({**values, name: str(file)}) for file in (first, second))
    before = one.digest()
    assert before == other.digest() != kind().with_values(values).digest()
    second.write_bytes(b"two")
    os.utime(second, ns=(0, 0))
    assert other.digest() != before == one.digest()
    first.rename(tmp_path / "moved")
    assert kind().with_values({**values, name: str(tmp_path / "moved")}).digest() == before


def test_a_checkpoint_among_images_hides_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "step.pt").write_bytes(b"weights")
    config = Supervised().with_values({"data.name": "folder", "data.path": str(tmp_path)})
    before = config.digest()
    (tmp_path / "train" / "cat.png").write_bytes(b"image")
    assert config.digest() != before


FOLDER = {"data.name": "folder", "data.path": "none"}
FOLDERS = [
    (Supervised, "data.path", FOLDER),
    (Pretraining, "data.test_path", FOLDER),
    (Supervised, f"{CORRUPTION}path", MEASURED),
]


@pytest.mark.parametrize(("kind", "name", "values"), FOLDERS)
def test_a_folder_is_the_names_and_sizes_of_its_files(
    kind: type[ExperimentConfig], name: str, values: dict[str, Any], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        for file in ("train/ant/1.png", "train/bee/2.png", "test/ant/3.png"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(file.encode())
    (second / ".hidden").touch()
    (second / "train" / ".thumbs").mkdir()
    (second / "train" / ".thumbs" / "1.png").touch()
    one, other = (kind().with_values({**values, name: str(each)}) for each in (first, second))
    before = one.digest()
    assert before == other.digest() != kind().with_values(values).digest()
    (second / "train/ant/4.png").touch()
    added = other.digest()
    (second / "train/ant/4.png").rename(second / "train/ant/5.png")
    renamed = other.digest()
    assert len({before, added, renamed}) == 3 and one.digest() == before
    (second / "train/ant/5.png").unlink()
    assert other.digest() == before


def test_a_file_that_is_not_there_is_its_path_and_null_stays_null() -> None:
    plain = {"file": "/none/there", "other": None, "kept": "/none/there"}
    assert by_content(plain, "file", "other", "void") == plain


ALONE = [
    (Supervised, BOXES, {"data.boxes.pictures": "/elsewhere"}),
    (Supervised, {}, {f"{CORRUPTION}reference": "a.csv"}),
    (Pretraining, {"method.centre": "scalar"}, {"method.centre_momentum": 0.5}),
    (Supervised, MEASURED, {f"{CORRUPTION}corruptions": list(reversed(NAMES))}),
]


@pytest.mark.parametrize(("kind", "values", "void"), ALONE)
def test_what_has_no_effect_is_in_no_digest(
    kind: type[ExperimentConfig], values: dict[str, Any], void: dict[str, Any]
) -> None:
    assert kind().with_values(values).digest() == kind().with_values(values | void).digest()


def test_the_order_of_corruptions_is_in_no_digest() -> None:
    def digest(*names: str) -> str:
        return Supervised().with_values(MEASURED | {f"{CORRUPTION}corruptions": names}).digest()

    assert digest("fog", "frost") == digest("frost", "fog") != digest("fog")


def test_a_centre_that_changes_softmax_moves_by_its_momentum() -> None:
    values = {"method.centre_momentum": 0.5}
    assert Pretraining().with_values(values).digest() != Pretraining().digest()
