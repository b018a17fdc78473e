"""Renders bodies before a backdrop: which one each pixel shows, exactly, and its shaded colour.

N rays, M bodies; pixels H × W. Colours are linear in 0…1 until the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.synthetic.rays import (
    Body,
    Camera,
    Floats,
    Hits,
    cast,
    dots,
    in_shadow,
    normalized,
)

_EPS = 1e-4
_INNER = np.array([-0.25, 0.25])


class Surface(NamedTuple):
    """What rays see behind all bodies: depth [N] (inf: the sky), normal and colour [N, 3], part.

    `part` [N] counts the parts of a backdrop from 0.
    """

    depth: Floats
    normal: Floats
    color: Floats
    part: NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """Bodies, what they are made of, and what is behind them.

    `colors[i](points)` gives the colour [N, 3] of body i at world points [N, 3]; `shine` [M] is how
    much of a mirror each is, 0…1; `light` [3] points at the lamp, with length 1;
    `backdrop(origins, rays)` gives what rays see where they meet no body.
    """

    bodies: Sequence[Body]
    colors: Sequence[Callable[[Floats], Floats]]
    shine: Floats
    light: Floats
    backdrop: Callable[[Floats, Floats], Surface]


def identify(world: World, camera: Camera) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What the centre of each pixel shows: the body [H, W], −1 for none, and the backdrop's part.

    This is exact: what the ray through the centre meets first.
    """
    hits, surface = _first(world, camera.place[None], _centre_rays(camera))
    return _where_nearer(hits, surface).reshape(camera.size), surface.part.reshape(camera.size)


def render(world: World, camera: Camera) -> NDArray[np.uint8]:
    """The picture [H, W, 3]: one ray a pixel, and the mean of four where neighbours differ."""
    height, width = camera.size
    origin = camera.place[None]
    rays = _centre_rays(camera)
    color = _colors(world, origin, rays).reshape(height, width, 3)
    rows, columns = np.nonzero(_edges(color))
    right, down = np.meshgrid(_INNER, _INNER)
    finer = camera.rays(
        (columns[:, None] + 0.5 + right.ravel()).ravel(),
        (rows[:, None] + 0.5 + down.ravel()).ravel(),
    )
    if len(rows):
        color[rows, columns] = _colors(world, origin, finer).reshape(len(rows), 4, 3).mean(1)
    return np.rint(color * 255).astype(np.uint8)


def _centre_rays(camera: Camera) -> Floats:
    height, width = camera.size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return camera.rays(columns.ravel(), rows.ravel())


def _edges(color: Floats) -> NDArray[np.bool_]:
    """Pixels [H, W] that differ from a neighbour by more than 1/25 in a channel."""
    edge = np.zeros(color.shape[:2], dtype=bool)
    below = (abs(np.diff(color, axis=0)) > 0.04).any(-1)
    beside = (abs(np.diff(color, axis=1)) > 0.04).any(-1)
    edge[1:] |= below
    edge[:-1] |= below
    edge[:, 1:] |= beside
    edge[:, :-1] |= beside
    return edge


def _first(world: World, origins: Floats, rays: Floats) -> tuple[Hits, Surface]:
    return cast(world.bodies, origins, rays), world.backdrop(origins, rays)


def _where_nearer(hits: Hits, surface: Surface) -> NDArray[np.int64]:
    return np.where(hits.depth < surface.depth, hits.body, -1)


class _Points(NamedTuple):
    """Points [N, 3] that rays see, of which bodies [N] (−1: of the backdrop), painted [N, 3]."""

    place: Floats
    normal: Floats
    view: Floats
    body: NDArray[np.int64]
    paint: Floats


def _colors(world: World, origins: Floats, rays: Floats, *, mirrors: bool = True) -> Floats:
    """The colour [N, 3], 0…1, that each ray sees; a mirror shows what does not mirror itself."""
    hits, surface = _first(world, origins, rays)
    body = _where_nearer(hits, surface)
    depth = np.where(body >= 0, hits.depth, surface.depth)
    solid = np.flatnonzero(np.isfinite(depth))
    starts = origins if len(origins) == 1 else origins[solid]
    place = starts + depth[solid, None] * rays[solid]
    normal = np.where(body[solid, None] >= 0, hits.normal[solid], surface.normal[solid])
    paint = surface.color[solid]
    for number, colored in enumerate(world.colors):
        own = body[solid] == number
        paint[own] = colored(place[own])
    points = _Points(place, normal, normalized(rays[solid]), body[solid], paint)
    color = surface.color.copy()
    color[solid] = np.clip(_shaded(world, points, mirrors=mirrors), 0, 1)
    return color


def _shaded(world: World, points: _Points, *, mirrors: bool) -> Floats:
    """Lambert's law for the lamp and a pale sky, a highlight (Blinn 1977), and mirrors."""
    facing = points.normal @ world.light
    lit = np.flatnonzero(facing > 0)
    dark = in_shadow(world.bodies, points.place[lit] + _EPS * points.normal[lit], world.light)
    lamp = np.zeros(len(facing))
    lamp[lit] = np.where(dark, 0, facing[lit])
    sky = (0.36 + 0.14 * points.normal[:, 2]) * _openness(world.bodies, points)
    color = points.paint * (sky + 0.7 * lamp)[:, None]
    shine = np.append(world.shine, 0.0)[points.body]  # −1, the backdrop, is the last
    shiny = np.flatnonzero(shine > 0)
    if mirrors and len(shiny):
        view, normal = points.view[shiny], points.normal[shiny]
        reflected = view - 2 * dots(view, normal)[:, None] * normal
        seen = _colors(world, points.place[shiny] + _EPS * normal, reflected, mirrors=False)
        tinted = (0.35 + 0.65 * points.paint[shiny]) * seen
        color[shiny] += shine[shiny, None] * (tinted - color[shiny])
    half = normalized(world.light - points.view)
    aligned = np.clip(dots(half, points.normal), 0, 1)
    strength = np.where(points.body < 0, 0, 0.12 + 0.8 * shine)
    highlight = strength * aligned ** np.where(shine > 0, 120, 24) * (lamp > 0)
    return color + highlight[:, None]


def _openness(bodies: Sequence[Body], points: _Points) -> Floats:
    """How much of the sky a point of the backdrop sees, 0…1, past the balls around bodies."""
    open_ = np.ones(len(points.body))
    behind = np.flatnonzero(points.body < 0)
    place, normal = points.place[behind], points.normal[behind]
    for body in bodies:
        away = body.centre - place
        squares = dots(away, away)
        near = np.flatnonzero(squares < (4 * body.reach) ** 2)
        height = np.clip(dots(away[near], normal[near]), 0, None)
        small = float(min(body.halves))
        hidden = 0.7 * height * small**2 / squares[near] ** 1.5
        open_[behind[near]] *= 1 - np.clip(hidden, 0, 0.7)
    return open_
