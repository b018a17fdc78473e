"""Rays against closed forms and against points sampled along them."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.synthetic.motion import SHAPES
from trainables.synthetic.rays import (
    BALL,
    CUBE,
    CYLINDER,
    Body,
    cast,
    in_shadow,
    looking,
    polyhedron,
)

HALVES = np.array([0.5, 0.8, 0.3])
EVERY_SHAPE = pytest.mark.parametrize("name", SHAPES)


def turned(angle: float) -> np.ndarray:
    """A rotation about an axis between x and z."""
    cos, sin = np.cos(angle), np.sin(angle)
    tilt = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ tilt


def is_inside(name: str, body: Body, points: np.ndarray) -> np.ndarray:
    """Whether points [..., 3] lie in a body, by the definition of its shape."""
    unit = (points - body.centre) @ body.turn / body.halves
    radius = np.linalg.norm(unit[..., :2], axis=-1)
    if name == "ball":
        return np.asarray(np.linalg.norm(unit, axis=-1) <= 1)
    inside = (unit @ body.shape.faces.T <= 1).all(-1)
    return np.asarray(inside & (radius <= 1) if name == "cylinder" else inside)


def random_rays(count: int) -> tuple[np.ndarray, np.ndarray]:
    """From 4 away, more or less towards the middle."""
    random = np.random.default_rng(0)
    origins = random.normal(size=(count, 3))
    origins *= 4 / np.linalg.norm(origins, axis=1, keepdims=True)
    return origins, random.normal(scale=0.6, size=(count, 3)) - origins


@EVERY_SHAPE
def test_a_ray_enters_where_its_points_begin_to_be_inside(name: str) -> None:
    body = Body(SHAPES[name], np.array([0.1, -0.2, 0.1]), HALVES, turned(0.4))
    origins, rays = random_rays(300)
    hits = cast([body], origins, rays)
    along = np.linspace(0, 2, 4001)
    inside = is_inside(name, body, origins[:, None] + along[None, :, None] * rays[:, None])
    met, first = inside.any(1), along[inside.argmax(1)]
    assert (met == (hits.body == 0))[met | (hits.body < 0)].all()
    assert met.sum() > 50
    np.testing.assert_allclose(hits.depth[met], first[met], atol=6e-4)


@EVERY_SHAPE
def test_normals_have_length_one_and_point_out_of_the_body(name: str) -> None:
    body = Body(SHAPES[name], np.zeros(3), HALVES, turned(1.1))
    origins, rays = random_rays(300)
    hits = cast([body], origins, rays)
    met = hits.body == 0
    normals, points = hits.normal[met], (origins + hits.depth[:, None] * rays)[met]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert not is_inside(name, body, points + 1e-6 * normals).any()
    assert ((normals * rays[met]).sum(1) < 0).all()


@EVERY_SHAPE
def test_a_body_lies_within_its_reach_and_touches_it(name: str) -> None:
    body = Body(SHAPES[name], np.zeros(3), HALVES, np.eye(3))
    points = np.random.default_rng(0).uniform(-2.5, 2.5, size=(200_000, 3))
    far = np.linalg.norm(points[is_inside(name, body, points)], axis=1).max()
    assert 0.75 * body.reach < far <= body.reach + 1e-9


def test_the_nearer_of_two_bodies_is_met_whatever_their_order() -> None:
    near, far = (Body(BALL, np.array([x, 0, 0]), np.ones(3), np.eye(3)) for x in (3.0, 6.0))
    origin, ray = np.zeros((1, 3)), np.array([[1.0, 0, 0]])
    assert cast([near, far], origin, ray).body == 0
    assert cast([far, near], origin, ray).body == 1
    assert cast([far, near], origin, ray).depth == pytest.approx(2)


def test_what_is_behind_the_origin_is_not_met() -> None:
    body = Body(CUBE, np.array([-3.0, 0, 0]), np.ones(3), np.eye(3))
    hits = cast([body], np.zeros((1, 3)), np.array([[1.0, 0, 0]]))
    assert hits.body == -1
    assert np.isinf(hits.depth)


def test_a_ball_of_radius_one_casts_a_shadow_as_wide_as_itself() -> None:
    ball = Body(BALL, np.array([0, 0, 5.0]), np.ones(3), np.eye(3))
    points = np.array([[0, 0, 0], [0.99, 0, 0], [1.01, 0, 0], [0, 0, 7]], dtype=float)
    dark = in_shadow([ball], points, np.array([0, 0, 1.0]))
    np.testing.assert_array_equal(dark, [True, True, False, False])


def test_a_cylinder_has_flat_ends() -> None:
    body = Body(CYLINDER, np.zeros(3), np.array([1, 1, 2.0]), np.eye(3))
    hits = cast([body], np.array([[0.9, 0, 5.0]]), np.array([[0, 0, -1.0]]))
    assert hits.depth == pytest.approx(3)
    np.testing.assert_allclose(hits.normal, [[0, 0, 1]])


def test_a_cube_has_eight_corners_and_a_tetrahedron_four() -> None:
    assert len(np.unique(CUBE.corners.round(9), axis=0)) == 8
    faces = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5
    assert len(polyhedron(faces).corners) == 4


def test_a_camera_projects_a_point_to_where_the_ray_to_it_starts() -> None:
    camera = looking(np.array([7.0, -6, 5]), np.zeros(3), focal=300, size=(240, 320))
    columns, rows = np.array([10.5, 300.25]), np.array([0.5, 200.0])
    points = camera.place + camera.rays(columns, rows) * np.array([[4.0], [9.0]])
    projected = camera.project(points)
    np.testing.assert_allclose(projected, np.stack([columns, rows, [4.0, 9.0]], axis=1))


def test_a_camera_sees_its_target_in_the_middle_and_what_is_above_it_above() -> None:
    camera = looking(np.array([7.0, -6, 5]), np.ones(3), focal=300, size=(240, 320))
    middle, above = camera.project(np.array([[1.0, 1, 1], [1, 1, 2]]))
    np.testing.assert_allclose(middle[:2], [160, 120])
    assert above[0] == pytest.approx(160)
    assert above[1] < 120
