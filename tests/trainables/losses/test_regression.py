"""BYOL's regression: by its formula, and where it is known."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from trainables.losses.regression import regress_views


def test_it_is_the_formula_of_both_views() -> None:
    draw = torch.Generator().manual_seed(0)
    given, targets = torch.randn(2, 5, 2, 7, generator=draw).double().requires_grad_()
    each = [
        functional.normalize(given[:, v], dim=-1) - functional.normalize(targets[:, 1 - v], dim=-1)
        for v in range(2)
    ]
    expected = torch.stack(each).square().sum(-1).mean(1).sum()
    found = regress_views(given, targets)
    torch.testing.assert_close(found, expected)
    mine, theirs = torch.autograd.grad(found, [given, targets], allow_unused=True)
    assert theirs is None
    torch.testing.assert_close(mine, torch.autograd.grad(expected, given)[0])


@pytest.mark.parametrize(("sign", "value"), [(1, 0), (-1, 8)])
def test_equal_and_opposite_directions(sign: int, value: int) -> None:
    vectors = torch.eye(4).expand(2, 4, 4).transpose(0, 1)
    assert float(regress_views(sign * 3 * vectors, vectors)) == pytest.approx(value)


def test_each_image_has_a_loss_of_its_own() -> None:
    given, targets = torch.randn(2, 5, 2, 7, generator=torch.Generator().manual_seed(1)).double()
    each = regress_views(given, targets, "none")
    alone = torch.stack([regress_views(given[b : b + 1], targets[b : b + 1]) for b in range(5)])
    torch.testing.assert_close(each, alone)
