"""Pictures of α: every head has its point or its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables.figures.alphas import (
    alphas_by_layer,
    alphas_by_step,
    draw_alpha_lines,
    draw_alphas,
)
from trainables.figures.canvas import canvas


def test_every_head_has_a_point_in_its_layer_and_those_at_an_end_are_rings(tmp_path: Path) -> None:
    """The first of the two collections are points, the second rings."""
    alphas = torch.tensor([[1.01, 1.5, 2.0], [1.2, 1.0105, 1.0121]])
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_alphas(axes, alphas, 1.01, 2.0)
        points, rings = (np.asarray(one.get_offsets()) for one in axes.collections)
        title = axes.get_title()
    assert points == pytest.approx(np.array([[0, 1.5], [0.8, 1.2], [1.2, 1.0121]]))
    assert rings == pytest.approx(np.array([[-0.2, 1.01], [0.2, 2.0], [1, 1.0105]]))
    assert title == "3 of 6 at an end"


def test_chosen_heads_have_a_line_over_the_steps(tmp_path: Path) -> None:
    steps, alphas = np.array([0, 10, 20]), np.arange(30.0).reshape(3, 10)
    with canvas(tmp_path / "a.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_alpha_lines(axes, steps, alphas, heads=[1, 9])
        lines = [one.get_xydata().tolist() for one in axes.lines]
        kinds = [(one.get_label(), one.get_linestyle()) for one in axes.lines]
    assert lines == [[[0, 1], [10, 11], [20, 21]], [[0, 9], [10, 19], [20, 29]]]
    assert kinds == [("head 1", "-"), ("head 9", "--")]


def test_any_number_of_layers_is_drawn_over_any_number_of_steps(tmp_path: Path) -> None:
    alphas = 1.2 + 0.5 * torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0))
    alphas_by_step(tmp_path / "a.png", [0, 50, 100], alphas, title="a")
    alphas_by_step(tmp_path / "b.png", [7], alphas[:1, :1], heads=[1])
    alphas_by_step(tmp_path / "c.png", [], torch.zeros(0, 4, 2))
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_models_without_alphas_say_so(tmp_path: Path) -> None:
    alphas_by_layer(tmp_path / "a.png", {"a": torch.full((2, 3), 1.5), "b": torch.zeros(0, 0)})
    alphas_by_layer(tmp_path / "b.png", {})
    assert len(list(tmp_path.glob("*.png"))) == 2
    with canvas(tmp_path / "c.png", 3, 2) as figure:
        axes: Any = figure.subplots()
        draw_alphas(axes, torch.zeros(0, 0), 1.01, 2.0)
        assert [one.get_text() for one in axes.texts] == ["no α"]
