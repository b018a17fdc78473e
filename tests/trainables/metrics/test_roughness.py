"""Landscapes in numbers: planes, bowls, noise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trainables.metrics import roughness
from trainables.metrics.landscape import coordinates
from trainables.metrics.roughness import complaint, heights, local_minima, share_below


def grid(number: int) -> tuple[Tensor, Tensor]:
    axis = coordinates(1.0, number)
    first, second = torch.meshgrid(axis, axis, indexing="ij")
    return first, second


def test_a_plane_is_not_rough_and_flatness_neither() -> None:
    first, second = grid(9)
    assert roughness.roughness(2 * first - second) == pytest.approx(0, abs=1e-7)
    assert roughness.roughness(torch.ones(9, 9)) == 0


def test_a_parabola_is_less_rough_the_more_points_it_has() -> None:
    """Second differences 2h², first ones h(2x + h): their mean square from its closed form."""
    for number in (9, 31):
        axis, h = coordinates(1.0, number), 2 / (number - 1)
        first = h * (2 * axis[:-1] + h)
        expected = 2 * h**2 / float(first.square().mean()) ** 0.5
        assert roughness.roughness(axis**2) == pytest.approx(expected)
        assert expected == pytest.approx(math.sqrt(3) * 2 / (number - 1), rel=0.01)


def test_noise_is_as_rough_as_the_square_root_of_three() -> None:
    noise = torch.randn(200, 200, generator=torch.Generator().manual_seed(0))
    assert roughness.roughness(noise) == pytest.approx(math.sqrt(3), rel=0.02)


def test_what_is_not_a_number_has_no_part_in_roughness() -> None:
    line = torch.tensor([0.0, 1.0, 2.0, torch.nan, 7.0, 8.0, 9.0])
    assert roughness.roughness(line) == 0


def brute(losses: Tensor) -> int:
    """Each inner point with its eight neighbours."""
    rows, columns = losses.shape
    return sum(
        all(
            losses[i, j] < losses[i + a, j + b] or math.isnan(losses[i + a, j + b])
            for a in (-1, 0, 1)
            for b in (-1, 0, 1)
            if (a, b) != (0, 0)
        )
        for i in range(1, rows - 1)
        for j in range(1, columns - 1)
        if math.isfinite(losses[i, j])
    )


def test_local_minima_are_those_of_a_loop() -> None:
    losses = torch.rand(9, 11, generator=torch.Generator().manual_seed(1))
    losses[3, 4], losses[6, 6] = torch.nan, torch.inf
    assert local_minima(losses) == brute(losses) > 3


def test_a_bowl_has_one_minimum_and_a_slope_none() -> None:
    first, second = grid(7)
    assert local_minima(first**2 + second**2) == 1
    assert local_minima(first) == 0
    assert local_minima(coordinates(1.0, 7) ** 2) == 1
    assert local_minima(torch.zeros(5, 5)) == 0
    assert local_minima(first**2 + second**2 + 9.9) == 1
    assert local_minima(first**2 + second**2 + 10) == 0


def test_cells_below_the_ceiling_are_counted_and_those_that_are_no_numbers() -> None:
    losses = torch.tensor([1.0, 10.0, 9.9, torch.nan, torch.inf, -torch.inf])
    assert share_below(losses) == pytest.approx(3 / 6)
    assert roughness.not_finite(losses) == 3


@pytest.mark.parametrize(
    ("below", "said"),
    [(4, "take a narrower range"), (5, None), (95, None), (96, "take a wider range")],
)
def test_a_range_that_shows_little_is_complained_about(below: int, said: str | None) -> None:
    losses = torch.full((100,), 20.0)
    losses[:below] = 1
    found = complaint(losses)
    assert found is None if said is None else found is not None and said in found


def test_heights_are_clipped_logarithms_or_as_they_are() -> None:
    losses = torch.tensor([0.0, 0.1, 1.0, 50.0, torch.nan, torch.inf])
    torch.testing.assert_close(
        heights(losses), torch.tensor([-2.0, -1.0, 0.0, 1.0, 1.0, 1.0]).double()
    )
    plain = heights(losses, ceiling=None, logs=False)
    assert plain[:4].tolist() == losses[:4].double().tolist() and plain[4:].isnan().all()
