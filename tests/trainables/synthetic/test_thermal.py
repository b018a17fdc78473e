"""Made sea scenes: as many boxes as published, in degrees, in both forms."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from trainables.synthetic.thermal import COARSE, COUNTS, counts_of, write_thermal


def test_the_published_numbers_of_boxes() -> None:
    assert (len(COUNTS), sum(COUNTS.values())) == (32, 10_553)
    groups = {name: sum(COUNTS[one] for one in labels) for name, labels in COARSE.items()}
    assert sorted(label for labels in COARSE.values() for label in labels) == sorted(COUNTS)
    assert list(groups.values()) == [3503, 193, 70, 503, 4908, 962, 414]
    assert COUNTS["FAR_AWAY_OBJECT"] == max(COUNTS.values()) == 4650


def test_a_small_set(tmp_path: Path) -> None:
    folder = write_thermal(tmp_path, share=0.01, size=(12, 16))
    samples = json.loads((folder / "samples.json").read_text())["samples"]
    labels = Counter(
        one["label"] for each in samples for one in each["ground_truth_det"]["detections"]
    )
    assert labels["FAR_AWAY_OBJECT"] == 48 and labels["ALGAE"] == 4 and len(labels) == 32
    groups = Counter(each["group"]["_id"]["$oid"] for each in samples)
    assert set(groups.values()) == {2}
    sides = {
        one["bounding_box"][2] < 0
        for each in samples
        for one in each["ground_truth_det"]["detections"]
    }
    assert sides == {True, False}
    counts = np.asarray(Image.open(folder / samples[0]["filepath"]))
    assert counts.dtype == np.uint16 and counts.shape == (12, 16)
    degrees = counts * (2080 / 65535) - 80
    assert 9 < degrees.min() < 16 < degrees.max() < 50
    assert json.loads((folder / "boxes.json").read_text())["images"][0]["width"] == 16


def test_the_same_seed_makes_the_same(tmp_path: Path) -> None:
    one, two, other = (
        (write_thermal(tmp_path / name, share=0.001, size=(8, 8), seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert (one / "boxes.json").read_bytes() == (two / "boxes.json").read_bytes()
    assert (one / "boxes.json").read_bytes() != (other / "boxes.json").read_bytes()


def test_degrees_are_counts() -> None:
    assert counts_of(np.array([-80.0, 10.0, 50.0, 2000.0])).tolist() == [0, 2836, 4096, 65535]


def test_sequences_of_the_sea_alone_come_last_and_change_no_other(tmp_path: Path) -> None:
    plain, more = (
        write_thermal(tmp_path / str(empty), share=0.001, size=(24, 32), empty=empty)
        for empty in (0, 2)
    )
    one, other = (json.loads((each / "boxes.json").read_text()) for each in (plain, more))
    number = len(one["images"])
    assert other["annotations"] == one["annotations"] and other["images"][:number] == one["images"]
    alone = other["images"][number:]
    assert len(alone) == 2 * 2 * 2  # sequences, frames, eyes
    for image in alone:
        counts = np.asarray(Image.open(more / image["file_name"]))
        assert counts.max() < counts_of(np.array([16.5]))[0]  # things are 20 degrees and more
