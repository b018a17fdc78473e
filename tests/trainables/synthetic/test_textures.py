"""Textures: colours between those they are given, that vary from place to place."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from trainables.synthetic.textures import checks, hues, plain, stripes, waves

COLORS = np.array([[0.1, 0.2, 0.9], [0.7, 0.4, 0.2]])
PLACES = np.random.default_rng(0).uniform(-2, 2, size=(2000, 3))


def test_hues_have_the_saturation_and_value_they_are_asked_for() -> None:
    random = np.random.default_rng(0)
    for color in hues(random, 50, saturation=(0.4, 0.6), value=(0.7, 0.9)):
        _, saturation, value = colorsys.rgb_to_hsv(*color)
        assert 0.4 <= saturation <= 0.6
        assert 0.7 <= value <= 0.9


@pytest.mark.parametrize(
    "texture",
    [
        waves(np.random.default_rng(0), COLORS, longest=1.0),
        stripes(np.random.default_rng(0), COLORS, period=0.5),
        checks(np.random.default_rng(0), COLORS, period=0.5),
    ],
    ids=["waves", "stripes", "checks"],
)
def test_a_texture_lies_on_the_line_between_its_colours_and_uses_most_of_it(texture) -> None:
    found = texture(PLACES)
    level = (found - COLORS[0]) / (COLORS[1] - COLORS[0])
    np.testing.assert_allclose(level, level[:, :1].repeat(3, 1), atol=1e-9)
    assert -1e-9 <= level.min() < 0.1
    assert 0.9 < level.max() <= 1 + 1e-9


def test_a_plain_colour_is_the_same_everywhere() -> None:
    assert (plain(COLORS[0])(PLACES) == COLORS[0]).all()
