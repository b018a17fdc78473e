"""Quasi-Monte-Carlo noise is normal, spread, and of each image alone."""

from __future__ import annotations

import torch

from trainables.layers.slot_noise import quasi_normal


def test_quasi_normal_noise_is_normal() -> None:
    noise = quasi_normal(torch.rand(500, 8, generator=torch.Generator().manual_seed(0)), 7)
    levels = torch.tensor([-1.5, -0.5, 0.0, 0.5, 1.5])
    below = (noise.flatten()[:, None] < levels).float().mean(0)
    torch.testing.assert_close(below, torch.special.ndtr(levels), atol=0.01, rtol=0)
    assert noise.abs().max() < 5.5 and noise.dtype == torch.float32


def test_quasi_normal_noise_spreads_the_slots_of_an_image() -> None:
    noise = quasi_normal(torch.rand(50, 64, generator=torch.Generator().manual_seed(0)), 8)
    eighths = (torch.special.ndtr(noise.double()) * 8).long()
    assert torch.equal(eighths.sort(1).values, torch.arange(8)[:, None].expand(50, 8, 64))


def test_quasi_normal_noise_of_an_image_is_its_own() -> None:
    shifts, state = torch.rand(4, 8), torch.get_rng_state()
    noise = quasi_normal(shifts, 7)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(quasi_normal(shifts[2:3], 7), noise[2:3])
    assert torch.equal(quasi_normal(shifts, 5), noise[:, :5])


def test_quasi_normal_noise_is_finite_at_the_ends() -> None:
    ends = torch.tensor([[0.0, 1 - 2**-24]])
    assert quasi_normal(ends, 1000).isfinite().all()
