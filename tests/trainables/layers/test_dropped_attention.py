"""Attention with dropout on the CPU: beside the formula with the same weights dropped."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainables.layers.dropped_attention import dropped_attention, kept
from trainables.layers.few_weights import few_dropped_attention


def parts() -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6))
    return [
        torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_() for shape in shapes
    ]


def test_it_is_the_formula_and_so_are_its_gradients() -> None:
    ours, theirs = parts(), parts()
    torch.manual_seed(1)
    found = dropped_attention(*ours, dropout=0.3, scale=0.7)
    torch.manual_seed(1)
    stays = kept((2, 3, 5, 7), 0.3) / 0.7
    queries, keys, values = theirs
    expected = ((queries @ keys.mT * 0.7).softmax(-1) * stays) @ values
    torch.testing.assert_close(found, expected)
    weights = torch.randn(found.shape, dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), ours),
        torch.autograd.grad((expected * weights).sum(), theirs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_padding_gets_no_weight_and_no_gradient() -> None:
    """The formula with −∞ where padding is, and zeros for an image that is all padding."""
    padding = torch.zeros(2, 7, dtype=torch.bool)
    padding[0, 3:5], padding[1] = True, True
    ours, theirs = parts(), parts()
    torch.manual_seed(1)
    found = dropped_attention(*ours, dropout=0.3, scale=0.7, padding=padding)
    torch.manual_seed(1)
    stays = kept((2, 3, 5, 7), 0.3)[0] / 0.7
    queries, keys, values = (one[0] for one in theirs)
    scores = (queries @ keys.mT * 0.7).masked_fill(padding[0], -torch.inf)
    expected = (scores.softmax(-1) * stays) @ values
    torch.testing.assert_close(found[0], expected)
    assert not found[1].any()
    weights = torch.randn(found.shape, dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), ours),
        torch.autograd.grad((expected * weights[0]).sum(), theirs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("has_padding", [False, True])
def test_few_weights_give_the_same_with_the_same_draws(has_padding: bool) -> None:
    padding = torch.zeros(2, 7, dtype=torch.bool)
    padding[0, 3:5], padding[1] = True, True
    found: list[list[Tensor]] = []
    for attend in (dropped_attention, few_dropped_attention):
        given = parts()
        torch.manual_seed(1)
        mask = padding if has_padding else None
        mixed = attend(*given, dropout=0.3, scale=0.7, padding=mask)
        found.append([mixed, *torch.autograd.grad(mixed.square().sum(), given)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
def test_so_many_are_kept(rate: float) -> None:
    torch.manual_seed(0)
    share = kept((999, 1001), rate).double().mean()
    assert abs(float(share) - (1 - rate)) < 5 * (rate * (1 - rate) / 1e6) ** 0.5 + 2**-17


@pytest.mark.parametrize(("rate", "share"), [(0.0, 1.0), (1.0, 0.0)])
def test_none_or_all_are_kept(rate: float, share: float) -> None:
    assert float(kept((64, 64), rate).double().mean()) == share


def test_what_is_kept_of_neighbours_is_independent() -> None:
    torch.manual_seed(0)
    stays = kept((1000, 1000), 0.5).double() - 0.5
    for step in (1, 2, 3, 4):
        together = float((stays[:, step:] * stays[:, :-step]).mean()) / 0.25
        assert abs(together) < 5e-3
