"""Parts of a batch are the batch; padding is nothing; pictures are what is in their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.trainables.data.detection import written
from trainables.data.detection import columns
from trainables.data.detection.batches import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Batch,
    batch,
    evaluation_batches,
)
from trainables.data.detection.geometry import DRAWS, Augmentation, Resizing
from trainables.data.detection.store import Split

HOW = Augmentation((48, 56, 64), 100, 0.5, 0.5, (40, 50), (30, 45))
AS_THEY_ARE = Resizing(25, 1000)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("edges")
    written.write(folder, "all", written.edges(), grey=[9])
    found = columns.mapped(folder, "edges", folder / "annotations/instances_all.json")
    return Split(found, np.arange(len(found.columns.image_ids)), folder / "all")


def drawn(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, DRAWS, generator=torch.Generator().manual_seed(seed))


def part(split: Split, places: list[int], seed: int = 0) -> Batch:
    return batch(split, [2, 0, 3, 1], places, how=HOW, draws=drawn(4, seed))


@pytest.mark.parametrize("seed", range(5))
def test_two_halves_are_the_whole_bit_for_bit(split: Split, seed: int) -> None:
    whole, first, second = (part(split, places, seed) for places in ([0, 1, 2, 3], [0, 1], [2, 3]))
    assert all(torch.equal(torch.cat([first[name], second[name]]), whole[name]) for name in whole)


def test_a_batch_is_what_is_said_of_it(split: Split) -> None:
    found = batch(split, [0, 1, 2, 3], [3, 2], how=AS_THEY_ARE)
    assert found["examples"].tolist() == [3, 2] and found["image_ids"].tolist() == [9, 7]
    assert found["original_sizes"].tolist() == [[25, 25], [40, 30]]
    assert found["sizes"].tolist() == [[25, 25], [33, 25]]
    assert found["images"].shape == (2, 3, 33, 62)  # as wide as picture 3, which is not in it
    assert (
        found["counts"].tolist() == [0, 2] and found["batch_counts"].tolist() == [[0, 1, 2, 0]] * 2
    )
    assert found["classes"].tolist() == [[0, 0], [90, 2]]
    assert found["boxes"][0].eq(0).all()
    expected = [[10 / 30, 12 / 40, 10 / 30, 12 / 40], [3 / 30, 35 / 40, 6 / 30, 10 / 40]]
    assert torch.allclose(found["boxes"][1], torch.tensor(expected))
    kinds = {name: one.dtype for name, one in found.items()}
    assert kinds.pop("images") == kinds.pop("boxes") == torch.float32
    assert set(kinds.values()) == {torch.int64}


def test_a_batch_without_boxes_has_room_for_one(split: Split) -> None:
    found = batch(split, [0, 3], [0, 1], how=AS_THEY_ARE)
    assert found["boxes"].shape == (2, 1, 4) and found["counts"].tolist() == [0, 0]


def test_padding_is_zero_at_the_bottom_and_right(split: Split) -> None:
    found = batch(split, [0, 1, 2], [0, 1, 2], how=AS_THEY_ARE)
    for image, (height, width) in zip(found["images"], found["sizes"].tolist(), strict=True):
        assert image[:, height:].eq(0).all() and image[:, :, width:].eq(0).all()
        assert image[:, :height, :width].ne(0).all()


def test_pixels_are_standardised(split: Split) -> None:
    found = batch(split, [3], [0], how=AS_THEY_ARE)["images"][0]
    grey = torch.from_numpy(np.array(Image.open(split.path(3)))).double() / 255
    for channel, mean, deviation in zip(found, IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True):
        assert torch.allclose(channel.double(), (grey - mean) / deviation, atol=1e-6)


def test_the_draws_of_a_picture_are_those_of_its_place(split: Split) -> None:
    draws = drawn(4)
    one = batch(split, [2, 0, 3, 1], [2], how=HOW, draws=draws)
    alone = batch(split, [3], [0], how=HOW, draws=draws[2:3])
    assert torch.equal(one["sizes"], alone["sizes"])
    height, width = one["sizes"][0].tolist()
    assert torch.equal(one["images"][..., :height, :width], alone["images"])


@pytest.mark.parametrize("batch_size", [1, 3, 4, 9])
def test_evaluation_batches_have_each_example_once(split: Split, batch_size: int) -> None:
    found = list(evaluation_batches(split, range(4), batch_size, how=AS_THEY_ARE))
    assert torch.cat([one["examples"] for one in found]).tolist() == [0, 1, 2, 3]
    assert max(len(one["images"]) for one in found) == min(batch_size, 4)
    again = batch(split, [0, 1, 2, 3][:batch_size], range(min(batch_size, 4)), how=AS_THEY_ARE)
    assert all(torch.equal(again[name], found[0][name]) for name in again)
    assert list(evaluation_batches(split, [], batch_size, how=AS_THEY_ARE)) == []


def test_the_number_of_threads_changes_nothing(split: Split) -> None:
    found = [
        batch(split, range(4), range(4), how=HOW, draws=drawn(4), threads=count) for count in (1, 3)
    ]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_what_does_not_go_together_is_one_sentence(split: Split) -> None:
    with pytest.raises(ValueError, match="draws must be given with an augmentation, and only then"):
        batch(split, [0], [0], how=HOW)
    with pytest.raises(ValueError, match="draws must be given with an augmentation, and only then"):
        batch(split, [0], [0], how=AS_THEY_ARE, draws=drawn(1))
    with pytest.raises(ValueError, match="draws must be of the 1 examples, got 2"):
        batch(split, [0], [0], how=HOW, draws=drawn(2))
    with pytest.raises(ValueError, match=r"places must be some of 0…0, got \[1\]"):
        batch(split, [0], [1], how=AS_THEY_ARE)
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        batch(split, [0], [0], how=AS_THEY_ARE, threads=0)
    with pytest.raises(ValueError, match="deviation above 0, got"):
        batch(split, [0], [0], how=AS_THEY_ARE, deviation=(1, 0, 1))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        next(evaluation_batches(split, [0], 0, how=AS_THEY_ARE))


def test_a_picture_that_is_not_as_annotated_is_named(tmp_path: Path) -> None:
    contents = written.whole([written.image(1, 20, 30), written.image(2, 20, 30)], [])
    written.write(tmp_path, "all", contents)
    found = columns.mapped(tmp_path, "wrong", tmp_path / "annotations/instances_all.json")
    split = Split(found, np.arange(2), tmp_path / "all")
    Image.new("RGB", (30, 21)).save(split.path(0))
    with pytest.raises(
        ValueError, match=r"001.png must have the height .* \(20, 30\), .* \(21, 30\)"
    ):
        batch(split, [0, 1], [0, 1], how=AS_THEY_ARE)
    split.path(1).write_bytes(b"no picture")
    with pytest.raises(ValueError, match="002.png must be a picture that can be read"):
        batch(split, [0, 1], [1], how=AS_THEY_ARE)
    split.path(1).unlink()
    with pytest.raises(ValueError, match="002.png must be a picture that can be read"):
        batch(split, [0, 1], [1], how=AS_THEY_ARE)
