"""The digits: all of them once, in strata, standardised, with a print that sees each pixel."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from trainables.data import digits
from trainables.data.catalog import DATA_SETS, DIGITS


def pixels(split: digits.Split, data: digits.Digits) -> np.ndarray:
    """The grey values 0…16 of the file."""
    mean, deviation = statistics(data)
    return np.rint((split.images.numpy() * deviation + mean) * 16).astype(int).reshape(-1, 64)


def statistics(data: digits.Digits) -> tuple[float, float]:
    """Mean and deviation by which the images were standardised: an empty pixel tells them."""
    step = data.train.images.unique().diff().min().item() * 16
    return -data.background / step, 1 / step


def test_the_splits_are_a_partition_of_the_file() -> None:
    data = digits.load()
    parts = [data.train, data.val, data.test]
    found = np.concatenate([np.c_[pixels(part, data), part.labels] for part in parts])
    grey, classes = load_digits(return_X_y=True)
    expected = np.c_[np.asarray(grey).astype(int), classes]
    assert sorted(map(tuple, found)) == sorted(map(tuple, expected))


def test_the_catalogue_says_the_truth() -> None:
    data = digits.load()
    sizes = {"train": len(data.train), "val": len(data.val), "test": len(data.test)}
    assert sizes == DIGITS.splits and DATA_SETS["digits"] is DIGITS
    assert data.train.images.shape[1:] == (DIGITS.channels, DIGITS.image_size, DIGITS.image_size)
    assert data.train.labels.unique().tolist() == list(range(len(DIGITS.classes)))


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_every_split_has_its_share_of_every_class(name: str) -> None:
    split = getattr(digits.load(), name)
    counts = torch.bincount(split.labels)
    _, classes = load_digits(return_X_y=True)
    shares = torch.bincount(torch.as_tensor(np.asarray(classes))) / 1797 * len(split)
    assert (counts - shares).abs().max() <= 1


def test_the_training_split_is_standardised() -> None:
    images = digits.load().train.images
    assert float(images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(images.std(unbiased=False)) == pytest.approx(1, abs=1e-5)


def test_the_background_is_the_empty_pixel() -> None:
    data = digits.load()
    assert data.background == pytest.approx(float(data.train.images.min()), abs=1e-6)


def test_the_same_seed_draws_the_same_splits_and_another_others() -> None:
    first, again, other = digits.load(0), digits.load(0), digits.load(1)
    assert torch.equal(first.train.images, again.train.images)
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_fingerprint_is_the_hash_of_pixels_and_labels() -> None:
    data = digits.load()
    digest = hashlib.sha256()
    for split in (data.train, data.val, data.test):
        grey = (pixels(split, data) / 16).astype(np.float32)
        digest.update(grey.tobytes() + split.labels.numpy().tobytes())
    assert data.fingerprint == digest.hexdigest()[:16]


def test_pixels_are_the_sixteenths_of_the_file() -> None:
    data, places = digits.load(), torch.tensor([3, 0, 3])
    for split in (data.train, data.val, data.test):
        found = split.pixels(places)
        assert np.array_equal(found.flatten(1) * 16, pixels(split, data)[places])
        assert torch.equal((found - data.mean) / data.deviation, split.take(places))
