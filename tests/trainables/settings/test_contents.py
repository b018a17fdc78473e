"""Digests are of what is in files, not of where they lie; what has no effect is in none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from trainables.core.training import ExperimentConfig
from trainables.data.corruptions.severities import NAMES
from trainables.settings.contents import by_content
from trainables.ssl.config import Pretraining, Segmentation, Supervised

CORRUPTION = "evaluation.corruption."
BOXES = {"data.name": "boxes", "data.path": "boxes.json"}
MEASURED = {f"{CORRUPTION}images": 5}
FILES = [
    (Segmentation, "features.checkpoint", {}),
    (Supervised, "data.boxes.coarse_map", BOXES),
    (Pretraining, "data.boxes.coarse_map", BOXES),
    (Supervised, f"{CORRUPTION}reference", MEASURED),
    (Pretraining, f"{CORRUPTION}reference", MEASURED),
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
