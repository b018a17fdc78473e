"""Label maps: the largest mask, other sizes by exact rules, and clusters of colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.metrics.label_maps import (
    by_color,
    enlarged,
    enlarged_label_map,
    label_map,
    resized,
)


def masks(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(3, 5, 8, 6), (3, 5, 40)])
def test_a_label_map_names_the_largest_mask(shape: tuple[int, ...]) -> None:
    found = label_map(masks(*shape))
    assert np.array_equal(found, np.argmax(masks(*shape).numpy(), axis=1))


def test_the_lowest_index_wins_a_tie() -> None:
    ties = torch.randint(0, 3, (4, 9, 31, 17), generator=torch.Generator().manual_seed(0))
    for one in (ties.float(), ties.float().contiguous(memory_format=torch.channels_last)):
        assert np.array_equal(label_map(one), np.argmax(one.numpy(), axis=1))


def test_enlarging_is_linear_between_centres_and_constant_outside() -> None:
    small = torch.tensor([[[[0.0, 1.0, 3.0]]]])
    large = enlarged(small, (1, 12))
    points = (np.arange(12) + 0.5) / 4 - 0.5
    expected = np.interp(points, [0, 1, 2], [0, 1, 3])
    np.testing.assert_allclose(large.flatten(), expected, atol=1e-7)


@pytest.mark.parametrize("kind", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(64, 64), (21, 50)])
def test_a_large_label_map_is_that_of_large_masks(kind: str, size: tuple[int, int]) -> None:
    small = masks(5, 6, 16, 16)
    found = enlarged_label_map(small, size, kind)  # pyright: ignore[reportArgumentType]
    mode = {"bilinear": "bilinear", "nearest": "nearest-exact"}[kind]
    assert torch.equal(found, functional.interpolate(small, size, mode=mode).argmax(1))


def test_a_large_label_map_may_be_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = enlarged_label_map(masks(5, 6, 16, 16), (64, 64))
    monkeypatch.setattr("trainables.metrics.label_maps._CHUNK", 2 * 6 * 64 * 64)
    assert torch.equal(enlarged_label_map(masks(5, 6, 16, 16), (64, 64)), whole)


@pytest.mark.parametrize(("old", "new"), [(256, 224), (256, 128), (240, 128), (3, 9), (7, 7)])
def test_centred_picking_is_what_torch_calls_nearest_exact(old: int, new: int) -> None:
    labels = torch.arange(old * 5).view(1, old, 5)
    # In float64: with float32 torch misses the exact rule at some sizes.
    expected = functional.interpolate(labels[None].double(), (new, 5), mode="nearest-exact")
    assert torch.equal(resized(labels, (new, 5)), expected[0].long())


@pytest.mark.parametrize(("old", "new"), [(256, 224), (256, 512), (5, 10), (10, 4)])
def test_rounded_picking_rounds_halves_to_even_and_stays_inside(old: int, new: int) -> None:
    labels = torch.arange(old)[None, :, None]
    expected = np.minimum(np.round(old / new * np.arange(new)), old - 1)
    assert resized(labels, (new, 1), "rounded").flatten().tolist() == expected.tolist()


def test_equal_colours_are_one_segment_and_the_most_frequent_is_the_first() -> None:
    image = torch.zeros(3, 4, 5, dtype=torch.uint8)
    image[:, 0, 0] = image[:, 3, 4] = torch.tensor([9, 0, 0], dtype=torch.uint8)
    image[:, 1, 1:4] = torch.tensor([[0], [7], [0]], dtype=torch.uint8)
    expected = torch.zeros(4, 5).long()
    expected[1, 1:4], expected[0, 0], expected[3, 4] = 1, 2, 2
    assert torch.equal(by_color(image[None])[0], expected)
    assert torch.equal(by_color(image[None].float() / 127.5 - 1)[0], expected)


def test_rare_colours_go_to_the_nearest_of_the_frequent_ones() -> None:
    row = torch.tensor([0, 0, 0, 100, 100, 49, 51, 50, 250])
    image = row.expand(1, 3, 1, 9).to(torch.uint8)
    assert by_color(image, most=2).flatten().tolist() == [0, 0, 0, 1, 1, 0, 1, 0, 1]
