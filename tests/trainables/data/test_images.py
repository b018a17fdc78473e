"""Sets in splits: partitions by seed, with each class's share, standardised, read when asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.data import files
from trainables.data import digits
from trainables.data.catalog import CIFAR10, DIGITS, MNIST, DataSet, folder_facts
from trainables.data.choosing import stratified, tail_counts, tailed
from trainables.data.images import Images, MappedSplit, load


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    files.write_mnist(tmp_path / "mnist")
    return tmp_path


def loaded(data_set: DataSet, root: Path, **arguments: object) -> Images:
    found = load(data_set, root=root, **arguments)  # pyright: ignore[reportArgumentType]
    assert isinstance(found, Images)
    return found


def pixels(split: object) -> np.ndarray:
    """The bytes of a split, from the numbers that it gives."""
    assert isinstance(split, MappedSplit)
    images = split.take(torch.arange(len(split)))
    return torch.round((images * split.deviation + split.mean) * 255).numpy().astype(np.uint8)


def test_training_and_validation_are_a_partition_of_the_training_file(mnist: Path) -> None:
    found = loaded(MNIST, mnist)
    both = np.concatenate([pixels(found.train), pixels(found.val)])[:, 0]
    images, _ = files.grey(120)
    assert sorted(one.tobytes() for one in both) == sorted(one.tobytes() for one in images)
    assert len(found.val) == 20  # a sixth, as 10,000 of 60,000


def test_the_test_split_is_the_sets_own(mnist: Path) -> None:
    images, labels = files.grey(40, seed=1)
    test = loaded(MNIST, mnist).test
    assert np.array_equal(pixels(test)[:, 0], images)
    assert np.array_equal(test.labels.numpy(), labels)


def test_images_keep_their_labels(mnist: Path) -> None:
    found = loaded(MNIST, mnist)
    for split in (found.train, found.val, found.test):
        brightness = pixels(split).reshape(len(split), -1).mean(1)
        assert (np.rint((brightness - 15) / 20) == split.labels.numpy()).all()


def test_another_seed_draws_another_validation_split(mnist: Path) -> None:
    first, again, other = (loaded(MNIST, mnist, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(pixels(first.val), pixels(again.val))
    assert not np.array_equal(pixels(first.val), pixels(other.val))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_fingerprint_does_not_depend_on_place_or_packing(mnist: Path) -> None:
    files.write_mnist(mnist / "other/MNIST/raw", packed=False)
    assert loaded(MNIST, mnist).fingerprint == loaded(MNIST, mnist / "other").fingerprint


def test_each_channel_is_standardised_with_the_training_split(tmp_path: Path) -> None:
    files.write_cifar(tmp_path, "cifar10", packed=False)
    found = loaded(CIFAR10, tmp_path)
    images = found.train.take(torch.arange(len(found.train))).double()
    assert images.mean((0, 2, 3)).abs().max() < 1e-6
    assert (images.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-6
    raw = pixels(found.train).astype(np.float64) / 255
    assert np.allclose(found.mean.flatten(), raw.mean((0, 2, 3)))
    assert np.allclose(found.deviation.flatten(), raw.std((0, 2, 3)))
    assert torch.allclose(found.background, -found.mean / found.deviation)


def test_images_are_read_only_when_asked_and_in_the_order_asked(mnist: Path) -> None:
    train = loaded(MNIST, mnist).train
    assert isinstance(train, MappedSplit) and isinstance(train.part.images, np.memmap)
    order = torch.tensor([5, 0, 5, 99])
    assert torch.equal(train.take(order), train.take(torch.arange(100))[order])


def test_pixels_are_the_bytes_of_the_file_over_255(mnist: Path) -> None:
    images, _ = files.grey(40, seed=1)
    order = torch.tensor([5, 0, 5, 39])
    found = loaded(MNIST, mnist).test.pixels(order)
    assert found.dtype == torch.float32
    assert torch.equal(found[:, 0], torch.from_numpy(images[order.numpy()]).float() / 255)


@pytest.mark.parametrize("count", [0, 1, 7, 50, 100])
def test_a_stratified_draw_has_each_class_by_its_share(count: int) -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    drawn = stratified(labels, count, 3)
    shares = np.array([0.5, 0.3, 0.2]) * count
    assert len(np.unique(drawn)) == count and (np.diff(drawn) > 0).all()
    assert (np.abs(np.bincount(labels[drawn], minlength=3) - shares) < 1).all()


def test_a_limit_shrinks_training_and_validation_and_leaves_the_test_split(mnist: Path) -> None:
    whole, found = loaded(MNIST, mnist), loaded(MNIST, mnist, limit=50)
    assert [len(one) for one in (found.train, found.val, found.test)] == [50, 10, 40]
    assert torch.bincount(found.train.labels).tolist() == [5] * 10
    rows = {one.tobytes() for one in pixels(whole.train)}
    assert all(one.tobytes() in rows for one in pixels(found.train))
    assert found.fingerprint != whole.fingerprint


def test_a_limit_beyond_the_set_is_none(mnist: Path) -> None:
    assert loaded(MNIST, mnist, limit=100).fingerprint == loaded(MNIST, mnist).fingerprint


def test_a_limit_below_the_number_of_classes_is_refused(mnist: Path) -> None:
    with pytest.raises(ValueError, match="data.limit must be at least the 10 classes of mnist"):
        loaded(MNIST, mnist, limit=9)


def test_digits_may_be_limited_too() -> None:
    found, whole = load(DIGITS, limit=300), digits.load()
    assert [len(one) for one in (found.train, found.val, found.test)] == [300, 75, 300]
    assert found.fingerprint != whole.fingerprint
    assert torch.equal(found.test.take(torch.arange(300)), whole.test.images)


def test_an_undivided_folder_gives_a_sixth_to_validation_and_to_the_test(tmp_path: Path) -> None:
    files.write_images(tmp_path / "pets", each=12)
    facts = folder_facts(tmp_path / "pets", 8, 3)
    found = loaded(facts, tmp_path, path=tmp_path / "pets")
    splits = found.train, found.val, found.test
    assert [torch.bincount(one.labels).tolist() for one in splits] == [[8, 8], [2, 2], [2, 2]]
    together = {one.tobytes() for split in splits for one in pixels(split)}
    assert len(together) == 24


def test_a_divided_folder_keeps_its_splits(tmp_path: Path) -> None:
    for name, each in (("train", 6), ("val", 2), ("test", 3)):
        files.write_images(tmp_path / "pets" / name, each)
    facts = folder_facts(tmp_path / "pets", 8, 1)
    found = loaded(facts, tmp_path, path=tmp_path / "pets")
    assert [len(one) for one in (found.train, found.val, found.test)] == [12, 4, 6]
    assert found.train.take(torch.tensor([0])).shape == (1, 1, 8, 8)


def test_an_image_that_changes_makes_other_arrays(tmp_path: Path) -> None:
    files.write_images(tmp_path / "pets")
    facts = folder_facts(tmp_path / "pets", 8, 3)
    first = loaded(facts, tmp_path, path=tmp_path / "pets").fingerprint
    (tmp_path / "pets/cat/00.png").write_bytes((tmp_path / "pets/dog/00.png").read_bytes())
    assert loaded(facts, tmp_path, path=tmp_path / "pets").fingerprint != first


def test_a_set_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="data set mnist is not there"):
        load(MNIST, root=tmp_path)


def test_the_counts_of_a_long_tail_are_the_published_ones() -> None:
    counts = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert tail_counts(5000, 10, 0.01) == counts
    sums = [sum(tail_counts(5000, 10, factor)) for factor in (0.01, 0.02, 0.1)]
    assert sums == [12406, 13996, 20431]
    assert tail_counts(5000, 10, 0.02, "step") == 5 * [5000] + 5 * [100]


@pytest.mark.parametrize("shape", ["exponential", "step"])
def test_training_alone_has_a_long_tail(mnist: Path, shape: Any) -> None:
    whole, found = loaded(MNIST, mnist), loaded(MNIST, mnist, long_tail=0.2, tail_shape=shape)
    assert torch.bincount(found.train.labels).tolist() == tail_counts(10, 10, 0.2, shape)
    for split in ("val", "test"):
        assert np.array_equal(pixels(getattr(found, split)), pixels(getattr(whole, split)))
    rows = {one.tobytes() for one in pixels(whole.train)}
    assert all(one.tobytes() in rows for one in pixels(found.train))
    assert found.fingerprint != whole.fingerprint
    mean = pixels(found.train).mean() / 255
    assert float(found.mean) == pytest.approx(mean, rel=1e-5), "statistics of what is trained on"


def test_a_longer_tail_is_a_part_of_a_shorter_one() -> None:
    labels = np.repeat(np.arange(5), 40)
    long, longer = (tailed(labels, factor, "exponential", 3) for factor in (0.5, 0.1))
    assert set(longer) < set(long) and (np.diff(long) > 0).all()
    assert not np.array_equal(long, tailed(labels, 0.5, "exponential", 4)), "by seed"


def test_a_small_class_keeps_what_it_has() -> None:
    labels = np.repeat([0, 1, 2], [30, 3, 27])
    assert np.bincount(labels[tailed(labels, 0.5, "exponential", 0)]).tolist() == [20, 3, 10]


def test_a_tail_that_leaves_a_class_nothing_is_refused(mnist: Path) -> None:
    assert int(torch.bincount(loaded(MNIST, mnist, long_tail=0.1).train.labels).min()) == 1
    with pytest.raises(
        ValueError, match=r"data\.long_tail\.factor must leave each .* 0\.1, got 0\.09"
    ):
        loaded(MNIST, mnist, long_tail=0.09)


def test_digits_have_a_long_tail_too() -> None:
    found = load(DIGITS, limit=300, long_tail=0.1)
    assert torch.bincount(found.train.labels).tolist() == tail_counts(30, 10, 0.1)
    assert (len(found.val), len(found.test)) == (75, 300)
    assert found.fingerprint != load(DIGITS, limit=300).fingerprint
