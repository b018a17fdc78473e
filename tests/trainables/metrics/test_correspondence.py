"""Correspondence and mass of maps, beside loops and beside their published forms."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.metrics.correspondence import ANCHORS, anchor_features, correspondence, top_mass


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_heat_is_the_cosine_above_its_mean() -> None:
    first, second = drawn(2, 4, 3, 5), drawn(2, 4, 3, 5, seed=1)
    anchors = anchor_features(first, torch.tensor(ANCHORS))
    found = correspondence(anchors, second)
    for image, anchor in itertools.product(range(2), range(5)):
        cosines = torch.tensor(
            [
                [
                    float(
                        torch.cosine_similarity(anchors[image, anchor], second[image, :, y, x], 0)
                    )
                    for x in range(5)
                ]
                for y in range(3)
            ]
        )
        expected = (cosines - cosines.mean()).clamp(min=0)
        torch.testing.assert_close(found[image, anchor], expected)


def test_an_anchor_lies_between_the_middles_of_places() -> None:
    """Of a feature that is its column it is the column of the point: −0.9 → 0.05 · (w − 1)."""
    columns = torch.arange(5.0).expand(1, 1, 3, 5)
    found = anchor_features(columns, torch.tensor(ANCHORS))[0, :, 0]
    torch.testing.assert_close(found, torch.tensor([0.2, 3.8, 2.0, 0.2, 3.8]))
    corners = anchor_features(columns, torch.tensor([(-1.0, 0.0), (1.0, 0.0)]))[0, :, 0]
    assert corners.tolist() == [0.0, 4.0]


def test_places_that_are_all_alike_have_no_heat() -> None:
    flat = torch.ones(1, 3, 4, 4)
    assert float(correspondence(anchor_features(flat, torch.tensor(ANCHORS)), flat).max()) < 1e-6


def smallest(values: list[float], share: float) -> int:
    """The size of the smallest set of places with the share, by trying all."""
    for size in range(len(values) + 1):
        if any(sum(one) >= share - 1e-9 for one in itertools.combinations(values, size)):
            return size
    return len(values)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_the_mask_is_the_smallest_that_has_the_share(share: float) -> None:
    maps = drawn(3, 2, 4).softmax(-1).flatten(1).softmax(1).unflatten(1, (2, 4))
    maps = maps / maps.sum((1, 2), keepdim=True)
    masks = top_mass(maps, share)
    for one, mask in zip(maps, masks, strict=True):
        assert int(mask.sum()) == smallest(one.flatten().tolist(), share)
        assert float(one[mask].sum()) >= share
        assert float(one[mask].min()) >= max(one[~mask].tolist(), default=0.0)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_the_mask_is_that_of_the_published_code(share: float) -> None:
    """Values rising, normalised, cumulated: what is above 1 − share stays."""
    attentions = drawn(4, 6, 6).exp().flatten(1)
    values, order = torch.sort(attentions)
    kept = torch.cumsum(values / values.sum(1, keepdim=True), dim=1) > (1 - share)
    expected = torch.stack(
        [row[torch.argsort(index)] for row, index in zip(kept, order, strict=True)]
    )
    assert torch.equal(top_mass(attentions.unflatten(1, (6, 6)), share).flatten(1), expected)


def test_both_ends_of_the_share() -> None:
    maps = functional.one_hot(torch.tensor([3]), 4).view(1, 2, 2).float()
    assert int(top_mass(maps, 1.0).sum()) == 1 == int(top_mass(maps, 0.01).sum())
    assert not top_mass(torch.zeros(1, 2, 2), 0.6).any()
