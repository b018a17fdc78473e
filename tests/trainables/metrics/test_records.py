"""Records: a row an image, and from them means, intervals and curves."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from trainables.metrics.records import Mean, Records, deviation, mean


@pytest.fixture
def records() -> Records:
    """Two batches; the score of the third image is not defined."""
    table = Records()
    table.add({"objects": torch.tensor([1, 2, 1]), "score": torch.tensor([0.5, 1.0, math.nan])})
    table.add({"objects": torch.tensor([2]), "score": torch.tensor([0.25])})
    return table


def test_means_leave_out_what_is_not_defined(records: Records) -> None:
    assert len(records) == 4
    assert records.means() == {"objects": 1.5, "score": 1.75 / 3}


def test_an_interval_is_that_of_student() -> None:
    values = torch.randn(9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    low, high = stats.t.interval(0.95, 8, np.mean(values.numpy()), stats.sem(values.numpy()))
    assert mean(values) == pytest.approx((float(values.mean()), low, high, 9))


def test_an_interval_needs_two_values() -> None:
    assert mean(torch.tensor([3.0])) == pytest.approx((3, math.nan, math.nan, 1), nan_ok=True)
    assert mean(torch.tensor([3.0, 3.0])) == Mean(3, 3, 3, 2)
    assert mean(torch.tensor([math.nan])).number == 0


def test_means_by_the_number_of_objects_are_a_curve(records: Records) -> None:
    curve = records.by("objects")
    assert {number: row["score"].mean for number, row in curve.items()} == {1: 0.5, 2: 0.625}
    assert [row["score"].number for row in curve.values()] == [1, 2]


def test_the_frames_of_a_clip_count_once() -> None:
    table = Records()
    table.add({"clip": torch.tensor([7, 7, 9, 9]), "score": torch.tensor([0.0, 1, 1, math.nan])})
    assert table.summary("clip")["score"] == pytest.approx(mean(torch.tensor([0.5, 1.0])))
    assert table.summary()["score"].number == 3


def test_a_file_has_a_line_for_each_image(records: Records, tmp_path: Path) -> None:
    records.write(tmp_path / "images.csv")
    with (tmp_path / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["objects"] for row in rows] == ["1", "2", "1", "2"]
    assert [float(row["score"]) for row in rows] == pytest.approx(
        [0.5, 1, math.nan, 0.25], nan_ok=True
    )
    assert [path.name for path in tmp_path.iterdir()] == ["images.csv"]


def test_batches_of_other_columns_or_lengths_are_refused(records: Records) -> None:
    with pytest.raises(ValueError, match="must have the columns objects, score, got objects"):
        records.add({"objects": torch.tensor([1])})
    with pytest.raises(ValueError, match=r"one length, got \{'objects': 1, 'score': 2\}"):
        records.add({"objects": torch.tensor([1]), "score": torch.zeros(2)})
    with pytest.raises(LookupError, match="no column 'mbo'; there are objects, score"):
        records.column("mbo")


def test_a_deviation_is_of_what_is_a_number() -> None:
    assert deviation(torch.tensor([1.0, math.nan, 2.0, 6.0])) == pytest.approx(7**0.5)
    assert math.isnan(deviation(torch.tensor([1.0, math.nan])))
