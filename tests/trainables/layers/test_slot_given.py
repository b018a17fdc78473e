"""Slots that are given: who learns, what the background's bias and positions of tokens do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainables.layers.test_slot_attention import NOISE, make
from trainables.layers.queries import LearnedQueries
from trainables.layers.slot_attention import SlotAttention

WIDE = torch.randn(3, 20, 8, generator=torch.Generator().manual_seed(2)).double()
POSITIONS = torch.randn(1, 20, 8, generator=torch.Generator().manual_seed(3)).double()


def given(**changes: Any) -> SlotAttention:
    """A small one without a prior, for tokens as wide as slots."""
    settings: dict[str, Any] = {"prior": "none", "token_width": 8, **changes}
    return make(**settings)


def by_loops(module: SlotAttention, tokens: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
    """The slots by the formulas, with keys and values, one head and one slot at a time."""
    heads, bias = module.heads, module.background_bias
    seen = module.norm_tokens(tokens + positions)
    keys, values = module.to_keys(seen).chunk(heads, -1), module.to_values(seen).chunk(heads, -1)
    places = torch.zeros_like(slots)
    for _ in range(module.iterations):
        queries = module.to_queries(module.norm_slots(slots + places)).chunk(heads, -1)
        scores = torch.stack([q @ k.mT for q, k in zip(queries, keys, strict=True)], 1)
        scores = scores / math.sqrt(queries[0].shape[-1])
        scores[:, :, 0] += bias
        powers = scores.exp()
        shared = powers / powers.sum((1, 2), keepdim=True)
        weights = shared + module.eps
        weights = weights / weights.sum(-1, keepdim=True)
        updates = torch.cat([weights[:, head] @ values[head] for head in range(heads)], -1)
        moved = torch.empty_like(slots)
        for image in range(len(slots)):
            for slot in range(slots.shape[1]):
                state = module.gru(updates[image, slot][None], slots[image, slot][None])[0]
                moved[image, slot] = state + module.mlp(module.norm_mlp(state))
        slots = moved
        if module.positions_at == "every_iteration":
            of_slot = shared.sum(1)
            places = of_slot / of_slot.sum(-1, keepdim=True) @ positions
    return slots


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("bias", [0.0, 1.5])
@pytest.mark.parametrize("positions_at", ["once", "every_iteration"])
def test_bias_and_positions_are_their_formulas(heads: int, bias: float, positions_at: Any) -> None:
    module = given(heads=heads, background_bias=bias, positions_at=positions_at)
    found = module(WIDE, slots=NOISE, positions=POSITIONS).slots
    torch.testing.assert_close(found, by_loops(module, WIDE, NOISE, POSITIONS))


@torch.no_grad()
def test_a_bias_of_log_3_triples_the_odds_of_the_first_slot_beside_a_bias_of_keys() -> None:
    before, after = (
        given(projection_bias=True, heads=2, iterations=1, background_bias=bias)(WIDE, slots=NOISE)
        for bias in (0.0, math.log(3))
    )
    tripled = before.attention.clone()
    tripled[:, 0] *= 3
    torch.testing.assert_close(after.attention, tripled / tripled.sum(1, keepdim=True))


@torch.no_grad()
def test_positions_once_are_tokens_that_have_them_and_no_places_in_one_iteration() -> None:
    once, every = given(), given(positions_at="every_iteration")
    expected = once(WIDE + POSITIONS, slots=NOISE).slots
    torch.testing.assert_close(once(WIDE, slots=NOISE, positions=POSITIONS).slots, expected)
    assert not torch.allclose(every(WIDE, slots=NOISE, positions=POSITIONS).slots, expected)
    assert torch.equal(every(WIDE, slots=NOISE).slots, once(WIDE, slots=NOISE).slots)
    one = {"slots": NOISE, "positions": POSITIONS, "iterations": 1}
    assert torch.equal(every(WIDE, **one).slots, once(WIDE, **one).slots)


@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize("implicit", ["last_step", "extra_step"])
def test_given_queries_starve_unless_the_step_is_straight_through(
    iterations: int, implicit: Any
) -> None:
    """The original's fixed point is the first: its learned queries have no gradient at all."""
    for trains_prior in (False, True):
        queries = LearnedQueries(4, 8).double()
        module = given(implicit=implicit, trains_prior=trains_prior, iterations=iterations)
        module(WIDE, slots=queries(3)).slots.sin().sum().backward()
        assert (queries.table.grad is not None) == trains_prior
        assert queries.table.grad is None or (queries.table.grad != 0).all()


def test_one_iteration_teaches_given_queries_as_a_plain_step_does() -> None:
    def gradient(**changes: Any) -> Tensor:
        queries = NOISE.clone().requires_grad_()
        loss = given(iterations=1, **changes)(WIDE, slots=queries).slots.sin().sum()
        return torch.autograd.grad(loss, queries)[0]

    straight = gradient(implicit="last_step", trains_prior=True)
    torch.testing.assert_close(straight, gradient())


def test_without_a_prior_there_are_no_parameters_of_one() -> None:
    for width, published in ((64, 54_208), (128, 214_912)):
        with torch.device("meta"):
            module = SlotAttention(
                token_width=width, slot_width=width, mlp_width=2 * width, prior="none"
            )
        assert sum(one.numel() for one in module.parameters()) == published
        assert not {"mean", "log_deviation"} & set(module.state_dict())


def test_what_cannot_be_given_is_refused() -> None:
    for things in ({}, {"noise": NOISE}, {"noise": NOISE, "slots": NOISE}):
        with pytest.raises(ValueError, match="slots, and no noise, must be given without a prior"):
            given()(WIDE, **things)
    with pytest.raises(ValueError, match=r"width of tokens \(6\) with positions_at .*, got 8"):
        make(positions_at="every_iteration")
    with pytest.raises(LookupError, match="positions_at must be one of once, every_iteration"):
        given(positions_at="always")
