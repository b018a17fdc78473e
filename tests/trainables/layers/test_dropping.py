"""Dropout by few draws: the share that is dropped, the scale of the rest, and the gradient."""

from __future__ import annotations

import pytest
import torch

from trainables.layers.dropping import Dropout, dropped


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_share_is_dropped_and_the_mean_stays(rate: float) -> None:
    torch.manual_seed(0)
    found = dropped(torch.ones(500, 1000, dtype=torch.float64), rate)
    assert set(found.unique().tolist()) == {0.0, 1 / (1 - rate)}
    assert abs(float(found.mean()) - 1) < 5 * (rate / (1 - rate) / 5e5) ** 0.5


def test_the_gradient_is_dropped_where_the_value_is() -> None:
    torch.manual_seed(0)
    values = torch.ones(40, 50, requires_grad=True)
    found = dropped(values, 0.3)
    found.sum().backward()
    torch.testing.assert_close(values.grad, found.detach(), rtol=0, atol=0)


def test_nothing_is_dropped_when_evaluated() -> None:
    values = torch.ones(3, 4)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_is_a_share_below_one(rate: float) -> None:
    with pytest.raises(ValueError, match=r"dropout must be at least 0 and below 1, got"):
        Dropout(rate)
