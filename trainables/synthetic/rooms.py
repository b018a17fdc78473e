"""Objects Room: a walled room under the sky, seen from inside, with objects on its floor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic.draws import draws
from trainables.synthetic.rays import (
    BALL,
    CUBE,
    CYLINDER,
    Body,
    Camera,
    Floats,
    looking,
    normalized,
    polyhedron,
)
from trainables.synthetic.records import Scene
from trainables.synthetic.rendered import Surface, World, identify, render
from trainables.synthetic.textures import hues, plain

SIZE = 64
"""Pixels of an image's side in the published set."""
PARTS = ("sky", "floor", "wall", "wall")
"""The first entities, which are the background; walls across from each other are one half."""

_HALF_ROOM, _WALL = 2.0, 1.1
_SPREAD, _GAP = 1.15, 0.08
_GOLDEN = (1 + 5**0.5) / 2
_ICOSAHEDRON = polyhedron(
    normalized(
        np.array(
            [[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
            + [
                np.roll([0, a / _GOLDEN, b * _GOLDEN], turn)
                for a in (-1, 1)
                for b in (-1, 1)
                for turn in range(3)
            ]
        )
    )
)
_SHAPES = (BALL, CUBE, CYLINDER, _ICOSAHEDRON)
_TRIES = 50


class Variant(NamedTuple):
    """Objects at least and at most, entities of a record, and whether objects share a colour."""

    least: int
    most: int
    entities: int
    one_color: bool = False


VARIANTS = {
    "train": Variant(1, 3, 7),
    "six_objects": Variant(6, 6, 10),
    "empty_room": Variant(0, 0, 4),
    "identical_color": Variant(4, 6, 10, one_color=True),
}
"""The published training set and the three test sets."""


def scene(seed: int, index: int, *, image_size: int, variant: str) -> Scene:
    """Scene `index` of a seed: image [S, S, 3] and masks [E, S, S, 1] 0/255.

    Entities 0…3 are sky, floor and two walls, then come balls, boxes, cylinders and icosahedra,
    each seen in at least 1/400 of the pixels, then empty masks. Numbers are those of Objects Room
    (Kabra et al. 2019); the room, its colours and the renderer are ours.

    Raises:
        ValueError: the image is below 32 pixels, too small for six visible objects.
    """
    if image_size < 32:
        raise ValueError(f"image_size must be at least 32 for objects_room, got {image_size}")
    chosen = VARIANTS[variant]
    random = draws(f"objects_room_{variant}", seed, index)
    count = int(random.integers(chosen.least, chosen.most + 1))
    while True:
        camera = _camera(random, image_size)
        world = _world(random, count, one_color=chosen.one_color)
        body, part = identify(world, camera)
        entity = np.where(body < 0, part, len(PARTS) + body)
        shown = np.bincount(entity.ravel(), minlength=len(PARTS) + count)
        if shown.min() >= entity.size / 400:
            break
    mask = entity == np.arange(chosen.entities)[:, None, None]
    return {
        "image": render(world, camera),
        "mask": mask[..., None].astype(np.uint8) * np.uint8(255),
    }


def _camera(random: np.random.Generator, side: int) -> Camera:
    """Near a corner or between two, at a person's height, looking into the room."""
    angle = np.pi / 4 + np.pi / 2 * random.integers(4) + random.uniform(-0.5, 0.5)
    place = 1.85 * np.array([np.cos(angle), np.sin(angle), 0.0])
    place[2] = random.uniform(0.9, 1.3)
    target = np.append(random.uniform(-0.3, 0.3, size=2), 0.25)
    return looking(place, target, focal=0.75 * side, size=(side, side))


def _world(random: np.random.Generator, count: int, *, one_color: bool) -> World:
    floor, *walls = hues(random, 3, saturation=(0.25, 0.8), value=(0.45, 0.95))
    paints = hues(random, count, saturation=(0.7, 1.0), value=(0.6, 1.0))
    if one_color:
        paints[:] = paints[:1]
    sky = np.array([0.45, 0.68, 0.95]) * random.uniform(0.8, 1.0)
    bodies: list[Body] = []
    while len(bodies) < count:
        body = _body(random)
        if all(_are_apart(body, other) for other in bodies):
            bodies.append(body)
    light = normalized(np.append(random.uniform(-1, 1, size=2), 1.0))
    parts = np.stack([sky, floor, *walls])
    colors = [plain(paint) for paint in paints]
    return World(bodies, colors, np.zeros(count), light, _Room(parts))


def _body(random: np.random.Generator) -> Body:
    half = random.uniform(0.16, 0.3)
    halves = half * random.uniform(0.75, 1.0, size=3)
    shape = _SHAPES[random.integers(len(_SHAPES))]
    if shape in (BALL, _ICOSAHEDRON):
        halves[:] = half
    angle = random.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    place = np.append(random.uniform(-_SPREAD, _SPREAD, size=2), halves[2])
    return Body(shape, place, halves, turn)


def _are_apart(one: Body, other: Body) -> bool:
    distance = np.hypot(*(one.centre - other.centre)[:2])
    return distance >= _around(one) + _around(other) + _GAP


def _around(body: Body) -> float:
    """The radius of an upright pillar around a body."""
    return float(np.hypot(*(abs(body.shape.corners) * body.halves)[:, :2].T).max())


class _Room(NamedTuple):
    """What rays from inside of the room see of it; `colors` [4, 3] of sky, floor and walls."""

    colors: Floats

    def __call__(self, origins: Floats, rays: Floats) -> Surface:
        with np.errstate(divide="ignore", invalid="ignore"):
            walls = (np.sign(rays[:, :2]) * _HALF_ROOM - origins[:, :2]) / rays[:, :2]
            floor = np.where(rays[:, 2] < 0, -origins[:, 2] / rays[:, 2], np.inf)
        walls = np.where(rays[:, :2] == 0, np.inf, walls)
        wall = walls.min(1)
        height = origins[:, 2] + wall * rays[:, 2]
        part = np.where(height < _WALL, 2 + walls.argmin(1), 0)
        part = np.where(floor < wall, 1, part)
        depth = np.where(part == 0, np.inf, np.minimum(floor, wall))
        return Surface(depth, _inner_normal(part, rays), self.colors[part], part)


def _inner_normal(part: NDArray[np.int64], rays: Floats) -> Floats:
    normal = np.zeros_like(rays)
    normal[part == 1, 2] = 1
    for axis in (0, 1):
        own = part == 2 + axis
        normal[own, axis] = -np.sign(rays[own, axis])
    return normal
