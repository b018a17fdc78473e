"""Random numbers as a function of (seed, purpose, step, …): nothing to save, nothing to restore."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import torch
from torch import Tensor


def derive(seed: int, purpose: str, *numbers: int) -> int:
    """A seed in 0…2⁶³−1 of its own for each purpose and numbers, by BLAKE2b."""
    text = "/".join([str(seed), purpose, *map(str, numbers)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """A generator on the CPU, seeded with `derive`."""
    return torch.Generator().manual_seed(derive(seed, purpose, *numbers))


def seed_dropout(
    device: torch.device, seed: int, step: int, micro_batch: int, rank: int = 0
) -> None:
    """Seeds what dropout draws from on a device: its default generator.

    The only draws that depend on the rank of a worker. `torch.manual_seed` seeds every kind of
    device there is, which takes 0.1 ms, a tenth of a small step.
    """
    derived = derive(seed, "dropout", step, micro_batch, *([rank] if rank else []))
    torch.default_generator.manual_seed(derived)
    if device.type == "cuda":
        torch.cuda.manual_seed(derived)


def uniform(seed: int, purpose: str, step: int, indices: Tensor, count: int) -> Tensor:
    """`count` uniform numbers in [0, 1) for each index, [B] → [B, count], float32.

    The numbers of an index depend on (seed, purpose, step, index) alone, not on the batch it is in:
    a counter-based generator (SplitMix64, Steele et al. 2014), vectorised.
    """
    base = derive(seed, purpose, step)
    lanes = torch.arange(count, dtype=torch.int64)
    counter = indices.to(torch.int64)[:, None] * count + lanes + 1
    state = counter * _signed(0x9E3779B97F4A7C15) + base
    state = (state ^ _shift(state, 30)) * _signed(0xBF58476D1CE4E5B9)
    state = (state ^ _shift(state, 27)) * _signed(0x94D049BB133111EB)
    state = state ^ _shift(state, 31)
    return _shift(state, 40).to(torch.float32) * 2.0**-24


def normal(seed: int, purpose: str, step: int, indices: Tensor, count: int) -> Tensor:
    """`count` numbers from the standard normal distribution for each index, [B] → [B, count].

    They depend on what those of `uniform` depend on, of which two make one (Box and Muller 1958);
    float32, never beyond ±5.8.
    """
    draws = uniform(seed, purpose, step, indices, 2 * count).double()
    radius = (-2 * torch.log1p(-draws[:, :count])).sqrt()
    return (radius * torch.cos(2 * math.pi * draws[:, count:])).float()


def _signed(word: int) -> int:
    """A 64-bit word as the signed number with the same bits: torch's integers wrap around."""
    return word - (1 << 64) if word >= 1 << 63 else word


def _shift(state: Tensor, bits: int) -> Tensor:
    """A logical shift to the right; torch's is arithmetic."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)


@lru_cache(maxsize=4)
def permutation(seed: int, epoch: int, size: int) -> Tensor:
    """The order of the training set in an epoch: a permutation of 0…size−1, not to be changed."""
    return torch.randperm(size, generator=generator(seed, "order", epoch))
