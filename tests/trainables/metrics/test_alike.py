"""Shares of alike slots beside loops over the negatives of losses; masks of alike objects."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trainables.metrics.alike import alike_objects, alike_shares, iou_of
from trainables.metrics.masks import entity_masks, overlap_scores

B, S, G = 7, 4, 3


def drawn() -> Tensor:
    """Types of what slots show: −1 none, and three others."""
    return torch.randint(-1, 3, (B, S), generator=torch.Generator().manual_seed(0))


def looped(types: Tensor, images: int, other: str) -> float:
    """The mean over slots of two views that show the same, of whose slots each is a negative but
    for itself and its partner, the same slot of the other view.
    """
    shares = list[float]()
    for start in range(0, len(types), images):
        batch = types[start : start + images].tolist()
        if len(batch) < 2:
            continue
        for image in range(len(batch)):
            for slot in range(S):
                if batch[image][slot] < 0:
                    continue
                negatives = [
                    batch[there][place]
                    for there in range(len(batch))
                    for _ in ("one view", "the other view")
                    for place in range(S)
                    if (there, place) != (image, slot)
                    and (there == image or other != "of_image")
                    and (there != image or other != "of_others")
                ]
                alike = [one == batch[image][slot] for one in negatives]
                shares.append(sum(alike) / len(alike))
    return sum(shares) / len(shares)


@pytest.mark.parametrize("other", ["of_image", "of_others", "of_batch"])
@pytest.mark.parametrize("images", [G, B])
def test_shares_are_those_of_a_loop_over_negatives(other: str, images: int) -> None:
    types = drawn()[: 6 if images == G else B]
    assert float(getattr(alike_shares(types, images), other)) == pytest.approx(
        looped(types, images, other)
    )


def test_chance_is_the_share_in_one_batch_of_all() -> None:
    found = alike_shares(drawn(), G)
    assert float(found.chance) == pytest.approx(looped(drawn(), B, "of_batch"))


def test_an_image_alone_is_no_batch() -> None:
    types = drawn()
    assert float(alike_shares(types, G).of_others) == float(alike_shares(types[:6], G).of_others)
    alone = alike_shares(types[:1], G)
    assert alone.of_others.isnan() and not alone.of_image.isnan()


def test_slots_that_show_nothing_are_alike_to_none() -> None:
    assert all(math.isnan(float(one)) for one in alike_shares(torch.full((4, S), -1), 2))
    same = alike_shares(torch.zeros(4, S, dtype=torch.long), 2)
    assert [float(one) for one in same] == [1, 1, 1, 1]


LABELS = torch.tensor([[0, 1, 1, 2, 2, 3], [0, 1, 1, 2, 2, 0]])[:, None]
TYPES = torch.tensor([[-1, 5, 5, 5], [-1, 5, 6, 5]])


def test_objects_are_alike_that_are_there_and_of_one_type() -> None:
    expected = torch.tensor([[False, True, True, True], [False, False, False, False]])
    assert torch.equal(alike_objects(LABELS, TYPES), expected)
    assert not alike_objects(LABELS, torch.full_like(TYPES, -1)).any()


def test_a_slot_that_holds_two_alike_objects_fits_one_of_them_half() -> None:
    """Of objects of two pixels each that one slot of four holds: ½ and 0; apart both are 1."""
    chosen = torch.tensor([[False, True, True, False]])
    apart = entity_masks(LABELS[:1])
    assert float(iou_of(LABELS[:1], apart, chosen)) == 1
    together = torch.stack([apart[:, 0], apart[:, 1] | apart[:, 2], apart[:, 3]], 1)
    assert float(iou_of(LABELS[:1], together, chosen)) == 0.25
    assert iou_of(LABELS[:1], together, torch.zeros(1, 4).bool()).isnan()


def test_of_all_objects_it_is_the_iou_of_the_image() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (5, 6, 6), generator=random)
    masks = torch.rand(5, 3, 6, 6, generator=random) < 0.4
    every = torch.tensor([False, True, True, True]).expand(5, -1)
    expected = overlap_scores(labels, masks.float(), masks)["iou"]
    torch.testing.assert_close(iou_of(labels, masks, every), expected)
    torch.testing.assert_close(iou_of(entity_masks(labels), masks, every), expected)
