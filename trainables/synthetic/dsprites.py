"""Multi-dSprites: squares, ellipses and hearts that hide one another, in three colourings."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic.draws import draws
from trainables.synthetic.rays import Floats
from trainables.synthetic.records import Scene
from trainables.synthetic.textures import hues

SIZE = 64
"""Pixels of an image's side in the published set."""
SHAPES = ("square", "ellipse", "heart")
"""The sprites; records count them from 1."""
MIN_VISIBLE = 0.1
"""Share of its pixels that a sprite shows at least: below, it is no more than a speck."""

_REACH = 11 / 64  # half the width of a sprite of scale 1, of the image's side, as in dSprites
_SCALES = np.linspace(0.5, 1, 6)
_NUM_ORIENTATIONS, _NUM_PLACES = 40, 32


class Coloring(NamedTuple):
    """Sprites a scene has at least and at most, channels, and what draws their colours.

    `colors(random, n)` gives the colour of the background and of n sprites, [1 + n, C], in 0…1.
    """

    least: int
    most: int
    channels: int
    colors: Callable[[np.random.Generator, int], Floats]


def _white_on_black(random: np.random.Generator, count: int) -> Floats:
    return np.concatenate([np.zeros((1, 1)), np.ones((count, 1))])


def _hues_on_grey(random: np.random.Generator, count: int) -> Floats:
    grey = np.full((1, 3), random.random())
    sprites = hues(random, count, saturation=(0.5, 1.0), value=(0.5, 1.0))
    return np.concatenate([grey, sprites])


def _any_on_any(random: np.random.Generator, count: int) -> Floats:
    return random.random((1 + count, 3))


COLORINGS = {
    "binarized": Coloring(2, 3, 1, _white_on_black),
    "colored_on_grayscale": Coloring(2, 5, 3, _hues_on_grey),
    "colored_on_colored": Coloring(1, 4, 3, _any_on_any),
}
"""The published variants, with their numbers of sprites."""


def scene(seed: int, index: int, *, image_size: int, variant: str) -> Scene:
    """Scene `index` of a seed: image [S, S, C] and masks [S, S, E, 1] 0/255; E is 1 + the most.

    Shape, scale (six from ½ to 1), orientation (40) and place (32 × 32) have the values of dSprites
    (Matthey et al. 2017); a later sprite hides earlier ones, but for at least `MIN_VISIBLE` of
    their pixels. Colours of `colored_on_grayscale` have a saturation and value above ½.

    `x`, `y`, `scale`, `orientation` (radians) and `shape` [E] and `color` [E, C] are 0 for missing
    sprites; the background has a colour alone. `visibility` is 1 where the mask is not empty.

    Numbers and colourings are those of Multi-dSprites (Kabra et al. 2019); sprites are drawn anew
    from formulas, so that they are not equal pixel by pixel.

    Raises:
        ValueError: the image is below 16 pixels, too small for the smallest sprites.
    """
    if image_size < 16:
        raise ValueError(f"image_size must be at least 16 for multi_dsprites, got {image_size}")
    coloring = COLORINGS[variant]
    random = draws(f"multi_dsprites_{variant}", seed, index)
    count = int(random.integers(coloring.least, coloring.most + 1))
    colors = coloring.colors(random, count)
    facts, owner = _placed(random, count, image_size)
    entities = 1 + coloring.most
    mask = owner[..., None] == np.arange(entities)
    image = np.rint(colors[owner] * 255).astype(np.uint8)
    padded = {name: _padded(values, entities) for name, values in facts.items()}
    return {
        "image": image,
        "mask": mask[..., None].astype(np.uint8) * np.uint8(255),
        **padded,
        "color": np.pad(colors, ((0, entities - 1 - count), (0, 0))).astype(np.float32),
        "visibility": mask.any((0, 1)).astype(np.float32),
    }


def _placed(
    random: np.random.Generator, count: int, side: int
) -> tuple[dict[str, Floats], NDArray[np.int64]]:
    """Facts of the sprites [n], and which of them [S, S] one sees, 0 for the background."""
    while True:
        facts = {
            "shape": random.integers(1, 1 + len(SHAPES), size=count).astype(np.float64),
            "scale": random.choice(_SCALES, size=count),
            "orientation": random.integers(_NUM_ORIENTATIONS, size=count)
            * (2 * np.pi / (_NUM_ORIENTATIONS - 1)),
            "x": random.integers(_NUM_PLACES, size=count) / (_NUM_PLACES - 1),
            "y": random.integers(_NUM_PLACES, size=count) / (_NUM_PLACES - 1),
        }
        whole = _sprites(side=side, **facts)
        owner = np.max(whole * np.arange(1, count + 1)[:, None, None], axis=0)
        shown = np.bincount(owner.ravel(), minlength=count + 1)[1:]
        if (shown >= MIN_VISIBLE * whole.sum((1, 2))).all():
            return facts, owner


def _sprites(
    *,
    shape: Floats,
    scale: Floats,
    orientation: Floats,
    x: Floats,
    y: Floats,
    side: int,
) -> NDArray[np.bool_]:
    """Which pixels [n, S, S] have their centre in each sprite, were it alone."""
    centres = (np.arange(side) + 0.5) / side
    # As in dSprites, centres stay within the middle half of the image.
    right = centres[None, None] - (0.25 + 0.5 * x)[:, None, None]
    down = centres[None, :, None] - (0.25 + 0.5 * y)[:, None, None]
    cos, sin = np.cos(orientation)[:, None, None], np.sin(orientation)[:, None, None]
    reach = scale[:, None, None] * _REACH
    u, v = (cos * right + sin * down) / reach, (cos * down - sin * right) / reach
    inside = np.stack([_square(u, v), _ellipse(u, v), _heart(u, v)])
    return inside[shape.astype(int) - 1, np.arange(len(shape))]


def _square(u: Floats, v: Floats) -> NDArray[np.bool_]:
    return np.maximum(abs(u), abs(v)) <= 0.85


def _ellipse(u: Floats, v: Floats) -> NDArray[np.bool_]:
    return u**2 + (2 * v) ** 2 <= 1.2


def _heart(u: Floats, v: Floats) -> NDArray[np.bool_]:
    right, up = 1.2 * u, 0.15 - 1.2 * v
    return (right**2 + up**2 - 1) ** 3 <= right**2 * up**3


def _padded(values: Floats, entities: int) -> NDArray[np.float32]:
    """Values of the sprites, with a 0 for the background and for each missing sprite."""
    return np.pad(values, (1, entities - 1 - len(values))).astype(np.float32)
