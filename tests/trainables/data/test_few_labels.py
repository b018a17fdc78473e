"""Few labels: the same share of each class, for what sees labels; all images for what sees none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.data import files
from tests.trainables.data.test_images import loaded, pixels
from tests.trainables.data.test_published import colours, imagewang, opened
from tests.trainables.ssl.pretrained import loaded as pretraining
from trainables.data.catalog import DIGITS, MNIST
from trainables.data.images import load
from trainables.ssl.config import Pretraining, Supervised
from trainables.ssl.experiment import SupervisedExperiment
from trainables.ssl.features import BANK, Features

FEW: dict[str, Any] = {"data.labels_share": 0.2}


def test_each_class_keeps_its_share_and_nothing_else_changes(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist")
    whole, found = loaded(MNIST, tmp_path), loaded(MNIST, tmp_path, labels_share=0.3)
    assert torch.bincount(found.train.labels).tolist() == [3] * 10
    assert torch.equal(found.mean, whole.mean) and found.fingerprint != whole.fingerprint
    for split in ("val", "test"):
        assert torch.equal(getattr(found, split).labels, getattr(whole, split).labels)
        assert (pixels(getattr(found, split)) == pixels(getattr(whole, split))).all()


def test_all_images_are_there_and_show_a_label_only_where_it_is_known(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist")
    whole, found = loaded(MNIST, tmp_path), loaded(MNIST, tmp_path, labels_share=0.3)
    every = found.with_unlabelled
    assert every is not None and (pixels(every) == pixels(whole.train)).all()
    known = every.labels >= 0
    assert known.sum() == 30 and torch.equal(every.labels[known], whole.train.labels[known])
    assert torch.equal(every.labels[known], found.train.labels)
    assert (pixels(every)[known.numpy()] == pixels(found.train)).all()


def test_digits_may_have_few_labels_too() -> None:
    whole, found = load(DIGITS, limit=200), load(DIGITS, limit=200, labels_share=0.1)
    every = found.with_unlabelled
    assert every is not None and len(found.train) == 20 and len(every) == 200
    assert torch.equal(every.take(torch.arange(200)), whole.train.take(torch.arange(200)))
    assert load(DIGITS, limit=200, labels_share=1.0).fingerprint == whole.fingerprint


def test_images_of_a_folder_of_their_own_come_behind_them(tmp_path: Path) -> None:
    path = imagewang(tmp_path / "wang")
    whole = opened(path, tmp_path, unlabelled=True)
    found = opened(path, tmp_path, unlabelled=True, labels_share=0.5)
    assert found.with_unlabelled is not None and whole.with_unlabelled is not None
    assert colours(found.with_unlabelled) == colours(whole.with_unlabelled)
    assert int((found.with_unlabelled.labels >= 0).sum()) == len(found.train) == 5


def test_a_class_without_a_label_is_refused(tmp_path: Path) -> None:
    files.write_mnist(tmp_path / "mnist")
    assert len(loaded(MNIST, tmp_path, labels_share=0.1).train) == 10
    with pytest.raises(ValueError, match=r"labels_share must leave each class .* 10, got 0\.09"):
        loaded(MNIST, tmp_path, labels_share=0.09)


def test_what_sees_labels_learns_from_the_few_alone() -> None:
    config = Supervised().with_values(FEW)
    one = SupervisedExperiment.create(config.to_json())
    facts = one.load()
    assert one.num_examples == 239 and facts["data.split_sizes"] == {
        "train": 239,
        "val": 300,
        "test": 300,
    }
    assert int(one.batch(1)["labels"].min()) >= 0


def test_what_sees_none_learns_from_all_as_ever_and_is_compared_with_the_few() -> None:
    whole, few = (pretraining("simclr", **more) for more in ({}, FEW))
    assert few.num_examples == whole.num_examples > 2 * len(few.split("train"))
    first, second = whole.batch(3), few.batch(3)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first if name != "labels")
    labels = Features(few).labels(BANK)
    assert len(labels) == len(few.split("train")) and int(labels.min()) >= 0


def test_all_labels_are_not_named() -> None:
    for base in (Supervised(), Pretraining()):
        assert "labels_share" not in base.canonical().get("data", {})
        assert base.with_values(FEW).digest() != base.digest()
