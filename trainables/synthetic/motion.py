"""Motion of textured bodies that fall, bounce and pass one another, at each frame of a clip.

F frames, O objects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trainables.synthetic.rays import (
    BALL,
    CUBE,
    CYLINDER,
    Body,
    Floats,
    Shape,
    normalized,
    polyhedron,
)

FRAMES_A_SECOND = 12

_GRAVITY, _KEPT = 9.8, 0.45  # of its speed, a body keeps 0.45 when it bounces
_SUBSTEPS = 10
_TRIES = 60


def _around(sides: int, up: float) -> Floats:
    angles = 2 * np.pi * np.arange(sides) / sides
    ring = np.stack([np.cos(angles), np.sin(angles), np.full(sides, up)], axis=1)
    return normalized(ring)


_DOWN = np.array([[0.0, 0.0, -1.0]])
SHAPES = {
    "ball": BALL,
    "box": CUBE,
    "cylinder": CYLINDER,
    "pyramid": polyhedron(np.concatenate([_around(4, 0.6), _DOWN])),
    "prism": polyhedron(np.concatenate([_around(3, 0.0), -_DOWN, _DOWN])),
    "gem": polyhedron(np.concatenate([_around(6, 0.7), _around(6, -0.7), _DOWN])),
}
"""What objects look like; all of them can rest on their lower side."""


class Motion(NamedTuple):
    """An object at each frame: its shape, half sizes [3], centres [F, 3] and axes [F, 3, 3]."""

    shape: Shape
    halves: Floats
    centres: Floats
    turns: Floats

    def at(self, frame: int) -> Body:
        """The object at a frame."""
        return Body(self.shape, self.centres[frame], self.halves, self.turns[frame])

    @property
    def reach(self) -> float:
        """The radius of a ball around its centre that contains it."""
        return self.at(0).reach


def moving(
    random: np.random.Generator,
    frames: int,
    *,
    falls: bool,
    others: list[Motion],
    spread: float,
    sizes: tuple[float, float],
) -> Motion:
    """An object that meets none of the others at any frame, at most `spread` from the middle.

    One that falls starts up to 4 above the floor, drifts and spins, bounces, and lies still at the
    end. After 60 places in vain it is made a tenth smaller, and so on.
    """
    places = np.stack([each.centres for each in others] or [np.zeros((frames, 3))])
    reaches = np.array([each.reach for each in others] or [-np.inf])
    size = random.uniform(*sizes)
    shape = list(SHAPES.values())[random.integers(len(SHAPES))]
    proportions = random.uniform(0.6, 1.0, size=3)
    if shape is BALL:
        proportions[:] = 1
    draw = _falling if falls else _lying
    attempt = 0
    while True:
        halves = size * 0.9 ** (attempt // _TRIES) * proportions
        attempt += 1
        motion = draw(random, frames, shape, halves, spread)
        away = np.linalg.norm(motion.centres - places, axis=-1).min(1)
        if (away >= reaches + motion.reach).all():
            return motion


def _lying(
    random: np.random.Generator, frames: int, shape: Shape, halves: Floats, spread: float
) -> Motion:
    turn = _about(np.array([0.0, 0.0, 1.0]), np.array([random.uniform(0, 2 * np.pi)]))
    turns = np.repeat(turn, frames, axis=0)
    place = random.uniform(-spread, spread, size=2)
    centres = np.column_stack([np.tile(place, (frames, 1)), _lowest(shape, halves, turns)])
    return Motion(shape, halves, centres, turns)


def _falling(
    random: np.random.Generator, frames: int, shape: Shape, halves: Floats, spread: float
) -> Motion:
    times = np.arange(frames) / FRAMES_A_SECOND
    # It spins and drifts ever more slowly until, at 1.8 seconds, it lies flat.
    left = np.clip(1 - times / 1.8, 0, 1)
    yaw = _about(np.array([0.0, 0.0, 1.0]), np.array([random.uniform(0, 2 * np.pi)]))
    axis = normalized(random.normal(size=3))
    turns = _about(axis, random.uniform(2, 7) * left**1.5) @ yaw
    drift = random.uniform(-1.5, 1.5, size=2)
    flat = random.uniform(-spread, spread, size=2) + drift * left[:, None] ** 2
    height = _bouncing(random.uniform(1.0, 4.0), random.uniform(-1.5, 1.0), frames)
    centres = np.column_stack([flat, height + _lowest(shape, halves, turns)])
    return Motion(shape, halves, centres, turns)


def _bouncing(height: float, speed: float, frames: int) -> Floats:
    """Heights above the floor [F] of a point that is let go with an upward speed."""
    step = 1 / FRAMES_A_SECOND / _SUBSTEPS
    heights = np.empty(frames)
    for frame in range(frames):
        heights[frame] = height
        for _ in range(_SUBSTEPS):
            speed -= _GRAVITY * step
            height += speed * step
            if height < 0:
                height, speed = 0.0, max(-speed * _KEPT - _GRAVITY * step, 0.0)
    return heights


def _lowest(shape: Shape, halves: Floats, turns: Floats) -> Floats:
    """How far a body reaches below its centre [F]."""
    down = -turns[:, 2, :] * halves
    if not shape.round_axes:
        return (shape.corners @ down.T).max(0)
    ends = abs(down[:, 2]) if len(shape.faces) else 0.0
    return np.linalg.norm(down[:, : shape.round_axes], axis=1) + ends


def _about(axis: Floats, angles: Floats) -> Floats:
    """Rotations [F, 3, 3] about an axis of length 1, by angles [F] (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sin, cos = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.eye(3) + sin * cross + (1 - cos) * cross @ cross
