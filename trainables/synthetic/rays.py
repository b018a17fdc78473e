"""Casts rays at convex bodies: where each one enters, which body it is, and in what a point lies.

N rays, M bodies; world coordinates with z up, in any unit of length.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


class Camera(NamedTuple):
    """A pinhole: its place, its axes as rows right, down and forward [3, 3], and its image.

    `focal` is the distance of the image in pixels, `size` its (height, width).
    """

    place: Floats
    axes: Floats
    focal: float
    size: tuple[int, int]

    def rays(self, columns: Floats, rows: Floats) -> Floats:
        """Directions [N, 3] through points of the image, in pixels from its upper left corner.

        They are as long as makes one unit forward, so that a ray's length is the depth.
        """
        height, width = self.size
        right, down = (columns - width / 2) / self.focal, (rows - height / 2) / self.focal
        return np.stack([right, down, np.ones_like(right)], axis=-1) @ self.axes

    def project(self, points: Floats) -> Floats:
        """Column and row in pixels and the depth of world points, [..., 3] → [..., 3]."""
        right, down, depth = np.moveaxis((points - self.place) @ self.axes.T, -1, 0)
        height, width = self.size
        columns, rows = right / depth * self.focal, down / depth * self.focal
        return np.stack([columns + width / 2, rows + height / 2, depth], axis=-1)


def looking(place: Floats, target: Floats, *, focal: float, size: tuple[int, int]) -> Camera:
    """A camera at a place that looks at a target, upright."""
    forward = normalized(target - place)
    right = normalized(np.cross(forward, [0.0, 0.0, 1.0]))
    return Camera(place, np.stack([right, np.cross(forward, right), forward]), focal, size)


@dataclass(frozen=True, eq=False)
class Shape:
    """A convex shape around the origin: the unit ball, or one between faces at distance 1.

    `faces` [F, 3] are the outer normals, `round_axes` how many axes the unit ball takes part in: 3
    for the ball, 2 for a cylinder along z, whose faces are its two ends, 0 for a polyhedron. No
    point of it lies farther out along each axis than some row of `corners` [C, 3].
    """

    faces: Floats
    round_axes: int
    corners: Floats


def polyhedron(faces: Floats) -> Shape:
    """The polyhedron between faces [F, 3] at distance 1 from the origin, given by their normals."""
    triples = faces[np.array(list(itertools.combinations(range(len(faces)), 3)))]
    triples = triples[abs(np.linalg.det(triples)) > 1e-6]
    meets = np.linalg.solve(triples, np.ones((len(triples), 3, 1)))[..., 0]
    return Shape(faces, 0, meets[(meets @ faces.T <= 1 + 1e-9).all(1)])


_ENDS = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
BALL = Shape(_ENDS[:0], 3, np.eye(3))
CYLINDER = Shape(_ENDS, 2, np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]))
CUBE = polyhedron(np.concatenate([np.eye(3), -np.eye(3)]))


class Body(NamedTuple):
    """A convex body: a unit shape, scaled by `halves` [3], turned, and put at `centre` [3].

    The columns of `turn` [3, 3] are its axes in the world, before which it is scaled.
    """

    shape: Shape
    centre: Floats
    halves: Floats
    turn: Floats

    @property
    def reach(self) -> float:
        """The radius of a ball around the centre that contains it."""
        return float(np.sqrt(((self.shape.corners * self.halves) ** 2).sum(1)).max())


class Hits(NamedTuple):
    """Of each ray: the body it meets first, −1 for none, how far, and the outer normal there."""

    body: NDArray[np.int64]
    depth: Floats
    normal: Floats


def cast(bodies: Sequence[Body], origins: Floats, rays: Floats) -> Hits:
    """The first body that each ray meets; origins [N, 3] or [1, 3], rays [N, 3] of any length.

    A ray that starts within a body does not meet it.
    """
    found = np.full(len(rays), -1)
    depths = np.full(len(rays), np.inf)
    normals = np.zeros((len(rays), 3))
    squares = dots(rays, rays)
    for number, body in enumerate(bodies):
        near = np.flatnonzero(_may_meet(body, origins, rays, squares))
        starts = origins if len(origins) == 1 else origins[near]
        enter, leave, normal = _crossing(body, starts, rays[near])
        first = (enter < leave) & (enter > 1e-9) & (enter < depths[near])
        rows = near[first]
        found[rows], depths[rows], normals[rows] = number, enter[first], normal[first]
    return Hits(found, depths, normals)


def in_shadow(bodies: Sequence[Body], points: Floats, light: Floats) -> NDArray[np.bool_]:
    """Whether a body lies between each point [N, 3] and a far light in direction `light` [3]."""
    dark = np.zeros(len(points), dtype=bool)
    across = np.linalg.svd(light[None])[2][1:]
    flat = points @ across.T
    for body in bodies:
        away = flat - body.centre @ across.T
        distance = dots(away, away)
        near = np.flatnonzero((distance < body.reach**2) & ~dark)
        enter, leave, _ = _crossing(body, points[near], np.tile(light, (len(near), 1)))
        dark[near] = (enter < leave) & (leave > 1e-9)
    return dark


def normalized(vectors: Floats) -> Floats:
    """Vectors [..., 3] of length 1 in the same direction."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def dots(first: Floats, second: Floats) -> Floats:
    """The inner product of each pair of rows, [N, D] and [N, D] → [N]."""
    return np.einsum("nd,nd->n", first, second)


def _may_meet(body: Body, origins: Floats, rays: Floats, squares: Floats) -> NDArray[np.bool_]:
    """Whether a ray meets the ball around a body."""
    towards = body.centre - origins
    along = (rays @ towards[0]) if len(towards) == 1 else dots(rays, towards)
    outside = dots(towards, towards) - body.reach**2
    return outside * squares <= np.maximum(along, 0) ** 2


def _crossing(body: Body, origins: Floats, rays: Floats) -> tuple[Floats, Floats, Floats]:
    """Where rays enter and leave the body (enter ≥ leave: never), and the outer normal [N, 3]."""
    inner = body.turn / body.halves
    start = np.broadcast_to((origins - body.centre) @ inner, rays.shape)
    ray = rays @ inner
    with np.errstate(divide="ignore", invalid="ignore"):
        enter, leave, normal = _unit_crossing(body.shape, start, ray)
    outer = normal @ inner.T
    length = np.linalg.norm(outer, axis=1, keepdims=True)
    return enter, leave, outer / np.where(length > 0, length, 1)


def _round(start: Floats, ray: Floats, *, axes: int) -> tuple[Floats, Floats, Floats]:
    """Crossing of the unit ball (three axes) or of the endless unit cylinder (two)."""
    start_in, ray_in = start[:, :axes], ray[:, :axes]
    square, along = dots(ray_in, ray_in), dots(start_in, ray_in)
    outside = dots(start_in, start_in) - 1
    root = np.sqrt(along**2 - square * outside)
    # A ray along the axis of the cylinder is always within it, or never.
    is_along = square == 0
    missed = np.isnan(root) | (is_along & (outside > 0))
    enter = np.where(missed, np.inf, np.where(is_along, -np.inf, (-along - root) / square))
    leave = np.where(missed, -np.inf, np.where(is_along, np.inf, (-along + root) / square))
    normal = np.zeros_like(start)
    normal[:, :axes] = start_in + np.where(missed | is_along, 0, enter)[:, None] * ray_in
    return enter, leave, normal


def _unit_crossing(shape: Shape, start: Floats, ray: Floats) -> tuple[Floats, Floats, Floats]:
    """Crossing of the unit shape, the common part of what is round in it and of its faces."""
    if not len(shape.faces):
        return _round(start, ray, axes=shape.round_axes)
    end_in, end_out, end = _polyhedron(shape.faces, start, ray)
    if not shape.round_axes:
        return end_in, end_out, end
    side_in, side_out, side = _round(start, ray, axes=shape.round_axes)
    normal = np.where((side_in > end_in)[:, None], side, end)
    return np.maximum(side_in, end_in), np.minimum(side_out, end_out), normal


def _polyhedron(faces: Floats, start: Floats, ray: Floats) -> tuple[Floats, Floats, Floats]:
    outside, slope = start @ faces.T - 1, ray @ faces.T
    at = -outside / slope
    into = np.where(slope < 0, at, -np.inf)
    # A ray along a face, outside of it, never gets in.
    out = np.where(slope > 0, at, np.where((slope == 0) & (outside > 0), -np.inf, np.inf))
    return into.max(1), out.min(1), faces[into.argmax(1)]
