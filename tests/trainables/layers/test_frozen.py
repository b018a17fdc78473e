"""Frozen networks never change, and no checkpoint holds them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainables.layers.frozen import Frozen
from trainables.layers.moving_average import MovingAverage

VECTORS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def model() -> nn.ModuleDict:
    """A frozen network with running statistics, and a head that learns."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))
    return nn.ModuleDict({"body": Frozen(body), "head": nn.Linear(5, 2)})


def state(network: Any) -> list[Tensor]:
    """All tensors of the frozen network."""
    inside = network["body"].network
    return [one.clone() for one in (*inside.parameters(), *inside.buffers())]


def test_training_leaves_it_as_it_was() -> None:
    network = model().train()
    before = state(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    first = network["body"](VECTORS)
    network["head"](first).square().sum().backward()
    optimizer.step()
    assert all(map(torch.equal, before, state(network)))
    assert torch.equal(network["body"](VECTORS), first) and not first.requires_grad
    assert network.training and not any(one.training for one in network["body"].modules())


def test_a_checkpoint_lacks_it_and_is_taken_strictly() -> None:
    network, other = nn.ModuleList([model()]), nn.ModuleList([model()])
    saved = network.state_dict()
    assert set(saved) == {"0.head.weight", "0.head.bias"}
    nn.init.zeros_(other[0]["head"].weight)  # pyright: ignore
    before = state(other[0])
    found = other.load_state_dict(saved)
    assert not found.missing_keys and not found.unexpected_keys
    assert torch.equal(other[0]["head"].weight, network[0]["head"].weight)  # pyright: ignore
    assert all(map(torch.equal, before, state(other[0])))
    assert Frozen(nn.Linear(2, 2)).state_dict() == {}


def test_a_teacher_holds_the_same_one() -> None:
    network = model()
    teacher = MovingAverage(network, 0.5)
    assert teacher.network["body"] is network["body"]  # pyright: ignore
    assert teacher.network["head"] is not network["head"]  # pyright: ignore
    before = state(network)
    teacher.follow(network)
    assert all(map(torch.equal, before, state(network)))


def test_it_is_moved_with_what_holds_it() -> None:
    network = model().double()
    assert network["body"](VECTORS.double()).dtype == torch.float64
