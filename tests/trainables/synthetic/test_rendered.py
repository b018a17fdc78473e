"""Pictures of bodies: exact masks, edges as means, light and shadow where they belong."""

from __future__ import annotations

import numpy as np

from trainables.synthetic.rays import BALL, Body, looking
from trainables.synthetic.rendered import Surface, World, identify, render
from trainables.synthetic.textures import plain

CAMERA = looking(np.array([0, -5.0, 1]), np.array([0, 0, 1.0]), focal=60, size=(48, 64))
RED = np.array([0.8, 0.1, 0.1])


def floor(origins: np.ndarray, rays: np.ndarray) -> Surface:
    """White, at height 0, under a black sky; parts 1 and 0."""
    with np.errstate(divide="ignore"):
        depth = np.where(rays[:, 2] < 0, -origins[:, 2] / rays[:, 2], np.inf)
    color = np.repeat(np.isfinite(depth)[:, None] * 0.8, 3, axis=1)
    normal = np.broadcast_to([0.0, 0.0, 1.0], rays.shape)
    return Surface(depth, normal, color, np.isfinite(depth).astype(int))


def world(*places: tuple[float, float, float], shine: float = 0.0) -> World:
    """Red balls of radius 1 in light from above."""
    bodies = [Body(BALL, np.array(place), np.ones(3), np.eye(3)) for place in places]
    colors = [plain(RED)] * len(bodies)
    light = np.array([0, 0, 1.0])
    return World(bodies, colors, np.full(len(bodies), shine), light, floor)


def test_the_mask_of_a_ball_is_where_the_angle_to_its_centre_is_small_enough() -> None:
    shown, _ = identify(world((0.5, 0, 1)), CAMERA)
    columns, rows = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    rays = CAMERA.rays(columns.ravel(), rows.ravel())
    towards = np.array([0.5, 0, 1]) - CAMERA.place
    cosine = rays @ towards / np.linalg.norm(rays, axis=1) / np.linalg.norm(towards)
    expected = np.arccos(cosine) <= np.arcsin(1 / np.linalg.norm(towards))
    np.testing.assert_array_equal(shown.ravel() == 0, expected)


def test_a_body_below_the_floor_is_hidden_by_it() -> None:
    shown, part = identify(world((0, 0, -1.5)), CAMERA)
    assert (shown == -1).all()
    np.testing.assert_array_equal(part, np.arange(48)[:, None].repeat(64, 1) >= 24)


def test_without_edges_and_with_them_inner_pixels_are_the_same() -> None:
    image = render(world((0, 0, 1.0)), CAMERA)
    alone = render(world((0, 0, 1.0), (0, 50, -60)), CAMERA)
    np.testing.assert_array_equal(image, alone)


def test_a_pixel_on_an_edge_is_between_its_neighbours() -> None:
    image = render(world((0, 0, 1.2)), CAMERA).astype(int)
    shown, _ = identify(world((0, 0, 1.2)), CAMERA)
    row = 10  # before the sky, which is black
    left = np.flatnonzero(shown[row] == 0)[0]
    pair = image[row, left - 1 : left + 1, 0]
    assert image[row, left - 3, 0] <= pair.min()
    assert 0 < pair.min() < pair.max() <= image[row, left + 2, 0]


def test_a_ball_in_the_light_is_darker_below_and_throws_a_shadow() -> None:
    image = render(world((0, 0, 1.5)), CAMERA).astype(int)
    top, bottom = CAMERA.project(np.array([[0, -0.6, 2.25], [0, -0.6, 0.75]]))[:, 1].astype(int)
    assert image[top, 32, 0] > image[bottom, 32, 0] + 30
    column, row, _ = CAMERA.project(np.array([0, -0.5, 0.0])).astype(int)
    assert image[row, column].max() < image[row, 2].max() - 60


def test_a_mirror_shows_the_other_ball() -> None:
    one, other = (0, 0, 1.0), (2.0, -1.5, 1.0)
    ball = identify(world(one), CAMERA)[0] == 0

    def change(shine: float) -> int:
        alone, pair = (
            render(world(one, shine=shine), CAMERA),
            render(world(one, other, shine=shine), CAMERA),
        )
        return int((abs(pair.astype(int) - alone)[ball].max(1) > 30).sum())

    assert change(0.0) == 0
    assert change(0.9) > 20
