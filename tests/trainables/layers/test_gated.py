"""GRU cells compute the gates of the formula and start as Keras or torch would."""

from __future__ import annotations

import math

import pytest
import torch

from trainables.layers.gated import gru_cell


def test_a_cell_computes_its_gates() -> None:
    cell = gru_cell(3, 4, "torch").double()
    seen, state = torch.randn(5, 3).double(), torch.randn(5, 4).double()
    w_r, w_z, w_n = (seen @ part.T for part in cell.weight_ih.chunk(3))
    r_r, r_z, r_n = (state @ part.T for part in cell.weight_hh.chunk(3))
    b_r, b_z, b_n = cell.bias_ih.chunk(3)
    c_r, c_z, c_n = cell.bias_hh.chunk(3)
    z, r = torch.sigmoid(w_z + b_z + r_z + c_z), torch.sigmoid(w_r + b_r + r_r + c_r)
    new = torch.tanh(w_n + b_n + r * (r_n + c_n))
    torch.testing.assert_close(cell(seen, state), (1 - z) * new + z * state)


def test_keras_starts_all_gates_with_one_semi_orthogonal_matrix() -> None:
    cell = gru_cell(8, 16)
    torch.testing.assert_close(cell.weight_hh.T @ cell.weight_hh, torch.eye(16))
    gate = cell.weight_hh[:16]
    assert not torch.allclose(gate.T @ gate, torch.eye(16), atol=0.1)


@pytest.mark.parametrize(
    ("init", "bound"), [("keras", math.sqrt(6 / (20 + 3 * 64))), ("torch", 1 / 8)]
)
def test_input_weights_fill_their_bounds(init: str, bound: float) -> None:
    weights = gru_cell(20, 64, init).weight_ih.abs()  # pyright: ignore[reportArgumentType]
    assert 0.99 * bound < weights.max() <= bound


def test_keras_starts_without_biases() -> None:
    cell = gru_cell(8, 16)
    assert not cell.bias_ih.any() and not cell.bias_hh.any()
    assert gru_cell(8, 16, "torch").bias_hh.all()
