"""Colours, and textures as functions of a place in a body or in the world."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainables.synthetic.rays import Floats

Texture = Callable[[Floats], Floats]
"""From places [N, 3] to colours [N, 3] in 0…1."""


def hues(
    random: np.random.Generator,
    count: int,
    *,
    saturation: tuple[float, float],
    value: tuple[float, float],
) -> Floats:
    """Colours [count, 3] in 0…1 with uniform hues, and saturations and values in these ranges."""
    hue = random.random((count, 1))
    wheel = np.clip(abs((hue * 6 + [0, 4, 2]) % 6 - 3) - 1, 0, 1)
    strength = random.uniform(*saturation, size=(count, 1))
    return random.uniform(*value, size=(count, 1)) * (1 - strength * (1 - wheel))


def plain(color: Floats) -> Texture:
    """The same colour everywhere."""
    return lambda places: np.broadcast_to(color, places.shape)


def waves(
    random: np.random.Generator, colors: Floats, *, longest: float, count: int = 10
) -> Texture:
    """Clouds between colours [C, 3]: waves in all directions, the shorter the weaker.

    The first wave is `longest` units long, the last one a sixteenth of that.
    """
    frequencies = 2 * np.pi / longest * 16 ** np.linspace(0, 1, count)
    directions = random.normal(size=(count, 3))
    directions *= (frequencies / np.linalg.norm(directions, axis=1))[:, None]
    phases = random.uniform(0, 2 * np.pi, size=count)
    strengths = frequencies**-0.8 / np.linalg.norm(frequencies**-0.8) / 2**0.5

    def texture(places: Floats) -> Floats:
        level = np.sin(places @ directions.T + phases) @ strengths
        return _blend(colors, 0.5 + 0.45 * level)

    return texture


def stripes(random: np.random.Generator, colors: Floats, *, period: float) -> Texture:
    """Stripes of two colours [2, 3] across a random direction."""
    direction = random.normal(size=3)
    direction *= 2 * np.pi / period / np.linalg.norm(direction)
    return lambda places: _blend(colors, 0.5 + 2 * np.sin(places @ direction))


def checks(random: np.random.Generator, colors: Floats, *, period: float) -> Texture:
    """Cubes of two colours [2, 3] in turn, along the axes."""
    start = random.uniform(0, 2 * np.pi, size=3)

    def texture(places: Floats) -> Floats:
        level = np.sin(places * (2 * np.pi / period) + start).prod(-1)
        return _blend(colors, 0.5 + 6 * level)

    return texture


def _blend(colors: Floats, level: Floats) -> Floats:
    """Between colours [C, 3] in a row, at a level [N] that is cut to 0…1."""
    at = np.clip(level, 0, 1) * (len(colors) - 1)
    low = np.minimum(at.astype(int), len(colors) - 2)
    rest = (at - low)[:, None]
    return colors[low] * (1 - rest) + colors[low + 1] * rest
