"""Normalisations of updates: their identities, and what batch normalisation keeps."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tests.trainables.groups import together
from trainables.layers.slot_updates import (
    NORMALIZATIONS,
    BatchLevel,
    ImageLevel,
    SlotLevel,
    update_normalization,
    weigh,
)

ATTENTION = torch.randn(3, 4, 50, generator=torch.Generator().manual_seed(0)).double().softmax(1)
TOKENS = torch.randn(3, 50, 6, generator=torch.Generator().manual_seed(1)).double()
SUMS, MASS = ATTENTION @ TOKENS, ATTENTION.sum(-1)


def weighed(normalization: str, **changes: Any) -> Tensor:
    return weigh(normalization, SUMS, MASS, 50, **changes)[0]


def test_the_mean_has_epsilon_in_each_weight() -> None:
    eps = 0.01
    weights = (ATTENTION + eps) / (ATTENTION + eps).sum(-1, keepdim=True)
    torch.testing.assert_close(weighed("mean", eps=eps), weights @ TOKENS)


def test_the_constant_is_the_mean_times_the_share_of_tokens() -> None:
    share = MASS[..., None] / 50
    torch.testing.assert_close(weighed("constant"), share * weighed("mean", eps=0.0))


def test_the_factor_multiplies_the_constant() -> None:
    torch.testing.assert_close(weighed("constant", constant_factor=8.0), 8 * weighed("constant"))


@pytest.mark.parametrize("scaled", ["constant", "learned_scale"])
def test_the_plain_sum_is_the_constant_times_the_tokens(scaled: str) -> None:
    torch.testing.assert_close(weighed("none"), 50 * weighed(scaled))


def test_updates_of_all_slots_add_up_to_the_values() -> None:
    torch.testing.assert_close(weighed("none").sum(1), TOKENS.sum(1))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_sum_of_weights_goes_with_the_weighted_sums(normalization: str) -> None:
    ones = torch.ones(3, 50, 1).double()
    sums, weights = weigh(normalization, ATTENTION @ ones, MASS, 50)
    torch.testing.assert_close(sums[..., 0], weights)


def test_a_slot_without_mass_sees_the_mean_of_all_tokens() -> None:
    sums, mass = SUMS.float().clone(), MASS.float().clone()
    sums[:, 1] += sums[:, 0]
    sums[:, 0], mass[:, 0] = 0, 0
    found, _ = weigh("mean", sums, mass, 50)
    torch.testing.assert_close(found[:, 0], TOKENS.float().mean(1))


def test_layer_normalization_does_not_see_the_scale() -> None:
    level = SlotLevel(6, eps=0.0).double()
    torch.testing.assert_close(level(1000 * SUMS, 0)[0], level(SUMS, 0)[0])
    torch.testing.assert_close(level(SUMS, 0)[0].mean(-1), torch.zeros(3, 4).double())


def test_an_image_is_normalized_by_itself() -> None:
    level = ImageLevel(eps=0.0).double()
    for image, found in zip(SUMS, level(SUMS, 0)[0], strict=True):
        torch.testing.assert_close(found, (image - image.mean()) / image.std(correction=0))


def of_batch(updates: Tensor) -> tuple[Tensor, Tensor]:
    mean = updates.sum() / updates.numel()
    return mean, (updates - mean).square().sum() / updates.numel()


def test_later_iterations_have_the_statistics_of_the_first() -> None:
    level = BatchLevel().double()
    first, carried = level(SUMS, 0)
    later, _ = level(2 * SUMS + 1, 1, carried)
    mean, variance = of_batch(SUMS)
    torch.testing.assert_close(first, (SUMS - mean) / (variance + 1e-5).sqrt())
    torch.testing.assert_close(later, (2 * SUMS + 1 - mean) / (variance + 1e-5).sqrt())


def test_later_iterations_send_a_gradient_through_the_statistics() -> None:
    level = BatchLevel().double()
    updates = SUMS.clone().requires_grad_()
    _, carried = level(updates, 0)
    level(torch.ones_like(SUMS), 1, carried)[0].sum().backward()
    assert updates.grad is not None and updates.grad.abs().min() > 0


def test_running_averages_are_of_the_biased_variance() -> None:
    level = BatchLevel(momentum=0.3).double()
    level(SUMS, 0)
    mean, variance = of_batch(SUMS)
    torch.testing.assert_close(level.running_mean, 0.3 * mean.view(1))
    torch.testing.assert_close(level.running_variance, 0.7 + 0.3 * variance.view(1))


def test_an_evaluation_uses_running_averages_in_all_iterations_and_leaves_them() -> None:
    level = BatchLevel().double()
    level(SUMS, 0)
    mean, variance = level.running_mean.clone(), level.running_variance.clone()
    level.eval()
    for iteration in (0, 3):
        found, _ = level(SUMS[:, :2], iteration)
        torch.testing.assert_close(found, (SUMS[:, :2] - mean) / (variance + 1e-5).sqrt())
    assert torch.equal(level.running_mean, mean)


def test_each_of_the_first_iterations_can_have_statistics_of_its_own() -> None:
    level = BatchLevel(own_statistics=2).double()
    inputs = [SUMS * (iteration + 1) + iteration for iteration in range(3)]
    _, carried = level(inputs[0], 0)
    _, carried = level(inputs[1], 1, carried)
    found, _ = level(inputs[2], 2, carried)
    mean, variance = of_batch(inputs[1])
    torch.testing.assert_close(found, (inputs[2] - mean) / (variance + 1e-5).sqrt())
    expected = torch.stack([of_batch(one)[0] for one in inputs[:2]])
    torch.testing.assert_close(level.running_mean, 0.1 * expected)


@pytest.mark.parametrize("reentrant", [False, True])
def test_computing_activations_again_leaves_the_averages(reentrant: bool) -> None:
    level = BatchLevel().double()
    updates = SUMS.clone().requires_grad_()
    found = checkpoint(lambda one: level(one, 0)[0], updates, use_reentrant=reentrant)
    assert isinstance(found, Tensor)
    before = level.running_mean.clone()
    found.square().sum().backward()
    assert before.abs() > 0 and torch.equal(level.running_mean, before)


@pytest.mark.parametrize("normalization", ["batch_norm", "image_level"])
def test_slots_that_take_no_part_do_not_count(normalization: str) -> None:
    level = update_normalization(normalization, 6).double()
    takes_part = torch.tensor([[True, True, False, True]]).expand(3, -1)
    found, _ = level(SUMS, 0, takes_part=takes_part)
    expected, _ = level(SUMS[:, [0, 1, 3]], 0)
    torch.testing.assert_close(found[:, [0, 1, 3]], expected)


def sharing(rows: list[slice], synchronizes: bool, folder: Path) -> dict[str, Tensor]:
    """What a rank of two finds with its own part of the images."""
    own = SUMS[rows[int(folder.name.removeprefix("rank-"))]].clone().requires_grad_()
    level = BatchLevel(synchronizes=synchronizes).double()
    first, carried = level(own, 0)
    second, _ = level(own.square(), 1, carried)
    (first.sin().sum() + second.square().sum()).backward()
    assert own.grad is not None and level.scale.grad is not None
    return {
        "first": first.detach(),
        "gradient": own.grad,
        "scale": level.scale.grad,
        "averages": torch.cat([level.running_mean, level.running_variance]),
    }


@pytest.mark.slow
def test_two_workers_have_the_statistics_of_one(tmp_path: Path) -> None:
    rows = [slice(0, 1), slice(1, 3)]  # one has more images than the other
    parts = together(2, tmp_path / "two", partial(sharing, rows, True))
    whole = sharing([slice(0, 3)], True, Path("rank-0"))
    for name in ("first", "gradient"):
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), whole[name])
    torch.testing.assert_close(parts[0]["scale"] + parts[1]["scale"], whole["scale"])
    for part in parts:
        torch.testing.assert_close(part["averages"], whole["averages"])


@pytest.mark.slow
def test_two_workers_can_have_statistics_of_their_own(tmp_path: Path) -> None:
    rows = [slice(0, 1), slice(1, 3)]
    parts = together(2, tmp_path / "two", partial(sharing, rows, False))
    for part, own in zip(parts, rows, strict=True):
        alone = sharing([own], False, Path("rank-0"))
        torch.testing.assert_close(part["first"], alone["first"])


def test_what_is_out_of_range_is_refused() -> None:
    with pytest.raises(LookupError, match="normalization must be one of mean, .*, got 'median'"):
        update_normalization("median", 6)
    with pytest.raises(ValueError, match="own_statistics must be at least 1, got 0"):
        update_normalization("batch_norm", 6, own_statistics=0)
    for momentum in (0.0, 1.1):
        with pytest.raises(ValueError, match=f"momentum must be above 0 .*, got {momentum}"):
            update_normalization("batch_norm", 6, momentum=momentum)
    update_normalization("batch_norm", 6, own_statistics=1, momentum=1.0)
