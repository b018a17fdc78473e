"""Measures of collapse at both of their ends, and beside loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.metrics.collapse import (
    collapse_of_slots,
    collapse_of_vectors,
    cosine_across_images,
    cosine_in_image,
    cosine_of_others,
    effective_rank,
    matching_entropy,
    spread,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_spread_is_1_where_directions_are_isotropic_and_0_where_they_are_one() -> None:
    assert float(spread(drawn(20_000, 16))) == pytest.approx(1, abs=0.01)
    assert float(spread(torch.ones(7, 16) * torch.arange(1, 8)[:, None])) == pytest.approx(0)
    corners = torch.cat([torch.eye(4), -torch.eye(4)])
    assert float(spread(corners)) == pytest.approx(1)


def test_the_cosine_of_others_is_that_of_a_loop() -> None:
    vectors = drawn(3, 5, 4)
    pairs = [
        float(functional.cosine_similarity(vectors[b, i], vectors[b, j], dim=0))
        for b in range(3)
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    assert float(cosine_of_others(vectors)) == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)


def test_the_cosine_of_others_has_these_ends() -> None:
    simplex = torch.eye(5) - 0.2
    assert float(cosine_of_others(simplex)) == pytest.approx(-1 / 4)
    assert float(cosine_of_others(torch.ones(5, 3))) == pytest.approx(1)


def test_slots_that_ignore_the_image_are_told_from_equal_slots() -> None:
    ignoring = drawn(1, 6, 64).expand(8, -1, -1)
    assert float(cosine_across_images(ignoring)) == pytest.approx(1)
    assert abs(float(cosine_in_image(ignoring))) < 0.1
    equal = drawn(8, 1, 64).expand(-1, 6, -1)
    assert float(cosine_in_image(equal)) == pytest.approx(1)
    assert abs(float(cosine_across_images(equal))) < 0.1


def test_the_effective_rank_counts_equal_directions() -> None:
    corners = torch.cat([torch.eye(6)[:3], -torch.eye(6)[:3]])
    assert float(effective_rank(corners)) == pytest.approx(3)
    assert float(effective_rank(corners + 5)) == pytest.approx(3, rel=1e-5)
    assert float(effective_rank(torch.ones(4, 3))) == pytest.approx(1)
    scaled = corners * torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0, 1.0])
    shares = [0.25, 0.25, 0.5]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert float(effective_rank(scaled)) == pytest.approx(expected)


def test_a_common_offset_is_no_dimension_in_half_precision_either() -> None:
    far = (drawn(64, 8) + torch.arange(100, 900, 100)).bfloat16()
    assert float(effective_rank(far)) == pytest.approx(float(effective_rank(far.double())))


def test_matching_is_the_same_always_or_any_as_often() -> None:
    same = torch.tensor([[[1, 0, 2], [1, 0, 2]]]).expand(9, -1, -1)
    assert float(matching_entropy(same, 3)) == 0
    turns = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]])[:, None].expand(-1, 2, -1)
    assert float(matching_entropy(turns, 3)) == pytest.approx(1)
    assert float(matching_entropy(torch.zeros(4, 2, 1, dtype=torch.int64), 1)) == 0


def test_all_measures_tell_learned_slots_that_ignore_the_image() -> None:
    """Six directions in all, whatever the image; of single vectors there is one."""
    slots = drawn(1, 6, 64).expand(20, -1, -1)
    partners = torch.arange(6).expand(20, 2, -1)
    found = {name: float(value) for name, value in collapse_of_slots(slots, partners).items()}
    assert found["cosine_across_images"] == pytest.approx(1)
    assert found["matching_entropy"] == 0
    assert 4 < found["effective_rank"] < 5.001  # six centred vectors
    assert found["spread"] == pytest.approx(float(spread(slots[0])))
    assert set(collapse_of_slots(slots)) == set(found) - {"matching_entropy"}
    one = {name: float(value) for name, value in collapse_of_vectors(slots[:, 0]).items()}
    assert one == pytest.approx({"spread": 0, "cosine": 1, "effective_rank": 1}, abs=1e-6)
