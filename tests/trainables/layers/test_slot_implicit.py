"""Implicit differentiation: which step has a gradient, and who receives it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.trainables.layers.test_slot_attention import NOISE, TOKENS, make, variants
from trainables.layers.slot_attention import NORMALIZATIONS


@pytest.mark.parametrize("normalization", [one for one in NORMALIZATIONS if one != "batch_norm"])
def test_the_last_step_has_the_gradient_of_one_step(normalization: str) -> None:
    module, plain = make(normalization, implicit="last_step"), make(normalization)
    tokens = TOKENS.clone().requires_grad_()
    before = plain(TOKENS, NOISE, iterations=2).slots.detach()
    found, step = module(tokens, NOISE), plain(tokens, slots=before, iterations=1)
    torch.testing.assert_close(found.slots, plain(TOKENS, NOISE).slots)
    one = torch.autograd.grad(found.slots.sin().sum(), tokens)
    torch.testing.assert_close(one, torch.autograd.grad(step.slots.sin().sum(), tokens))


@variants
def test_an_extra_step_is_one_more_iteration(normalization: str) -> None:
    found = make(normalization, implicit="extra_step")(TOKENS, NOISE)
    plain = make(normalization, implicit="last_step")(TOKENS, NOISE, iterations=4)
    torch.testing.assert_close(tuple(found), tuple(plain))


@pytest.mark.parametrize("implicit", ["last_step", "extra_step"])
@pytest.mark.parametrize("iterations", [1, 3])
def test_a_prior_has_no_gradient_unless_it_is_trained(implicit: Any, iterations: int) -> None:
    module = make(implicit=implicit)
    module(TOKENS, NOISE, iterations=iterations).slots.sum().backward()
    without = {name for name, one in module.named_parameters() if one.grad is None}
    assert without == {"mean", "log_deviation"}


@pytest.mark.parametrize("implicit", ["last_step", "extra_step"])
def test_a_trained_prior_has_the_gradient_of_the_slots_before_the_step(implicit: Any) -> None:
    module = make(implicit=implicit, trains_prior=True)
    steps = 2 if implicit == "last_step" else 3
    before = make()(TOKENS, NOISE, iterations=steps).slots.detach().requires_grad_()
    module(TOKENS, NOISE).slots.sin().sum().backward()
    make()(TOKENS, slots=before, iterations=1).slots.sin().sum().backward()
    assert before.grad is not None and module.mean.grad is not None
    torch.testing.assert_close(module.mean.grad, before.grad.sum((0, 1), keepdim=True))
