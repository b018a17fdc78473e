"""Directions: as large as what they move, nearly orthogonal, functions of their seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from trainables.layers.residual import Residual
from trainables.metrics import directions
from trainables.metrics.directions import Norm, cosine, random_direction


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Of a network with convolutions, norms and a linear layer."""
    torch.manual_seed(0)
    network = Residual(channels=1, classes=10, depth=20)
    return {name: one.detach() for name, one in network.named_parameters()}


def filters(tensor: Tensor) -> Tensor:
    return tensor.flatten(1).norm(dim=1)


def test_each_filter_is_as_large_as_that_of_the_weights(weights: dict[str, Tensor]) -> None:
    found = random_direction(weights, 1)
    for name, one in weights.items():
        if one.ndim > 1:
            torch.testing.assert_close(filters(found[name]), filters(one), rtol=1e-5, atol=0)


def test_what_has_one_dimension_does_not_move_unless_it_is_told_to(
    weights: dict[str, Tensor],
) -> None:
    vectors = [name for name, one in weights.items() if one.ndim < 2]
    fixed, moved = (random_direction(weights, 1, moves_vectors=moves) for moves in (False, True))
    assert vectors and not any(fixed[name].any() for name in vectors)
    assert all(torch.equal(moved[name], weights[name]) for name in vectors)


@pytest.mark.parametrize("norm", ["filter", "layer", "weight", "dfilter", "dlayer"])
def test_norms_are_those_of_a_loop_over_filters(norm: Norm) -> None:
    """The formulas written out, one filter at a time."""
    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(5))
    drawn = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(7))
    expected = drawn.clone()
    for own, one in zip(expected, weight, strict=True):
        if norm == "filter":
            own.mul_(one.norm() / (own.norm() + 1e-10))
        if norm == "dfilter":
            own.div_(own.norm() + 1e-10)
    if norm == "layer":
        expected.mul_(weight.norm() / expected.norm())
    if norm == "weight":
        expected.mul_(weight)
    if norm == "dlayer":
        expected.div_(expected.norm())
    found = random_direction({"weight": weight}, 7, norm=norm)["weight"]
    torch.testing.assert_close(found, expected)


def test_gaussian_directions_of_two_seeds_are_nearly_orthogonal(
    weights: dict[str, Tensor],
) -> None:
    assert abs(cosine(random_direction(weights, 1), random_direction(weights, 2))) < 0.05


def test_uniform_directions_of_two_seeds_are_nearly_the_same(weights: dict[str, Tensor]) -> None:
    """Biases and gains, of square norm V, are as they are in both, and numbers between 0 and 1
    have a cosine of E[u]² / E[u²] = ¾ with others: (¾ F + V) / (F + V) with filters of F.
    """
    both = [random_direction(weights, s, kind="uniform", moves_vectors=True) for s in (1, 2)]
    squares = {name: float(one.square().sum()) for name, one in weights.items()}
    whole = sum(squares.values())
    vectors = sum(squares[name] for name, one in weights.items() if one.ndim < 2)
    expected = (0.75 * (whole - vectors) + vectors) / whole
    assert cosine(*both) == pytest.approx(expected, abs=0.01)


def test_uniform_directions_of_small_filters_differ_least() -> None:
    """With the weights that PyTorch draws; 0.92 to 0.93 were measured with the other tool."""
    torch.manual_seed(0)
    network = Residual(channels=3, classes=10, depth=20)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    weights = dict(network.named_parameters())
    both = [random_direction(weights, s, kind="uniform", moves_vectors=True) for s in (1, 2)]
    assert 0.92 < cosine(*both) < 0.94


def test_a_direction_is_a_function_of_the_seed_in_any_memory_format() -> None:
    weight = torch.randn(4, 3, 2, 2)
    rows = random_direction({"weight": weight}, 3)["weight"]
    last = weight.to(memory_format=torch.channels_last)
    again = random_direction({"weight": last}, 3)["weight"]
    assert torch.equal(rows, again)
    assert again.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(rows, random_direction({"weight": weight}, 4)["weight"])


def test_tokens_are_listed_and_stay_where_they_are_fixed() -> None:
    network = timm.create_model("test_vit", pretrained=False)
    named = dict(network.named_parameters())
    assert directions.tokens(named) == ["cls_token", "pos_embed"]
    found = random_direction(named, 0, fixed=directions.tokens(named))
    assert not found["cls_token"].any() and found["patch_embed.proj.weight"].any()


def test_layer_scales_of_an_untrained_network_are_small() -> None:
    """1e-6 in each of C channels: a norm of 1e-6 · √C."""
    network = timm.create_model("test_convnext", pretrained=False)
    found = directions.layer_scales(network)
    sizes = {name: network.get_parameter(name).numel() for name in found}
    assert found
    assert all(found[name] == pytest.approx(1e-6 * size**0.5) for name, size in sizes.items())


def test_a_scale_multiplied_into_the_layer_before_changes_no_point() -> None:
    """Filters move in proportion to their size."""
    torch.manual_seed(0)
    scale = torch.tensor([1e-3, 0.5, 2.0])
    apart, within = nn.Linear(4, 3, bias=False), nn.Linear(4, 3, bias=False)
    within.weight.data = apart.weight.data * scale[:, None]
    steps = [random_direction({"weight": one.weight}, 0)["weight"] for one in (apart, within)]
    torch.testing.assert_close(steps[0] * scale[:, None], steps[1])


def test_a_trajectory_is_that_of_scikit_learn() -> None:
    """Directions up to their signs, shares of the variance, and places as projections."""
    draws = torch.Generator().manual_seed(0)
    networks = [
        {"weight": torch.randn(4, 5, generator=draws), "bias": torch.randn(4, generator=draws)}
        for _ in range(6)
    ]
    found = directions.trajectory(networks)
    rows = torch.stack([(one["weight"] - networks[-1]["weight"]).flatten() for one in networks])
    known: Any = PCA(n_components=2).fit(rows[:-1].double().numpy())
    for axis, component in zip(found.directions, known.components_, strict=True):
        own = axis["weight"].flatten().double().numpy()
        assert abs(float(own @ component)) == pytest.approx(1, abs=1e-6)
        assert not axis["bias"].any()
    assert found.shares == pytest.approx(tuple(known.explained_variance_ratio_), abs=1e-9)
    axes = np.stack([axis["weight"].flatten().numpy() for axis in found.directions], 1)
    np.testing.assert_allclose(found.places.numpy(), rows.numpy() @ axes, atol=1e-5)
    assert not found.places[-1].any()


def test_fewer_than_three_networks_are_no_trajectory() -> None:
    with pytest.raises(ValueError, match="networks must be at least 3 of a training, got 2"):
        directions.trajectory([{"weight": torch.ones(2, 2)}] * 2)
