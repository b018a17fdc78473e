"""Pictures without boxes: for methods that see no labels, beside boxes or alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data.boxes.crops import Options, crops
from trainables.data.images import Images, load
from trainables.settings.images import Images as Settings
from trainables.ssl.config import Pretraining
from trainables.ssl.pretraining import PretrainingExperiment

GREY = 40


@pytest.fixture(scope="module")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty sequences of two pictures; every second has boxes in its first picture only, every
    third none at all. Pictures without boxes are grey all over, by the number of the sequence.
    """
    folder = tmp_path_factory.mktemp("sea")
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for number in range(30):
        for frame in range(2):
            key = 2 * number + frame
            name = f"Seq_{number:02}_frame{frame}.png"
            is_empty = number % 3 == 0 or (number % 2 == 0 and frame == 1)
            pixels = np.full((20, 30), GREY + number, np.uint8)
            images.append({"id": key, "file_name": name, "width": 30, "height": 20})
            if not is_empty:
                pixels[5:15, 5:15] = 200
                boxes.append({"image_id": key, "category_id": number % 2, "bbox": [5, 5, 10, 10]})
            Image.fromarray(pixels).save(folder / name)
    categories = [{"id": 0, "name": "boat"}, {"id": 1, "name": "buoy"}]
    found = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(found))
    return folder


def settings(sea: Path, root: Path, **values: Any) -> dict[str, Any]:
    given = {"name": "boxes", "path": str(sea / "boxes.json"), "root": str(root)}
    given |= {"image_size": 8, "channels": 1, "boxes.min_crop_size": 1}
    given |= {"boxes.sequence_pattern": r"Seq_\d+", "boxes.val_share": 0.2, **values}
    return {f"data.{name}": value for name, value in given.items()}


def opened(sea: Path, root: Path, kind: str) -> Images:
    values = settings(sea, root, **{"boxes.empty_pictures": kind})
    chosen = Settings().with_values({k.removeprefix("data."): v for k, v in values.items()})
    arguments = chosen.arguments()
    found = load(chosen.facts(), root=root, path=sea / "boxes.json", **arguments)
    assert isinstance(found, Images)
    return found


def test_they_are_whole_and_of_no_group_of_validation_or_test(sea: Path) -> None:
    options: dict[str, Any] = {"min_crop_size": 1, "sequence_pattern": r"Seq_\d+", "val_share": 0.2}
    found = crops(sea / "boxes.json", 0, Options(**options, takes_empty=True))
    plain = crops(sea / "boxes.json", 0, Options(**options))
    assert found.boxes == plain.boxes and found.fingerprint != plain.fingerprint
    with_boxes = {box.file for box in found.boxes}
    apart = {box.file[:6] for box in found.boxes if box.split != "train"}
    every = {f"Seq_{number:02}_frame{frame}.png" for number in range(30) for frame in range(2)}
    expected = {file for file in every - with_boxes if file[:6] not in apart}
    assert {box.file for box in found.empty} == expected and len(expected) >= 20
    assert len(every - with_boxes) > len(expected)
    assert {box.corners for box in found.empty} == {(0.0, 0.0, 1.0, 1.0)}


def test_beside_boxes_they_come_behind_them_and_alone_they_are_all(
    sea: Path, tmp_path: Path
) -> None:
    none, beside, alone = (opened(sea, tmp_path, kind) for kind in ("none", "beside", "alone"))
    assert none.with_unlabelled is None and beside.with_unlabelled and alone.with_unlabelled
    train, both = len(none.train), len(beside.with_unlabelled)
    assert len(beside.train) == len(alone.train) == train and len(alone.with_unlabelled) > 0
    assert both == train + len(alone.with_unlabelled)
    assert torch.equal(beside.mean, none.mean)
    grey = alone.with_unlabelled.pixels(torch.arange(len(alone.with_unlabelled))) * 255
    assert float((grey.amax((1, 2, 3)) - grey.amin((1, 2, 3))).max()) == 0  # no thing in any
    assert (alone.with_unlabelled.labels == -1).all()
    behind = beside.with_unlabelled.pixels(torch.arange(train, both)) * 255
    assert torch.equal(behind, grey)


def test_methods_that_see_no_labels_learn_from_them_and_others_do_not(
    sea: Path, tmp_path: Path
) -> None:
    alone = settings(sea, tmp_path, **{"boxes.empty_pictures": "alone"})
    small: dict[str, Any] = {"views.kind": "contrastive", "views.size": 8, "model.patch_size": 4}
    small |= {"optimizer.final_weight_decay": None}
    made = [Pretraining().with_values({**small, **alone, "method.kind": kind})
            for kind in ("simclr", "supcon")]  # fmt: skip
    sizes: list[int] = []
    for config in made:
        experiment = PretrainingExperiment.create(config.to_json())
        experiment.load()
        sizes.append(experiment.num_examples)
        assert len(experiment.split("val")) > 0
    assert sizes[0] >= 20 and sizes[1] != sizes[0]
    plain = [one.with_values({"data.boxes.empty_pictures": "none"}) for one in made]
    assert [one.digest() == other.digest() for one, other in zip(made, plain, strict=True)] == [
        False,
        True,
    ]


def test_where_all_have_boxes_there_is_nothing_to_take(sea: Path, tmp_path: Path) -> None:
    found = json.loads((sea / "boxes.json").read_text())
    there = {one["image_id"] for one in found["annotations"]}
    found["images"] = [one for one in found["images"] if one["id"] in there]
    (tmp_path / "boxes.json").write_text(json.dumps(found))
    with pytest.raises(ValueError, match="data.boxes.empty_pictures must be 'none' where each"):
        crops(tmp_path / "boxes.json", 0, Options(min_crop_size=1, takes_empty=True))


def test_nothing_in_them_is_labelled() -> None:
    values: dict[str, Any] = {"data.name": "boxes", "data.path": "a.json"}
    values |= {"data.boxes.empty_pictures": "beside", "data.labels_from.weights_file": "a.pt"}
    values |= {"data.labels_from.weights_part": "student", "data.labels_from.by": "classifier"}
    with pytest.raises(ValueError, match="empty_pictures must be 'none' with data.labels_from"):
        Pretraining().with_values(values)
