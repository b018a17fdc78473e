"""Objects that move: never into one another or into the floor, and still at the end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trainables.synthetic.motion import SHAPES, _bouncing, _lowest, moving

FRAMES = 24


def some(count: int, *, falls: bool) -> list:
    """Objects that keep clear of those before them."""
    random = np.random.default_rng(0)
    motions: list = []
    for _ in range(count):
        motions.append(
            moving(random, FRAMES, falls=falls, others=motions, spread=3.0, sizes=(0.4, 0.8))
        )
    return motions


def test_objects_do_not_meet_at_any_frame() -> None:
    for one, other in itertools.combinations(some(8, falls=True), 2):
        away = np.linalg.norm(one.centres - other.centres, axis=1)
        assert (away >= one.reach + other.reach).all()


@pytest.mark.parametrize("falls", [False, True])
def test_the_lowest_point_is_never_below_the_floor_and_on_it_at_the_end(falls: bool) -> None:
    for motion in some(8, falls=falls):
        lowest = motion.centres[:, 2] - _lowest(motion.shape, motion.halves, motion.turns)
        assert lowest.min() >= -1e-9
        assert lowest[-1] < 0.25


def test_what_lies_does_not_move_and_what_falls_lies_flat_at_the_end() -> None:
    (lying,), (falling,) = some(1, falls=False), some(1, falls=True)
    assert np.ptp(lying.centres, axis=0).max() == 0
    assert np.ptp(falling.centres[:, 2]) > 0.5
    np.testing.assert_allclose(falling.turns[-1][2], [0, 0, 1], atol=1e-9)


def test_a_fall_follows_the_law_of_free_fall_until_the_floor() -> None:
    times = np.arange(6) / 12
    heights = _bouncing(4.0, 0.5, 6)
    np.testing.assert_allclose(heights, 4 + 0.5 * times - 4.9 * times**2, atol=0.05)


def test_a_bounce_is_lower_than_the_fall() -> None:
    heights = _bouncing(2.0, 0.0, 60)
    assert 0.1 < heights[8:].max() < 0.45**2 * 2 + 0.05
    assert heights[-1] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("name", SHAPES)
def test_how_far_a_body_reaches_down_is_seen_by_sampling_it(name: str) -> None:
    shape, halves = SHAPES[name], np.array([0.5, 0.8, 0.6])
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    points = random.uniform(-3, 3, size=(400_000, 3))
    inside = (points @ shape.faces.T <= 1).all(1)
    if shape.round_axes:
        inside &= np.linalg.norm(points[:, : shape.round_axes], axis=1) <= 1
    depth = -((points[inside] * halves) @ turn.T)[:, 2].min()
    reach = _lowest(shape, halves, turn[None])[0]
    assert 0.85 * reach < depth <= reach
