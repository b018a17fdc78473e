"""Similarity without negatives, between views, slots, and slots that choose each other."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.matching import match_views
from trainables.losses.similarity import (
    distance,
    normalized,
    slots_alike,
    small_slots_alike,
    views_alike,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_distance_is_0_for_equal_half_for_orthogonal_and_1_for_opposite_directions() -> None:
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    second = torch.tensor([[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [1.0, 0.0]])
    assert distance(first, second).tolist() == [0.0, 0.5, 1.0, 0.5]


def test_a_vector_of_zeros_has_a_gradient_that_is_a_number() -> None:
    vectors = torch.zeros(1, 3, requires_grad=True)
    normalized(vectors).sum().backward()
    assert vectors.grad is not None and torch.isfinite(vectors.grad).all()


def test_views_are_compared_crosswise_and_features_have_no_gradient() -> None:
    projections, features = drawn(4, 2, 6).requires_grad_(), drawn(4, 2, 6, seed=1).requires_grad_()
    loss = views_alike(projections, features)
    pairs = [
        functional.cosine_similarity(projections[b, a], features[b, 1 - a], dim=0)
        for b, a in product(range(4), range(2))
    ]
    torch.testing.assert_close(loss, (1 - torch.stack(pairs).mean()) / 2)
    loss.backward()
    assert projections.grad is not None and features.grad is None


def test_slots_are_compared_with_their_partners_by_a_mean() -> None:
    """Not by a sum: (1 − Σ cos) / 2 is another thing, which was published."""
    projections, features = drawn(3, 2, 4, 6), drawn(3, 2, 4, 6, seed=1)
    partners = match_views(features[:, 0], features[:, 1])
    cosines = [
        functional.cosine_similarity(
            projections[b, a, s], features[b, 1 - a, int(partners[b, a, s])], dim=0
        )
        for b, a, s in product(range(3), range(2), range(4))
    ]
    loss = slots_alike(projections, features, partners)
    torch.testing.assert_close(loss, (1 - torch.stack(cosines).mean()) / 2)
    assert 0 <= float(loss) <= 1 and not math.isclose(
        float(loss), float((1 - torch.stack(cosines).sum()) / 2), rel_tol=0.1
    )


@pytest.mark.parametrize("repeated", [1, 3])
def test_neither_batch_nor_slots_change_a_mean(repeated: int) -> None:
    projections, features = drawn(2, 2, 3, 6), drawn(2, 2, 3, 6, seed=1)
    partners = torch.arange(3).expand(2, 2, 3)
    loss = slots_alike(projections, features, partners)
    more, there = (one.repeat(repeated, 1, 1, 1) for one in (projections, features))
    torch.testing.assert_close(slots_alike(more, there, partners.repeat(repeated, 1, 1)), loss)


def test_small_slots_are_those_that_choose_each_other() -> None:
    small, large = drawn(2, 3, 4, 6), drawn(2, 2, 5, 6, seed=1)
    kept: list[Tensor] = []
    for b, v, a in product(range(2), range(3), range(2)):
        cosines = functional.cosine_similarity(small[b, v][:, None], large[b, a][None], dim=-1)
        for s in range(4):
            chosen = int(cosines[s].argmax())
            if int(cosines[:, chosen].argmax()) == s:
                kept.append((1 - cosines[s, chosen]) / 2)
    found = small_slots_alike(small, large)
    torch.testing.assert_close(found.loss, torch.stack(kept).mean())
    assert float(found.share) == pytest.approx(len(kept) / (2 * 3 * 2 * 4))


def test_every_small_slot_that_is_a_large_one_is_kept_at_distance_0() -> None:
    large = drawn(2, 1, 4, 6)
    found = small_slots_alike(large, large)
    assert float(found.loss) == pytest.approx(0, abs=1e-6) and float(found.share) == 1


def test_only_projections_have_a_gradient() -> None:
    small, large = drawn(2, 3, 4, 6).requires_grad_(), drawn(2, 2, 5, 6, seed=1).requires_grad_()
    small_slots_alike(small, large).loss.backward()
    assert small.grad is not None and large.grad is None
