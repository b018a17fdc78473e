"""Queries from a bank of templates: which win, in which order, and who learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.layers.queries import TemplateQueries
from trainables.layers.recording import recorded

PATCHES = torch.randn(3, 9, 12, generator=torch.Generator().manual_seed(0))


def made(**changes: Any) -> TemplateQueries:
    """A small bank with random numbers everywhere."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 16, "token_width": 12, "num_templates": 10, "num_slots": 6}
    bank = TemplateQueries(**(sizes | changes))
    for parameter in bank.parameters():
        nn.init.normal_(parameter, std=0.5)
    return bank


def shares(bank: TemplateQueries, templates: Tensor) -> Tensor:
    """Softmax over templates, [N, H, T, P]."""
    competition, heads = bank.attention.competition, bank.attention.competition.heads
    asked = competition.queries(templates).unflatten(-1, (heads, -1))
    keys = competition.keys(bank.norm_tokens(PATCHES)).unflatten(-1, (heads, -1))
    return (torch.einsum("thd,nphd->nhtp", asked, keys) / 2).softmax(2)


@torch.no_grad()
@pytest.mark.parametrize(("has_background", "slots"), [(True, 7), (True, 6), (False, 6)])
def test_the_best_templates_win_and_come_once_more_as_far_as_there_is_room(
    has_background: bool, slots: int
) -> None:
    bank = made(num_slots=slots, has_background=has_background)
    found, first = bank(PATCHES), int(has_background)
    assert found.shape == (3, slots, 16) and bank.offsets is not None
    worth = shares(bank, bank.templates[first:]).amax((1, 3))
    for image in range(3):
        best = worth[image].argsort(descending=True)[:3] + first
        rows = torch.cat([torch.zeros(first, dtype=torch.int64), best])
        won = bank.templates[rows]
        weights = shares(bank, won)[image]
        weights = weights / weights.sum(-1, keepdim=True)
        won = won + bank.attention.mixing(weights[None], bank.norm_tokens(PATCHES[[image]]))[0]
        copies = torch.cat([won[first:] + offset for offset in bank.offsets])
        expected = torch.cat([won[:first], copies])[:slots]
        torch.testing.assert_close(found[image], expected)


@torch.no_grad()
def test_instances_of_a_template_differ_by_their_offset() -> None:
    bank = made(num_slots=7)
    assert bank.offsets is not None
    found, offset = bank(PATCHES), bank.offsets[1] - bank.offsets[0]
    torch.testing.assert_close(found[:, 4:] - found[:, 1:4], offset.expand(3, 3, 16))


def test_templates_that_win_learn_and_no_others() -> None:
    bank, patches = made(num_slots=3), PATCHES.clone().requires_grad_()
    bank(patches).sin().sum().backward()
    learns = bank.templates.grad
    assert learns is not None and patches.grad is not None and patches.grad.all()
    winners = {0, *(shares(bank, bank.templates[1:]).amax((1, 3)).argmax(1) + 1).tolist()}
    assert set(learns.any(1).nonzero()[:, 0].tolist()) == winners
    assert all(one.grad is not None and one.grad.any() for one in bank.parameters())


@torch.no_grad()
def test_the_default_bank_makes_16_slots_and_is_recorded() -> None:
    bank = TemplateQueries(width=16)
    patches = torch.randn(2, 9, 16)
    with recorded(bank) as recording:
        assert bank(patches).shape == (2, 16, 16)
        [maps] = recording.take().values()
    assert maps.shape == (1, 2, 4, 9, 9), "the background and eight winners"
    alone = TemplateQueries(width=16, instances=1)
    assert alone(patches).shape == (2, 16, 16) and alone.offsets is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"instances": 0}, "instances must be at least 1, got 0"),
        ({"num_slots": 1}, "num_slots must be at least 2, got 1"),
        ({"num_slots": 0, "has_background": False}, "num_slots must be at least 1, got 0"),
        ({"num_templates": 2}, "at least 3 for 6 slots of 2 instances, got 2"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        made(**changes)
    made(num_slots=2, num_templates=1, instances=1)
    made(num_templates=3)


@torch.no_grad()
def test_all_templates_win_in_their_order_if_there_are_no_more() -> None:
    bank = made(num_templates=3, num_slots=4, instances=1)
    weights = shares(bank, bank.templates)
    weights = weights / weights.sum(-1, keepdim=True)
    expected = bank.templates + bank.attention.mixing(weights, bank.norm_tokens(PATCHES))
    torch.testing.assert_close(bank(PATCHES), expected)
