"""A network that follows another: by a loop, in its mode, and in the checkpoint."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainables.layers.moving_average import MovingAverage

IMAGES = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def student() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 2))


def moved(network: nn.Module) -> None:
    """Other parameters, and other statistics."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))
    network(IMAGES)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_it_follows_as_a_loop_over_parameters_does(momentum: float) -> None:
    network = student()
    teacher = MovingAverage(network, 0.5)
    expected = [one.detach().clone() for one in network.parameters()]
    for _ in range(3):
        moved(network)
        teacher.follow(network, momentum)
        for ours, theirs in zip(expected, network.parameters(), strict=True):
            ours.mul_(momentum).add_((1 - momentum) * theirs.detach())
    for found, wanted in zip(teacher.network.parameters(), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    pairs = zip(teacher.network.buffers(), network.buffers(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs), "taken over, counts of batches too"


def test_its_own_momentum_holds_unless_a_call_says_another() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    teacher = MovingAverage(network, 0.75)
    nn.init.ones_(network.weight)
    teacher.follow(network)
    assert teacher.state_dict()["network.weight"].item() == 0.25
    teacher.follow(network, 0.0)
    assert teacher.state_dict()["network.weight"].item() == 1


def test_it_has_no_gradient_and_shares_nothing_with_what_it_follows() -> None:
    network = student()
    teacher = MovingAverage(network)
    before = copy.deepcopy(teacher.state_dict())
    moved(network)
    assert not any(one.requires_grad for one in teacher.parameters())
    assert all(torch.equal(one, before[name]) for name, one in teacher.state_dict().items())
    assert not teacher(IMAGES.clone().requires_grad_()).requires_grad


@pytest.mark.parametrize("mode", ["evaluation", "training"])
def test_it_is_always_in_its_mode(mode: Any) -> None:
    teacher = nn.ModuleList([MovingAverage(student(), mode=mode)])
    for is_training in (True, False):
        teacher.train(is_training)
        assert {one.training for one in teacher[0].network.modules()} == {mode == "training"}  # pyright: ignore


def test_it_is_in_the_checkpoint() -> None:
    network = student()
    teacher, again = MovingAverage(network, 0.9), MovingAverage(student(), 0.9)
    moved(network)
    teacher.follow(network)
    again.load_state_dict(teacher.state_dict())
    assert torch.equal(again(IMAGES), teacher(IMAGES)) and "network.0.weight" in again.state_dict()


@pytest.mark.parametrize("recomputes", [False, True])
def test_a_forward_pass_that_is_computed_again_changes_nothing(recomputes: bool) -> None:
    network = nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 2))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    teacher = MovingAverage(network, 0.9)

    def loss(images: Tensor) -> Tensor:
        return (network(images) - teacher(images) + images.sum()).square().mean()

    found = checkpoint(loss, IMAGES, use_reentrant=False) if recomputes else loss(IMAGES)
    found.backward()  # pyright: ignore
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter.sub_(parameter.grad)
    teacher.follow(network)
    change = teacher.network[0].weight - 0.1  # pyright: ignore
    torch.testing.assert_close(change, -0.1 * network[0].weight.grad)  # pyright: ignore


def test_another_network_or_momentum_is_refused() -> None:
    teacher = MovingAverage(student())
    with pytest.raises(ValueError, match="network must be the one that was copied"):
        teacher.follow(nn.Linear(4, 5))
    for momentum in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"momentum must be in 0…1, got {momentum}"):
            teacher.follow(student(), momentum)
    with pytest.raises(LookupError, match="mode must be one of evaluation, training, got 'eval'"):
        MovingAverage(student(), mode="eval")  # pyright: ignore[reportArgumentType]


def test_a_copy_keeps_statistics_of_its_own_if_asked() -> None:
    network = student()
    teacher, copied = MovingAverage(network, mode="training", buffers="own"), student()
    moved(network)
    teacher(IMAGES)
    teacher.follow(network, 0.5)
    copied(IMAGES)  # its own pass, with the weights of the start
    for name, buffer in copied.named_buffers():
        assert torch.equal(teacher.network.get_buffer(name), buffer)
    own = teacher.network.get_parameter("0.weight")
    expected = (student().get_parameter("0.weight") + network.get_parameter("0.weight")) / 2
    torch.testing.assert_close(own, expected)
