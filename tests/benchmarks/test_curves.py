"""The table of learning curves: what is stored is what its generator makes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.curves import (
    CONFIGURATIONS,
    EPOCHS,
    FILE,
    KNOBS,
    SEEDS,
    Curves,
    Networks,
    draw,
    make,
    rank_correlation,
    target,
)


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_a_place_of_a_knob_is_where_its_value_was_drawn(knob):
    if knob.choices:
        assert [knob.value(knob.place(choice)) for choice in knob.choices] == list(knob.choices)
    else:
        assert knob.place(knob.value(0.3)) == pytest.approx(0.3)


def test_the_stored_table_has_the_configurations_that_are_drawn():
    stored = Curves.load()
    assert stored.correct.shape == (CONFIGURATIONS, SEEDS, EPOCHS)
    assert np.array_equal(stored.units, draw(CONFIGURATIONS))
    assert FILE.stat().st_size < 500_000


@pytest.mark.slow
def test_the_same_table_is_made_twice():
    made, again = make(4, 1, 1), make(4, 1, 1)
    assert np.array_equal(made.correct, again.correct)


def test_the_target_is_reached_by_its_share_of_the_configurations_and_by_its_equals():
    stored = Curves.load()
    final, goal, count = stored.accuracy[:, 0, -1], target(stored, 0.01), 0.01 * CONFIGURATIONS
    assert np.sum(final > goal) < count <= np.sum(final >= goal)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_gradients_are_those_of_smoothed_cross_entropy(activation):
    import torch

    row = {knob.name: knob.value(0.0) for knob in KNOBS}
    row |= {"activation": activation, "label_smoothing": 0.1, "init_scale": 1.0}
    rng = torch.Generator().manual_seed(0)
    networks = Networks([row, row], [rng, rng], pixels=5)
    images, labels = torch.randn(2, 7, 5, generator=rng), torch.arange(14).view(2, 7) % 10
    found = networks.gradients(images, labels)
    for weight in networks.weights:
        weight.requires_grad_()
    scores = networks.scores(images)
    cross_entropy = torch.nn.functional.cross_entropy
    pairs = zip(scores, labels, strict=True)
    loss = torch.stack([cross_entropy(s, y, label_smoothing=0.1) for s, y in pairs]).sum()
    for mine, theirs in zip(found, torch.autograd.grad(loss, networks.weights), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_rank_correlation_of_a_reversed_order_is_minus_one():
    assert rank_correlation(np.arange(5.0), -np.arange(5.0)) == pytest.approx(-1)


def test_the_seeds_agree_on_most_of_the_order():
    stored = Curves.load()
    assert rank_correlation(stored.accuracy[:, 0, -1], stored.accuracy[:, 1, -1]) > 0.9
