"""The set predictor and its loss: against brute force over all pairings, for any K and O."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from trainables.slots import networks
from trainables.slots.config import SetPrediction
from trainables.slots.set_predictor import SetPredictor, set_loss

SMALL: dict[str, object] = {
    "data__image_size": 16,
    "encoder__channels": 8,
    "slots__width": 8,
    "slots__mlp_width": 8,
}


def predictor(**values: object) -> SetPredictor:
    """A small one; a double underscore is a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    config = SetPrediction().with_values(named)
    torch.manual_seed(0)
    return SetPredictor(
        networks.encoder(config.encoder, config.data.image_size),
        networks.slot_attention(config.slots, config.encoder.channels),
        19,
    )


def sets(slots: int, objects: int, images: int = 4) -> tuple[Tensor, Tensor]:
    """Predictions and targets in 0…1, the last column of targets 0 or 1."""
    random = torch.Generator().manual_seed(slots * 100 + objects)
    predictions = torch.rand(images, slots, 19, generator=random)
    targets = torch.rand(images, objects, 19, generator=random)
    targets[..., 18] = (torch.arange(objects) < 2).float()
    return predictions, targets


def cost(prediction: Tensor, target: Tensor) -> float:
    """Of one pair."""
    return float(functional.huber_loss(prediction, target))


@pytest.mark.parametrize(("slots", "objects"), [(4, 4), (3, 5), (5, 3), (1, 4), (4, 1)])
def test_the_loss_is_the_least_mean_over_all_pairings(slots: int, objects: int) -> None:
    predictions, targets = sets(slots, objects)
    pairs, found = min(slots, objects), set_loss(predictions, targets, real=18).matched
    for image in range(len(found)):
        table = [[cost(predictions[image, k], targets[image, o]) for o in range(objects)]
                 for k in range(slots)]  # fmt: skip
        costs = np.array(table) if slots <= objects else np.array(table).T
        ways = permutations(range(max(slots, objects)), pairs)
        best = min(costs[range(pairs), list(way)].mean() for way in ways)
        assert float(found[image]) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("slots", [10, 21, 7])
def test_the_loss_is_that_of_scipys_assignment_of_image_after_image(slots: int) -> None:
    predictions, targets = sets(slots, 10)
    total = []
    for mine, true in zip(predictions, targets, strict=True):
        pairs = functional.huber_loss(
            mine[:, None].expand(-1, 10, -1), true.expand(slots, -1, -1), reduction="none"
        ).mean(-1)
        total.append(pairs[linear_sum_assignment(pairs.double())].mean())
    found = set_loss(predictions, targets, real=18).matched
    torch.testing.assert_close(found, torch.stack(total))


def test_equal_sets_in_another_order_cost_nothing() -> None:
    _, targets = sets(6, 6)
    found = set_loss(targets[:, torch.randperm(6)], targets, real=18)
    assert not found.matched.any() and not found.absent.any()


def test_the_order_of_slots_and_of_rows_does_not_matter() -> None:
    predictions, targets = sets(7, 5)
    found = set_loss(predictions, targets, real=18)
    other = set_loss(predictions.flip(1), targets[:, torch.tensor([2, 0, 4, 1, 3])], real=18)
    torch.testing.assert_close(found, other)


def test_gradients_are_those_of_the_matched_pairs_alone() -> None:
    predictions, targets = sets(5, 3)
    predictions.requires_grad_()
    set_loss(predictions, targets, real=18).matched.mean().backward()
    moved = predictions.grad
    assert moved is not None and (moved.abs().sum(2) > 0).sum(1).tolist() == [3] * 4
    assert float(moved.abs().max()) <= 1 / (19 * 3 * 4)


def test_slots_without_a_partner_pay_for_what_they_claim() -> None:
    targets = torch.zeros(1, 2, 19)
    targets[0, :, 18] = 1
    predictions = torch.zeros(1, 4, 19)
    predictions[0, :, 18] = torch.tensor([1.0, 0.4, 1.0, 0.2])
    found = set_loss(predictions, targets, real=18)
    assert float(found.matched) == 0
    assert float(found.absent) == pytest.approx((0.4**2 + 0.2**2) / 2 / (19 * 2))


@pytest.mark.parametrize("slots", [2, 3])
def test_nothing_is_paid_when_all_slots_have_a_partner(slots: int) -> None:
    predictions, targets = sets(slots, 3)
    assert not set_loss(predictions, targets, real=18).absent.any()


def test_a_surplus_slot_pays_for_its_claim_what_padding_as_its_partner_would() -> None:
    predictions = torch.full((1, 3, 19), 0.3)
    targets = torch.full((1, 3, 19), 0.3)
    targets[0, 2, 18] = 0  # where only the claim is wrong
    padded, alone = set_loss(predictions, targets, real=18), set_loss(
        predictions, targets[:, :2], real=18
    )  # fmt: skip
    assert float(padded.matched) * 3 == pytest.approx(float(alone.absent) * 2)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_only_the_loss_of_absent_objects_silences_surplus_slots(weight: float) -> None:
    _, targets = sets(6, 2)
    claims = torch.full((4, 6, 19), 1.0, requires_grad=True)
    optimizer = torch.optim.Adam([claims], lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        found = set_loss(claims.sigmoid(), targets, real=18)
        (found.matched + weight * found.absent).mean().backward()
        optimizer.step()
    confident = (claims.sigmoid()[..., 18] > 0.5).sum(1).tolist()
    assert confident == ([2] * 4 if weight else [6] * 4)


def test_the_default_network_has_380755_parameters() -> None:
    with torch.device("meta"):
        network = predictor()
    assert sum(one.numel() for one in network.parameters()) == 380_755


@pytest.mark.parametrize("slots", [3, 10, 21])
def test_predictions_are_in_0_to_1_for_any_number_of_slots(slots: int) -> None:
    images, noise = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, slots, 8)
    properties, attention = (one.detach() for one in predictor(**SMALL)(images, noise))
    assert properties.shape == (2, slots, 19) and attention.shape == (2, slots, 16)
    assert 0 < float(properties.min()) and float(properties.max()) < 1
    torch.testing.assert_close(attention.sum(1), torch.ones(2, 16))


def test_the_order_of_noise_is_the_order_of_predictions() -> None:
    network = predictor(**SMALL)
    images, noise = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 5, 8)
    found, other = network(images, noise), network(images, noise.flip(1))
    torch.testing.assert_close(found.properties.flip(1), other.properties)


def test_each_property_is_the_sigmoid_of_a_small_network_of_one_slot() -> None:
    network = predictor(**SMALL)
    images, noise = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 5, 8)
    slots = network.slot_attention(network.encoder(images), noise).slots
    weights, bias, other_weights, other_bias = network.head.parameters()
    expected = [
        torch.sigmoid(other_weights @ torch.relu(weights @ slot + bias) + other_bias)
        for slot in slots[0]
    ]
    torch.testing.assert_close(network(images, noise).properties[0], torch.stack(expected))
