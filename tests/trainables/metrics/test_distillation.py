"""The health of a teacher's targets, where it is known, and how far its parameters are."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.losses.distillation import distil_views
from trainables.metrics.distillation import distance_of_parameters, health_of_targets

SHARP: dict[str, Any] = {"temperature": 0.1, "teacher_temperature": 0.04}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_targets_that_say_nothing() -> None:
    found = health_of_targets(
        torch.zeros(3, 2, 8), torch.zeros(2, 2, 8), centre=torch.zeros(8), **SHARP
    )
    expected = {
        "entropy": math.log(8),
        "entropy_of_mean": math.log(8),
        "divergence": 0,
        "centre": 0,
    }
    assert {name: float(one) for name, one in found.items()} == pytest.approx(expected, abs=1e-12)


def test_sure_targets_of_one_output_and_of_many() -> None:
    sure = 10 * torch.eye(8)
    one = health_of_targets(
        torch.zeros(3, 8, 8), sure[:1].expand(2, 8, 8), centre=torch.zeros(8), **SHARP
    )
    many = health_of_targets(
        torch.zeros(3, 8, 8), sure.expand(2, 8, 8), centre=torch.zeros(8), **SHARP
    )
    for found, of_mean in ((one, 0.0), (many, math.log(8))):
        assert float(found["entropy"]) == pytest.approx(0, abs=1e-12)
        assert float(found["entropy_of_mean"]) == pytest.approx(of_mean, abs=1e-12)
        assert float(found["divergence"]) == pytest.approx(math.log(8))


def test_by_a_loop_over_pairs() -> None:
    student, teacher, centre = drawn(4, 3, 5), drawn(2, 3, 5, seed=1), drawn(5, seed=2)
    target = torch.softmax((teacher - centre).double() / 0.04, -1)
    other = torch.softmax(student.double() / 0.1, -1)
    each = [
        (target[u] * (target[u] / other[v]).log()).nan_to_num().sum(-1).mean()
        for u in range(2)
        for v in range(4)
        if u != v
    ]
    found = health_of_targets(student, teacher, centre=centre, **SHARP)
    torch.testing.assert_close(found["divergence"], torch.stack(each).mean())
    loss = distil_views(student.double(), teacher.double(), centre=centre.double(), **SHARP)
    torch.testing.assert_close(found["entropy"] + found["divergence"], loss)
    assert float(found["centre"]) == pytest.approx(float(centre.norm()))


def test_parameters_a_tenth_longer_are_a_tenth_away() -> None:
    network, other = nn.Linear(3, 2), nn.Linear(3, 2)
    with torch.no_grad():
        for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
            theirs.copy_(1.1 * ours)
    assert float(distance_of_parameters(network, other)) == pytest.approx(0.1, rel=1e-5)
    assert float(distance_of_parameters(network, network)) == 0


def test_another_network_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="other must have the parameters of network"):
        distance_of_parameters(nn.Linear(3, 2), nn.Linear(3, 3))
