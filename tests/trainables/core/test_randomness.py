"""Derived random numbers: functions of purpose, step and index; uniform; equal to SplitMix64."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import kstest

from trainables.core.randomness import (
    derive,
    generator,
    normal,
    permutation,
    seed_dropout,
    uniform,
)

MASK = (1 << 64) - 1


def split_mix(base: int, counter: int) -> float:
    """One number of SplitMix64 with Python's integers (Steele et al. 2014, figure 15)."""
    state = (counter * 0x9E3779B97F4A7C15 + base) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return ((state ^ (state >> 31)) >> 40) / 2**24


def test_the_vectorised_generator_is_split_mix() -> None:
    drawn = uniform(1, "augment", 5, torch.tensor([0, 7, 123_456_789]), 3)
    base = derive(1, "augment", 5)
    expected = [[split_mix(base, i * 3 + k + 1) for k in range(3)] for i in (0, 7, 123_456_789)]
    assert drawn.tolist() == expected


def test_the_numbers_of_an_index_do_not_depend_on_its_batch() -> None:
    whole = uniform(0, "augment", 1, torch.arange(64), 5)
    part = uniform(0, "augment", 1, torch.arange(32, 64), 5)
    assert torch.equal(whole[32:], part)


def test_they_are_uniform() -> None:
    drawn = uniform(0, "augment", 1, torch.arange(20_000), 2)
    assert 0 <= drawn.min() and drawn.max() < 1
    counts = torch.histc(drawn, bins=20, min=0, max=1)
    assert float(((counts - 2000) ** 2 / 2000).sum()) < 43.8  # chi-squared, 19 degrees, p = 0.001
    assert abs(float(torch.corrcoef(drawn.T)[0, 1])) < 0.03


def test_two_uniform_numbers_make_a_normal_one() -> None:
    drawn, pairs = (
        draw(3, "noise", 0, torch.tensor([0, 9]), count)
        for draw, count in ((normal, 2), (uniform, 4))
    )
    expected = [
        [math.sqrt(-2 * math.log1p(-u[k])) * math.cos(2 * math.pi * u[k + 2]) for k in range(2)]
        for u in pairs.tolist()
    ]
    torch.testing.assert_close(drawn, torch.tensor(expected), rtol=1e-6, atol=1e-6)


def test_they_are_normal() -> None:
    drawn = normal(0, "noise", 0, torch.arange(10_000), 2)
    assert kstest(drawn.flatten().numpy(), "norm").pvalue > 0.001
    assert abs(float(torch.corrcoef(drawn.T)[0, 1])) < 0.03
    assert torch.equal(drawn[50:60], normal(0, "noise", 0, torch.arange(50, 60), 2))


@pytest.mark.parametrize("other", [(1, "order", 3), (0, "mix", 3), (0, "order", 4), (0, "order")])
def test_seed_purpose_and_numbers_all_count(other: tuple[int, str, int]) -> None:
    assert derive(*other) != derive(0, "order", 3)


def test_derived_seeds_never_change() -> None:
    assert derive(0, "order", 0) == 3_471_081_512_423_777_433


def test_an_epoch_visits_every_example_once_in_an_order_of_its_own() -> None:
    first, second = permutation(0, 0, 50), permutation(0, 1, 50)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert not torch.equal(first, second)


def test_generators_repeat() -> None:
    draws = [torch.rand(4, generator=generator(3, "weights")) for _ in range(2)]
    assert torch.equal(*draws)


def test_dropout_repeats_for_a_step_and_differs_between_micro_batches() -> None:
    def mask(step: int, micro_batch: int) -> torch.Tensor:
        seed_dropout(torch.device("cpu"), 0, step, micro_batch)
        return torch.nn.functional.dropout(torch.ones(100))

    assert torch.equal(mask(3, 0), mask(3, 0))
    assert not torch.equal(mask(3, 0), mask(3, 1)) and not torch.equal(mask(3, 0), mask(4, 0))
