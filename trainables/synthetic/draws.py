"""Generators of random numbers of a scene, by (set, seed, scene) alone."""

from __future__ import annotations

import zlib

import numpy as np


def draws(purpose: str, seed: int, *numbers: int) -> np.random.Generator:
    """A generator of its own for each purpose, seed and numbers, such as that of the scene."""
    return np.random.default_rng([zlib.crc32(purpose.encode()), seed, *numbers])
