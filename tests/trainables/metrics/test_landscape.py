"""Landscapes: their centre is the loss, networks stay as they were, cells are computed once."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.residual import Residual
from trainables.metrics.directions import difference, random_direction, state
from trainables.metrics.landscape import (
    Classification,
    Landscape,
    cached,
    coarse_to_fine,
    content,
    coordinates,
    landscape,
)


class Bowl(nn.Module):
    """½ ‖θ‖², whose values on a plane are known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
        self.seen = 0

    def loss(self) -> Tensor:
        self.seen += 1
        return self.weight.square().sum()[None] / 2


AXES = {
    "first": {"weight": torch.tensor([[1.0, 0.0], [0.0, 0.0]])},
    "second": {"weight": torch.tensor([[0.0, 0.0], [0.0, 2.0]])},
}


def small() -> tuple[Residual, Tensor, Tensor]:
    """A network with batch norms that have seen something, images and labels."""
    torch.manual_seed(0)
    network = Residual(channels=1, classes=4, depth=8, width=4)
    images, labels = torch.randn(20, 1, 8, 8), torch.arange(20) % 4
    network.train()(images)
    return network, images, labels


def test_a_plane_through_a_bowl_has_the_values_of_its_formula() -> None:
    bowl, axis = Bowl(), coordinates(1.0, 5)
    found = landscape(bowl, bowl.loss, [AXES["first"], AXES["second"]], [axis, axis])
    a, b = torch.meshgrid(axis, axis, indexing="ij")
    torch.testing.assert_close(found.losses, ((3 + a) ** 2 + (4 + 2 * b) ** 2) / 2)
    assert bowl.seen == 25


def test_a_line_through_a_bowl_has_the_values_of_its_formula() -> None:
    bowl, axis = Bowl(), coordinates(2.0, 9)
    found = landscape(bowl, bowl.loss, [AXES["first"]], [axis])
    torch.testing.assert_close(found.losses, ((3 + axis) ** 2 + 16) / 2)


def test_the_centre_is_the_loss_and_accuracy_of_the_network() -> None:
    network, images, labels = small()
    both = [random_direction(dict(network.named_parameters()), seed) for seed in (1, 2)]
    measure = Classification(network, images, labels, batch_size=6)
    found = landscape(network, measure, both, [coordinates(1.0, 3)] * 2).at(0.0, 0.0)
    with torch.no_grad():
        logits = network.eval()(images)
    loss = functional.cross_entropy(logits, labels)
    accuracy = (logits.argmax(1) == labels).double().mean()
    torch.testing.assert_close(found, torch.stack([loss.double(), accuracy]), rtol=0, atol=1e-6)


def test_a_network_is_what_it_was_even_if_its_loss_fails() -> None:
    network, images, labels = small()
    network.train()
    network.blocks[0].eval()
    before = {name: one.clone() for name, one in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    direction = random_direction(dict(network.named_parameters()), 1)
    measure = Classification(network, images, labels)
    landscape(network, measure, [direction], [coordinates(1.0, 3)])
    with pytest.raises(ZeroDivisionError):
        landscape(network, lambda: torch.ones(1 // 0), [direction], [coordinates(1.0, 3)])
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
    assert modes == [module.training for module in network.modules()]
    assert all(one.grad is None for one in network.parameters())


def test_a_line_between_two_networks_ends_at_both_with_their_statistics() -> None:
    network, images, labels = small()
    torch.manual_seed(1)
    other = Residual(channels=1, classes=4, depth=8, width=4)
    other.train()(3 * images)
    between = difference(state(network), state(other))
    axis = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    found = landscape(network, Classification(network, images, labels), [between], [axis])
    for place, one in ((0, network), (2, other)):
        with torch.no_grad():
            loss = functional.cross_entropy(one.eval()(images), labels)
        assert float(found.losses[place]) == pytest.approx(float(loss), abs=1e-6)


def test_what_is_known_is_not_computed_again() -> None:
    bowl, fine = Bowl(), coordinates(1.0, 9)
    both = [AXES["first"], AXES["second"]]
    known = landscape(bowl, bowl.loss, both, [coordinates(1.0, 5)] * 2)
    found = landscape(bowl, bowl.loss, both, [fine] * 2, known=known)
    assert bowl.seen == 81
    whole = landscape(bowl, bowl.loss, both, [fine] * 2)
    assert torch.equal(found.values, whole.values)


@pytest.mark.parametrize("counts", [(31,), (9, 9), (15, 31), (5, 3)])
def test_each_cell_comes_once_and_coarser_grids_come_first(counts: tuple[int, ...]) -> None:
    found = coarse_to_fine(counts)
    assert sorted(found) == list(product(*map(range, counts)))
    corners = list(product(*[(0, count - 1) for count in counts]))
    assert found[: len(corners)] == corners


def test_a_grid_of_nine_points_begins_with_those_of_two_three_and_five() -> None:
    found = [place for (place,) in coarse_to_fine((9,))]
    assert found == [0, 8, 4, 2, 6, 1, 3, 5, 7]


def test_values_that_are_not_finite_are_kept() -> None:
    """The logarithm of a negative number, of 0, and of 3.5."""
    bowl, axis = Bowl(), coordinates(1.0, 3)
    found = landscape(bowl, lambda: (bowl.loss() - 12.5).log(), [AXES["first"]], [axis]).losses
    assert found[0].isnan() and found[1] == -torch.inf
    assert float(found[2]) == pytest.approx(torch.tensor(3.5).log().item())


def test_signs_of_life_come_with_each_cell() -> None:
    bowl, signs = Bowl(), list[int]()
    axis = coordinates(1.0, 3)
    landscape(bowl, bowl.loss, [AXES["first"]], [axis], alive=lambda: signs.append(1))
    assert len(signs) == 3


@pytest.mark.parametrize("number", [2, 50, 1])
def test_a_grid_without_the_network_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"resolution must be odd and at least 3.*got {number}"):
        coordinates(1.0, number)


def test_coordinates_have_an_exact_middle() -> None:
    assert coordinates(0.7, 51)[25] == 0 and coordinates(1.0, 3).tolist() == [-1, 0, 1]


def test_a_direction_of_another_network_is_refused() -> None:
    bowl = Bowl()
    with pytest.raises(LookupError, match="no tensor 'bias'"):
        landscape(bowl, bowl.loss, [{"bias": torch.ones(2)}], [coordinates(1.0, 3)])


def test_as_many_directions_as_axes_are_asked_for() -> None:
    bowl = Bowl()
    with pytest.raises(ValueError, match="as many as axes, one or two, got 1 and 2"):
        landscape(bowl, bowl.loss, [AXES["first"]], [coordinates(1.0, 3)] * 2)


def test_a_point_that_is_none_is_named() -> None:
    with pytest.raises(LookupError, match="0.25 is no coordinate"):
        Landscape((coordinates(1.0, 3),), torch.zeros(3, 1)).at(0.25)


def parts() -> dict[str, object]:
    """What a landscape depends on."""
    weights = {"weight": torch.ones(2, 2), "bias": torch.zeros(2)}
    return {
        "weights": weights,
        "images": torch.ones(3, 1),
        "labels": torch.tensor([0, 1, 2]),
        "loss": "cross entropy",
        "directions": [weights],
        "axes": [coordinates(1.0, 3)],
    }


CHANGED: dict[str, object] = {
    "weights": {"weight": torch.ones(2, 2), "bias": torch.tensor([0.0, 1e-7])},
    "images": torch.tensor([[1.0], [1.0], [1.0 + 1e-6]]),
    "labels": torch.tensor([0, 2, 1]),
    "loss": "cross entropy of views",
    "directions": [{"weight": torch.ones(2, 2), "bias": torch.ones(2)}],
    "axes": [coordinates(1.0, 5)],
}


@pytest.mark.parametrize("changed", CHANGED)
def test_a_landscape_is_found_again_only_if_nothing_has_changed(
    changed: str, tmp_path: Path
) -> None:
    bowl = Bowl()

    def compute() -> Landscape:
        return landscape(bowl, bowl.loss, [AXES["first"]], [coordinates(1.0, 3)])

    first = cached(tmp_path, content(*parts().values()), compute)
    again = cached(tmp_path, content(*parts().values()), compute)
    assert bowl.seen == 3 and torch.equal(first.values, again.values)
    assert torch.equal(first.axes[0], again.axes[0])
    cached(tmp_path, content(*{**parts(), changed: CHANGED[changed]}.values()), compute)
    assert bowl.seen == 6 and not list(tmp_path.glob("*.partial"))
