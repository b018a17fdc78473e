"""Boxes as images with a class: which, cut how, and in which split."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data.boxes.crops import Crops, Options, crops
from trainables.data.boxes.cutting import cut
from trainables.data.boxes.dividing import divided, grouped
from trainables.data.boxes.listing import corners, listed
from trainables.data.images import Images, load
from trainables.settings.images import Images as Settings
from trainables.synthetic.thermal import COUNTS, write_thermal

SEQUENCES = r"Trip_\d+_Seq_\d+"


@pytest.fixture(scope="module")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some pictures of the sea, in both forms."""
    return write_thermal(tmp_path_factory.mktemp("sea"), share=0.02, size=(24, 32))


def of_sea(sea: Path, form: str = "samples", seed: int = 0, **options: Any) -> Crops:
    given: dict[str, Any] = {"min_crop_size": 1, "sequence_pattern": SEQUENCES, **options}
    return crops(sea / f"{form}.json", seed, Options(**given))


@pytest.mark.parametrize(
    "box", [(0.7, 0.2, -0.4, 0.5), (0.3, 0.7, 0.4, -0.5), (0.7, 0.7, -0.4, -0.5)]
)
def test_a_box_drawn_backwards_is_the_same_box(box: tuple[float, float, float, float]) -> None:
    assert corners(*box) == pytest.approx(corners(0.3, 0.2, 0.4, 0.5))


def test_a_box_ends_with_its_picture() -> None:
    assert corners(-0.2, 0.9, 0.5, 0.4) == pytest.approx((0, 0.9, 0.3, 1))
    assert corners(1.1, 0.2, 0.3, 0.3) is None and corners(0.1, 0.2, 0.0, 0.3) is None


def listing(path: Path, boxes: list[tuple[str, list[float]]], files: int = 1) -> Path:
    """Pictures of 100 × 50 pixels, with the same boxes each, as COCO."""
    names = sorted({label for label, _ in boxes})
    images = [
        {"id": number, "file_name": f"{number:03}.png", "width": 100, "height": 50}
        for number in range(files)
    ]
    annotations = [
        {"id": 0, "image_id": image["id"], "category_id": names.index(label), "bbox": box}
        for image in images
        for label, box in boxes
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    found = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(found))
    return path


BOXES: list[tuple[str, list[float]]] = [
    ("ship", [60, 40, -50, -30]),
    ("buoy", [0, 0, 10, 10]),
    ("bird", [90, 10, 4, 4]),
]


def test_boxes_of_coco_are_in_shares_of_the_picture(tmp_path: Path) -> None:
    [picture] = listed(listing(tmp_path / "boxes.json", BOXES))
    assert (picture.file, picture.width, picture.height) == ("000.png", 100, 50)
    found = dict(picture.boxes)
    assert found["ship"] == pytest.approx((0.1, 0.2, 0.6, 0.8))
    assert found["bird"] == pytest.approx((0.9, 0.2, 0.94, 0.28))


def chosen(path: Path, **options: Any) -> Counter[str]:
    given: dict[str, Any] = {"min_crop_size": 1, **options}
    found = crops(path, 0, Options(**given))
    return Counter(box.label for box in found.boxes)


def test_which_boxes(tmp_path: Path) -> None:
    path = listing(tmp_path / "boxes.json", BOXES, files=30)
    assert chosen(path) == {"ship": 30, "buoy": 30, "bird": 30}
    assert chosen(path, min_crop_size=4) == {"ship": 30, "buoy": 30}  # 4² is not below 16
    assert chosen(path, min_crop_size=3) == chosen(path)
    assert chosen(path, classes=("bird", "buoy")) == {"bird": 30, "buoy": 30}
    assert chosen(path, max_per_class=12) == {"ship": 12, "buoy": 12, "bird": 12}
    with pytest.raises(ValueError, match="at least two classes .* has ship; of no others"):
        chosen(path, crop="largest")


def test_the_largest_box_is_so_whichever_way_it_was_drawn(tmp_path: Path) -> None:
    path = listing(tmp_path / "boxes.json", BOXES, files=30)
    found = json.loads(path.read_text())
    odd = [one for one in found["annotations"] if one["image_id"] % 2]
    only = [one for one in odd if one["bbox"][0] == 0]  # the buoy
    even = [one for one in found["annotations"] if not one["image_id"] % 2]
    path.write_text(json.dumps({**found, "annotations": only + even}))
    assert chosen(path, crop="largest") == {"ship": 15, "buoy": 15}


def test_labels_become_coarse_by_a_file(tmp_path: Path) -> None:
    path = listing(tmp_path / "boxes.json", BOXES, files=30)
    table: dict[str, Any] = {"classes": {"THING": ["ship", "buoy"], "ANIMAL": ["bird"]}}
    (tmp_path / "map.json").write_text(json.dumps(table))
    coarse = str(tmp_path / "map.json")
    assert chosen(path, coarse_map=coarse) == {"THING": 60, "ANIMAL": 30}
    table = {"classes": {"SHIP": ["ship"], "BUOY": ["buoy"]}, "drop": ["bird"]}
    (tmp_path / "other.json").write_text(json.dumps(table))
    assert chosen(path, coarse_map=str(tmp_path / "other.json")) == {"SHIP": 30, "BUOY": 30}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"classes": {"A": ["ship"], "B": ["buoy"]}}, "must say what becomes of 'bird', or have"),
        (
            {"classes": {"A": ["ship"]}, "drop": ["ship"]},
            "must have each label once, got 'ship' twice",
        ),
        ({"A": ["ship"]}, "must be JSON"),
        (None, "must be a file, and there is none"),
    ],
)
def test_a_map_says_what_becomes_of_all(tmp_path: Path, table: Any, sentence: str) -> None:
    path = listing(tmp_path / "boxes.json", BOXES, files=30)
    if table is not None:
        (tmp_path / "map.json").write_text(json.dumps(table))
    with pytest.raises((LookupError, ValueError), match=f"data.boxes.coarse_map {sentence}"):
        chosen(path, coarse_map=str(tmp_path / "map.json"))


def test_both_forms_list_the_same(sea: Path) -> None:
    one, other = of_sea(sea), of_sea(sea, "boxes")
    assert one.classes == other.classes and len(one.boxes) == len(other.boxes) > 80
    for first, second in zip(one.boxes, other.boxes, strict=True):
        assert (first.file, first.label, first.split) == (second.file, second.label, second.split)
        assert first.corners == pytest.approx(second.corners)


def test_sequences_and_pairs_stay_together(sea: Path) -> None:
    found = of_sea(sea)
    places = {}
    for box in found.boxes:
        places.setdefault(Path(box.file).parent.name, set()).add(box.split)
    assert all(len(splits) == 1 for splits in places.values())
    assert {box.split for box in found.boxes} == {"train", "val", "test"}
    apart = of_sea(sea, "boxes", sequence_pattern=None)
    pairs: dict[str, set[str]] = {}
    for box in apart.boxes:
        pairs.setdefault(box.file.rpartition("_")[0], set()).add(box.split)
    assert all(len(splits) == 1 for splits in pairs.values())
    assert len(pairs) * 2 == len(apart.boxes)


def test_each_split_has_each_class_and_others_are_said(
    sea: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = of_sea(sea, seed=41)
    for split in ("train", "val", "test"):
        assert {box.label for box in found.boxes if box.split == split} == set(found.classes)
    assert found.classes == tuple(sorted(found.classes)) and "ALGAE" in found.dropped
    assert "ALGAE, BIRD" in caplog.text and "left out" in caplog.text
    assert set(found.classes) | set(found.dropped) == set(COUNTS)


def test_splits_have_their_shares_of_each_class() -> None:
    groups = [number // 4 for number in range(400)]
    labels = [("a", "b", "b", "c")[group % 4] for group in groups]
    shares = {"train": 0.8, "val": 0.1, "test": 0.1}
    found = Counter(zip(labels, divided(groups, labels, shares, 3), strict=True))
    assert found["b", "train"] == 160 and found["b", "val"] == found["b", "test"] == 20
    for name, share in shares.items():  # to within a group
        assert abs(found["a", name] - 100 * share) <= 4 >= abs(found["c", name] - 100 * share)


def test_what_shares_a_key_is_one_group() -> None:
    keys = [["a"], ["b", "x"], ["c"], ["x", "d"], ["d", "a"]]
    assert grouped(keys) == [0, 0, 2, 0, 0]


def test_splits_are_the_same_in_any_process(sea: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from trainables.data.boxes.crops import Options, crops\n"
        f"options = Options(min_crop_size=1, sequence_pattern={SEQUENCES!r})\n"
        "print(crops(Path(sys.argv[1]), 0, options).fingerprint)\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(sea / "samples.json")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "77")
    }
    assert found == {of_sea(sea).fingerprint}
    assert of_sea(sea, seed=1).fingerprint not in found


def test_a_crop_is_what_stands_there() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    box = (10 / 60, 5 / 40, 26 / 60, 21 / 40)
    found = cut(picture, box, 16, context=0, shape="warp")
    assert (found[0] == pixels[5:21, 10:26]).all()
    flat = cut(picture, (10 / 60, 5 / 40, 26 / 60, 13 / 40), 16, context=0, shape="pad")
    assert (flat[0, 4:12] == pixels[5:13, 10:26]).all()
    assert not flat[0, :4].any() and not flat[0, 12:].any()


def test_context_ends_with_the_picture() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    inner = cut(picture, (20 / 60, 10 / 40, 30 / 60, 20 / 40), 20, context=0.5, shape="warp")
    assert (inner[0] == pixels[5:25, 15:35]).all()
    corner = cut(picture, (0.0, 0.0, 10 / 60, 10 / 40), 15, context=0.5, shape="warp")
    assert (corner[0] == pixels[:15, :15]).all()


def loaded(sea: Path, root: Path, **values: Any) -> tuple[Settings, Images]:
    named = {"name": "boxes", "path": str(sea / "samples.json"), "root": str(root), **values}
    own = {"channels": 1, "image_size": 16, "boxes.min_crop_size": 1}
    settings = Settings(name="boxes", path="").with_values(
        {"boxes.sequence_pattern": SEQUENCES, **own, **named}
    )
    facts = settings.facts()
    found = load(facts, root=root, path=Path(str(settings.path)), **settings.arguments())
    assert isinstance(found, Images)
    return settings, found


@pytest.mark.parametrize("scale", ["bytes", "window"])
def test_boxes_are_a_data_set(sea: Path, tmp_path: Path, scale: str) -> None:
    settings, found = loaded(sea, tmp_path, **{"thermal.scale": scale})
    plan = of_sea(sea)
    assert settings.facts().classes == plan.classes and settings.missing() is None
    boxes = [box for box in plan.boxes if box.split == "val"]
    assert found.val.labels.tolist() == [plan.classes.index(box.label) for box in boxes]
    picture = Image.open(sea / boxes[3].file)
    counts = np.asarray(picture)
    plain: Any = Image.fromarray((counts >> 8).astype(np.uint8))
    if scale == "window":
        plain = Image.fromarray(counts.astype(np.float32))
    expected = cut(plain, boxes[3].corners, 16, context=0, shape="warp").astype(np.float64)
    if scale == "window":
        expected = ((expected * 2080 / 65535 - 90) / 40).clip(0, 1)
    else:
        expected /= 255
    torch.testing.assert_close(
        found.val.pixels(torch.tensor([3]))[0].double(), torch.from_numpy(expected),
        atol=1e-5, rtol=0,
    )  # fmt: skip


def test_crops_are_cut_once(sea: Path, tmp_path: Path) -> None:
    _, first = loaded(sea, tmp_path)
    made = list((tmp_path / "cache").glob("boxes-*/train-images.npy"))
    times = [path.stat().st_mtime_ns for path in made]
    _, again = loaded(sea, tmp_path)
    assert first.fingerprint == again.fingerprint
    assert [path.stat().st_mtime_ns for path in made] == times and len(times) == 1
    assert loaded(sea, tmp_path, split_seed=1)[0].facts() is not None


def test_what_is_not_there_is_said(sea: Path, tmp_path: Path) -> None:
    nowhere = Settings(name="boxes", path=str(tmp_path / "no.json"))
    assert "data.path must be a file of boxes" in str(nowhere.missing())
    (tmp_path / "bad.json").write_text("{")
    damaged = Settings(name="boxes", path=str(tmp_path / "bad.json"))
    assert "cannot be read as JSON" in str(damaged.missing())
    (tmp_path / "other.json").write_text("{}")
    said = Settings(name="boxes", path=str(tmp_path / "other.json")).missing()
    assert "must have images, annotations and categories" in str(said)
    with pytest.raises(LookupError, match="data.boxes.pictures must be the folder"):
        loaded(sea, tmp_path, **{"boxes.pictures": str(tmp_path)})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"boxes.test_share": 0.9}, r"boxes.test_share must leave boxes .* \(0.1\), got 0.9"),
        ({"boxes.sequence_pattern": "("}, "boxes.sequence_pattern.* must be a regular expression"),
        ({"thermal.scale": "whole", "channels": 3}, "channels must be 1 with data.thermal.scale"),
        ({"path": None}, "path must be given with data.name 'boxes'"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Settings(name="boxes", path="sea").with_values(values)


def test_boxes_need_a_field_where_there_are_two(tmp_path: Path) -> None:
    found = {"detections": [{"label": "ship", "bounding_box": [0.1, 0.1, 0.5, 0.5]}]}
    sample = {
        "filepath": "a.png",
        "metadata": {"width": 9, "height": 9},
        "one": found,
        "two": found,
    }
    path = tmp_path / "samples.json"
    path.write_text(json.dumps({"samples": [sample]}))
    with pytest.raises(ValueError, match="data.boxes.field must say .* a.png are meant: one, two"):
        listed(path)
    assert len(listed(path, "two")[0].boxes) == 1
    del sample["metadata"]
    path.write_text(json.dumps({"samples": [sample]}))
    with pytest.raises(ValueError, match=r"a\.png must be listed with its width and height"):
        listed(path)
