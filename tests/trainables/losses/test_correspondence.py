"""Correspondence of features and codes: closed forms, and numbers of the original's code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.losses.correspondence import (
    Kernel,
    Places,
    alike_by_colour,
    centred,
    correspond,
    cosines,
    derangements,
    reconstructed,
    sampled,
)

ORIGINAL = {
    (True, False): (
        (-0.21907825815792242, 0.0654496671866928, 0.18257909638143352),
        (0.0009124633422399864, 0.00010422258717889885, -0.003110089196350232),
    ),
    (False, False): (
        (-0.25450731308105523, 0.06946517705973829, 0.1903445575005357),
        (0.0010317532870217263, 0.00015456046586508475, -0.0030924427977907032),
    ),
    (True, True): (
        (-0.18440544518080698, 0.06316855077716334, 0.1689728805972571),
        (0.0008453398238368697, 9.415219706529883e-05, -0.002464585570559217),
    ),
    (False, True): (
        (-0.21513469102589255, 0.06754469384643563, 0.17597297937842507),
        (0.000972908093279141, 0.00014077092684309446, -0.002464016043180567),
    ),
}
"""By (centred, stabilised) what mhamilton723/STEGO, src/modules.py, makes of the inputs below: the
losses of image, partner and others; of their weighted sum the squared norms of the gradients by
codes and by partners' codes, and a single number of the first."""


def wave(*shape: int, a: float = 1.0) -> Tensor:
    """Numbers without any draw."""
    t = torch.arange(math.prod(shape), dtype=torch.float64)
    return (torch.sin(a * t + 0.7) + 0.3 * torch.cos(0.37 * a * t * t % 6.28)).view(shape)


@pytest.mark.parametrize(("centres", "stabilises"), ORIGINAL)
def test_losses_and_gradients_are_those_of_the_original(centres: bool, stabilises: bool) -> None:
    features, partners = wave(4, 6, 5, 4), wave(4, 6, 5, 4, a=1.3)
    codes, others = (wave(4, 3, 5, 4, a=a).detach().requires_grad_() for a in (0.9, 2.1))
    here, there = (2 * ((wave(4, 9, 2, a=1.7 + k) + 1.3) / 2.6).clamp(0, 1) - 1 for k in range(2))
    own = Places(sampled(features, here), sampled(codes, here))
    near = Places(sampled(partners, there), sampled(others, there))
    rules = {"centres": centres, "stabilises": stabilises}
    found = [correspond(own, own, 0.18, **rules).loss, correspond(own, near, 0.12, **rules).loss]
    shifted = [torch.arange(4).roll(-shift) for shift in (1, 2, 3)]
    far = [
        correspond(
            own, Places(sampled(features[p], there), sampled(codes[p], there)), 0.46, **rules
        ).loss
        for p in shifted
    ]
    found.append(torch.stack(far).mean())
    (0.67 * found[0] + 0.25 * found[1] + 0.63 * found[2]).backward()
    values, gradients = ORIGINAL[centres, stabilises]
    assert [one.item() for one in found] == pytest.approx(values, rel=1e-9)
    assert codes.grad is not None and others.grad is not None
    sums = [codes.grad.square().sum(), others.grad.square().sum(), codes.grad[1, 2, 3, 1]]
    assert [one.item() for one in sums] == pytest.approx(gradients, rel=1e-8)


def test_the_term_of_colours_is_that_of_the_original() -> None:
    codes = functional.normalize(wave(2, 3, 6, 5, a=1.1), dim=1).requires_grad_()
    places = torch.tensor([[0, 5, 2, 3, 3, 1, 4], [4, 0, 2, 2, 3, 1, 1]])
    found = alike_by_colour(wave(2, 3, 6, 5, a=0.8), codes, places, Kernel(shift=0.1))
    found.backward()
    assert codes.grad is not None
    assert found.item() == pytest.approx(-1.8499580844200458, rel=1e-9)
    assert codes.grad.square().sum().item() == pytest.approx(0.9780050467608272, rel=1e-9)
    assert codes.grad[1, 2, 3, 2].item() == pytest.approx(-0.1679992369810928, rel=1e-9)


def test_centring_keeps_the_mean_and_makes_all_rows_alike() -> None:
    found = cosines(wave(3, 4, 6), wave(3, 4, 7, a=1.3))
    moved = centred(found)
    assert moved.mean().item() == pytest.approx(found.mean().item(), abs=1e-12)
    assert torch.allclose(moved.mean(2), found.mean().expand(3, 6), atol=1e-12)


def test_the_loss_is_zero_where_no_codes_are_alike() -> None:
    codes = torch.ones(2, 3, 5, dtype=torch.float64)
    one, other = Places(wave(2, 4, 5), codes), Places(wave(2, 4, 5, a=1.3), -codes)
    assert correspond(one, other, 0.2).loss == 0
    assert correspond(one, other, 0.2, clamps=False).loss != 0


def test_equal_codes_cost_the_shift_less_the_mean_of_features() -> None:
    one = Places(wave(2, 4, 5), torch.ones(2, 3, 5, dtype=torch.float64))
    mean = cosines(one.features, one.features).mean().item()
    assert correspond(one, one, 0.3).loss.item() == pytest.approx(0.3 - mean)
    assert correspond(one, one, 0.3, stabilises=True).loss.item() == pytest.approx(
        0.8 * (0.3 - mean)
    )


def test_corners_and_the_middle_are_sampled_where_they_lie() -> None:
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    places = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [0.0, 0.0], [5.0, 5.0]]])
    assert sampled(maps, places)[0, 0].tolist() == [0.0, 3.0, 8.0, 5.5, 11.0]


def test_no_image_stands_for_itself_and_each_other_one_equally_often() -> None:
    draws = torch.rand(5, 20_000, generator=torch.Generator().manual_seed(0))
    found = derangements(draws)
    assert (found != torch.arange(5)).all()
    assert (found.sort(1).values == torch.arange(5)).all()
    counts = found[:, 0].bincount(minlength=5)[1:] / len(found)
    assert torch.allclose(counts, torch.full((4,), 0.25), atol=0.015)


def test_a_single_image_has_no_other() -> None:
    assert derangements(torch.tensor([[0.3], [0.2]])).tolist() == [[1, 0]]
    with pytest.raises(ValueError, match="images must be at least 2 to be compared .*, got 1"):
        derangements(torch.zeros(1, 3))


def test_what_is_reconstructed_but_for_its_length_is_at_best() -> None:
    assert reconstructed(3 * wave(2, 4, 3, 3), wave(2, 4, 3, 3)).item() == pytest.approx(-1)
