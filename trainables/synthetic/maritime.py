"""Thermal pictures from a boat, with a class at each pixel, under the names of MassMIND."""

# H × W pixels, W a quarter more than H.

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.synthetic.draws import draws
from trainables.synthetic.rays import Floats
from trainables.synthetic.records import Scene

SIZE = 512
"""Rows of a picture unless another number is asked for."""
LEAST = 7
"""Pictures of which each split has one."""
SUFFIX = "_label_ground-truth_semantic"
"""What the name of a mask has behind that of its picture."""
INSTANCES = "_label_ground-truth_instance"
"""The same of a mask of instances."""

SKY, WATER, BRIDGE, OBSTACLE, LIVING, BACKGROUND, SELF = range(7)
_START, _APART = 1_600_000_000, 5  # seconds
_NOISE = 0.02


def scene(seed: int, index: int, *, image_size: int, boats: int = 3) -> Scene:
    """Picture `index` of a seed: image [H, W], 0…255, warm is bright, mask [H, W], 0…6, and
    instances [H, W], a number for each bridge, obstacle and living one, 0 elsewhere.

    Sky that is colder higher up, water with waves, a strip of shore between them in most pictures;
    a bridge over the horizon in a quarter of them, up to `boats` obstacles on the water, each in
    some with somebody warm in it, and the bow at the lower edge of half of them. `time` is the
    second of the picture, five after that of the last.

    Raises:
        ValueError: a number that a picture cannot have.
    """
    if image_size < 32:
        raise ValueError(f"image_size must be at least 32 for massmind, got {image_size}")
    if not 0 <= boats <= 10:
        raise ValueError(f"boats must be 0…10, got {boats}")
    random = draws("massmind", seed, index)
    height, width = image_size, round(image_size * 5 / 4)
    rows, columns = np.mgrid[0:height, 0:width].astype(float)
    rows, columns = (rows + 0.5) / height, (columns + 0.5) / height
    horizon = random.uniform(0.35, 0.55) + random.uniform(-0.05, 0.05) * (columns - 0.6)
    warmth = np.where(rows < horizon, random.uniform(0.05, 0.15) + 0.25 * rows / horizon, 0)
    mask = np.where(rows < horizon, SKY, WATER)
    warmth = np.where(mask == WATER, _water(random, rows, columns), warmth)
    _shore(random, rows, columns, horizon, warmth, mask)
    if random.random() < 0.25:
        _bridge(random, rows, columns, horizon, warmth, mask)
    numbers = np.where(mask == BRIDGE, 1, 0)
    for boat in range(int(random.integers(0, boats + 1))):
        own = np.full_like(mask, -1)
        _boat(random, rows, columns, horizon, warmth, own)
        for number, kind in enumerate((OBSTACLE, LIVING), 2 + 2 * boat):
            mask[own == kind], numbers[own == kind] = kind, number
    if random.random() < 0.5:
        bow = rows > 0.85 + 0.5 * (columns - random.uniform(0.4, 0.8)) ** 2
        mask[bow], warmth[bow], numbers[bow] = SELF, random.uniform(0.5, 0.65), 0
    warmth = warmth + random.normal(0, _NOISE, warmth.shape)
    return {
        "image": np.rint(warmth.clip(0, 1) * 255).astype(np.uint8),
        "mask": mask.astype(np.uint8),
        "instances": numbers.astype(np.uint8),
        "time": np.array([_START + _APART * index]),
    }


def write(folder: Path, scenes: Iterable[Scene], count: int) -> None:
    """Writes `images/<seconds>_<microseconds>.png`, masks of those names with `SUFFIX`, and masks
    of instances with `INSTANCES`.
    """
    places = {"image": ("images", ""), "mask": ("masks", SUFFIX)}
    places["instances"] = ("instances", INSTANCES)
    for below, _ in places.values():
        (folder / below).mkdir(parents=True)
    for made in scenes:
        name = f"{int(np.asarray(made['time'])[0])}_{0:06d}"
        for kind, (below, ending) in places.items():
            Image.fromarray(np.asarray(made[kind])).save(folder / below / f"{name}{ending}.png")


Labels = NDArray[np.int64]


def _water(random: np.random.Generator, rows: Floats, columns: Floats) -> Floats:
    """Waves that are longer nearer by."""
    base, tilt = random.uniform(0.3, 0.45), random.uniform(-3, 3)
    waves = np.sin(60 * np.sqrt(rows) + tilt * columns + random.uniform(0, 6))
    return base + 0.03 * waves - 0.1 * rows


def _shore(
    random: np.random.Generator,
    rows: Floats,
    columns: Floats,
    horizon: Floats,
    warmth: Floats,
    mask: Labels,
) -> None:
    """Hills above the horizon."""
    if random.random() < 0.2:
        return
    tall, phase = random.uniform(0.03, 0.12), random.uniform(0, 6)
    top = horizon - tall * (0.6 + 0.4 * np.sin(random.uniform(3, 9) * columns + phase))
    here = (rows >= top) & (rows < horizon)
    mask[here], warmth[here] = BACKGROUND, random.uniform(0.45, 0.6)


def _bridge(
    random: np.random.Generator,
    rows: Floats,
    columns: Floats,
    horizon: Floats,
    warmth: Floats,
    mask: Labels,
) -> None:
    """A deck on piers."""
    deck = horizon - random.uniform(0.12, 0.2)
    piers = (columns % random.uniform(0.2, 0.35)) < 0.03
    here = (np.abs(rows - deck) < 0.02) | (piers & (rows > deck) & (rows < horizon))
    mask[here], warmth[here] = BRIDGE, random.uniform(0.65, 0.75)


def _boat(
    random: np.random.Generator,
    rows: Floats,
    columns: Floats,
    horizon: Floats,
    warmth: Floats,
    mask: Labels,
) -> None:
    """A hull with a cabin on the water, with or without somebody in it."""
    size, across = random.uniform(0.05, 0.12), random.uniform(0.1, 1.15)
    down = float(horizon.mean()) + random.uniform(0.0, 0.2)
    x, y = (columns - across) / size, (rows - down) / size
    hull = (np.abs(x) < 1 - 0.3 * np.abs(y)) & (np.abs(y) < 0.35)
    cabin = (np.abs(x + 0.2) < 0.35) & (y > -0.9) & (y <= -0.3)
    here = hull | cabin
    mask[here], warmth[here] = OBSTACLE, random.uniform(0.7, 0.85)
    if random.random() < 0.6:
        somebody = ((x - 0.5) / 0.22) ** 2 + ((y + 0.7) / 0.5) ** 2 < 1
        mask[somebody], warmth[somebody] = LIVING, random.uniform(0.92, 1.0)
