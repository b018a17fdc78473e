"""Counts of 16 bits: degrees, windows, percentiles, and statistics of what is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data import folder, images
from trainables.data.catalog import folder_facts
from trainables.data.images import Images
from trainables.data.thermal import Reading, percentiles, window
from trainables.settings.images import Images as Settings
from trainables.settings.thermal import Thermal

CAMERA: dict[str, float] = {"coldest": -80, "hottest": 2000, "largest": 65535}


def test_the_window_of_the_camera() -> None:
    per_count = 2080 / 65535
    counts = torch.tensor([0.0, 90 / per_count, 110 / per_count, 130 / per_count, 65535.0])
    found = window(counts, low=10, high=50, **CAMERA)
    assert found.tolist() == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-6)


def test_ten_to_fifty_degrees_are_counts_2836_to_4096() -> None:
    counts = torch.arange(65536)
    found = window(counts, low=10, high=50, **CAMERA)
    assert int((found == 0).sum()) - 1 == 2835 and int((found < 1).sum()) == 4096
    assert round(90 * 65535 / 2080) == 2836 and round(130 * 65535 / 2080) == 4096


def test_percentiles_are_those_of_each_image() -> None:
    counts = torch.randint(65536, (3, 1, 9, 7), generator=torch.Generator().manual_seed(1))
    found = percentiles(counts, lower=5, upper=90)
    for image, expected in zip(counts.numpy(), found, strict=True):
        low, high = np.percentile(image, [5, 90])
        scaled = ((image - low) / (high - low)).clip(0, 1)
        torch.testing.assert_close(expected, torch.from_numpy(scaled).float(), atol=1e-5, rtol=0)
    assert (percentiles(torch.full((1, 1, 4, 4), 7), lower=1, upper=99) == 0).all()


def test_the_whole_range() -> None:
    assert Reading("whole")(torch.tensor([[[[0, 65535]]]])).flatten().tolist() == [0, 1]
    assert Reading("whole", largest=16383)(torch.tensor([[[[16383, 65535]]]])).tolist() == [
        [[[1, 1]]]
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of 12 pictures of 16 bits each, at about 20 °C."""
    draw = np.random.default_rng(3)
    for label, offset in (("buoy", 0), ("ship", 300)):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(12):
            counts = (3150 + offset + draw.integers(0, 64, (10, 12))).astype(np.uint16)
            ending = "tif" if number % 2 else "png"
            Image.fromarray(counts).save(tmp_path / "pictures" / label / f"{number:02}.{ending}")
    return tmp_path


def loaded(root: Path, **thermal: Any) -> Images:
    path = root / "pictures"
    given = Thermal(**thermal).arguments()
    found = images.load(folder_facts(path, 8, 1), root=root, path=path, thermal=given)
    assert isinstance(found, Images)
    return found


def test_the_lower_half_is_kept(root: Path) -> None:
    found = loaded(root, scale="whole")
    pixels = found.train.pixels(torch.arange(len(found.train)))
    counts = (pixels * 65535).round()
    assert len(counts.unique()) > 50 and int(counts.min()) // 256 == 12
    assert pixels.dtype == torch.float32 and pixels.shape[1:] == (1, 8, 8)
    upper = loaded(root).train.pixels(torch.arange(16)) * 255
    assert set(upper.round().unique().tolist()) <= {12.0, 13.0}


def test_statistics_are_those_of_training_and_kept_with_the_set(root: Path) -> None:
    found = loaded(root, scale="window")
    pixels = found.train.pixels(torch.arange(len(found.train))).double()
    assert float(found.mean) == pytest.approx(float(pixels.mean()), abs=1e-6)
    assert float(found.deviation) == pytest.approx(float(pixels.std(correction=0)), abs=1e-6)
    standard = found.train.take(torch.arange(len(found.train)))
    assert float(standard.mean()) == pytest.approx(0, abs=1e-5)
    [kept] = (root / "cache").glob("folder-*/statistics-*.json")
    said = json.loads(kept.read_text())
    assert said["images"] == len(found.train) and said["reading"]["high"] == 50
    again = loaded(root, scale="window")
    assert (again.mean, again.fingerprint) == (found.mean, found.fingerprint)


def test_one_array_serves_all_scales_and_each_is_its_own_set(root: Path) -> None:
    prints = {
        loaded(root, scale="window").fingerprint,
        loaded(root, scale="window", high=40.0).fingerprint,
        loaded(root, scale="whole").fingerprint,
        loaded(root, scale="percentiles").fingerprint,
        loaded(root).fingerprint,
    }
    assert len(prints) == 5
    assert len(list((root / "cache").glob("folder-*/manifest.json"))) == 2  # of 8 and of 16 bits


def test_a_picture_of_8_bits_counts_257_times(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (folder.read_counts(tmp_path / "a.png", 8)[0] == pixels.astype(int) * 257).all()
    (tmp_path / "b.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an image"):
        folder.read_counts(tmp_path / "b.png", 8)


def test_counts_are_scaled_as_bytes_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 31)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "8.png")
    Image.fromarray(pixels.astype(np.uint16) * 257).save(tmp_path / "16.png")
    found = folder.read_counts(tmp_path / "16.png", 8)
    assert (abs(found / 257 - folder.read_image(tmp_path / "8.png", 8, 1)) <= 1).all()
    assert (found == folder.read_counts(tmp_path / "8.png", 8)).all()


def test_what_a_scale_does_not_need_is_void() -> None:
    named: dict[str, Any] = {"name": "folder", "path": "sea", "channels": 1}
    plain = Settings(**named)
    assert "thermal" not in plain.canonical()
    assert Settings(**named, thermal=Thermal(high=30.0)).canonical() == plain.canonical()
    whole = Settings(**named, thermal=Thermal(scale="whole", high=30.0))
    assert whole.canonical()["thermal"] == {"scale": "whole", "largest": 65535.0}
    both = Thermal(scale="percentiles", low=0.0).void()
    assert both == {"low", "high", "coldest", "hottest", "largest"}
    assert "thermal" not in Settings(thermal=Thermal(scale="whole")).canonical()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"low": 50.0}, r"high must be above low \(50\), got 50"),
        ({"hottest": -80.0}, r"hottest must be above coldest \(-80\), got -80"),
        ({"lower": 99.0}, r"upper must be above lower \(99\), got 99"),
    ],
)
def test_an_empty_range_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Thermal(scale="window", **values)


def test_counts_have_one_channel() -> None:
    with pytest.raises(ValueError, match="channels must be 1 with data.thermal.scale 'whole', got"):
        Settings(name="folder", path="sea", thermal=Thermal(scale="whole"))
