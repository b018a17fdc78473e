"""Right partners beside a loop, and chance beside all permutations."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import Tensor

from trainables.metrics.masks import entity_masks
from trainables.metrics.right_matches import right_match_share, shown_objects


def views() -> tuple[Tensor, Tensor]:
    """Labels [12, 2, 6, 6] of up to four objects, and masks of five slots with some of them."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (12, 2, 6, 6), generator=random)
    labels[:4] = torch.where(labels[:4] == 3, 0, labels[:4])
    labels[0, 1][labels[0, 1] == 2] = 0
    order = torch.rand(12, 2, 5, generator=random).argsort(2)
    masks = entity_masks(labels.flatten(0, 1), 5).view(12, 2, 5, 6, 6)
    masks = masks.gather(2, order[..., None, None].expand_as(masks))
    return labels, masks & (torch.rand(masks.shape, generator=random) < 0.9)


def best_of(label: Tensor, mask: Tensor) -> int:
    """The entity of the best overlap with a mask, by sets of pixels; 0 if there is none."""
    fits = [0.0] * 5
    for entity in range(5):
        both, either = ((label == entity) & mask).sum(), ((label == entity) | mask).sum()
        fits[entity] = float(both / either.clamp(min=1))
    return max(range(5), key=lambda entity: (fits[entity], -entity))


def test_slots_show_what_they_overlap_with_most() -> None:
    labels, masks = views()
    found = shown_objects(labels[:, 0], masks[:, 0], 5)
    for label, slots, objects in zip(labels[:, 0], masks[:, 0], found, strict=True):
        assert objects.tolist() == [best_of(label, mask) for mask in slots]
    assert shown_objects(labels[:1, 0], torch.zeros(1, 2, 6, 6).bool(), 5).tolist() == [[0, 0]]


def test_shares_are_those_of_a_loop_and_chance_is_the_mean_of_all_permutations() -> None:
    labels, masks = views()
    every = list(permutations(range(5)))
    drawn = torch.Generator().manual_seed(1)
    partners = torch.rand(12, 2, 5, generator=drawn).argsort(2)
    found = right_match_share(partners, labels, masks)
    for image in range(12):
        first, second = (
            [best_of(labels[image, view], mask) for mask in masks[image, view]] for view in (0, 1)
        )
        both = set(labels[image, 0].unique().tolist()) & set(labels[image, 1].unique().tolist())
        slots = [slot for slot in range(5) if first[slot] and first[slot] in both]

        def share(order: tuple[int, ...] | list[int]) -> float:
            right = [second[order[slot]] == first[slot] for slot in slots]  # noqa: B023
            return sum(right) / len(right)

        assert float(found.share[image]) == pytest.approx(share(partners[image, 0].tolist()))
        mean = sum(map(share, every)) / len(every)
        assert float(found.chance[image]) == pytest.approx(mean)


def test_partners_that_show_the_same_are_right_and_all_others_wrong() -> None:
    labels = torch.tensor([0, 0, 1, 2]).repeat(2, 1)[None, :, None]
    masks = entity_masks(labels.flatten(0, 1)).view(1, 2, 3, 1, 4)
    masks[:, 1] = masks[:, 1, [2, 0, 1]]
    right, wrong = torch.tensor([[1, 2, 0]]), torch.tensor([[1, 0, 2]])
    for first, share in ((right, 1), (wrong, 0)):
        found = right_match_share(torch.stack([first, first.argsort(1)], 1), labels, masks)
        assert float(found.share) == share
        assert float(found.chance) == pytest.approx(1 / 3)


def test_an_object_that_one_view_cuts_off_does_not_count() -> None:
    labels = torch.tensor([[[[0, 1, 2]], [[0, 1, 0]]]])
    masks = entity_masks(labels.flatten(0, 1), 3).view(1, 2, 3, 1, 3)
    same = torch.arange(3).expand(1, 2, 3)
    assert float(right_match_share(same, labels, masks).share) == 1
    only_background = torch.zeros_like(labels)
    nothing = right_match_share(same, only_background, masks)
    assert torch.isnan(nothing.share) and torch.isnan(nothing.chance)
