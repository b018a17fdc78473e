"""Gated recurrent cells and how they start."""

from __future__ import annotations

from typing import Literal

from torch import nn


def gru_cell(inputs: int, width: int, init: Literal["keras", "torch"] = "keras") -> nn.GRUCell:
    """A GRU cell from `inputs` to `width` numbers, as Keras or torch initialises it.

    The new state is (1 − z) ⊙ n + z ⊙ h with r, z = σ(W u + b + R h + c), each with its own
    weights, and n = tanh(W_n u + b_n + r ⊙ (R_n h + c_n)) (Cho et al. 2014, with the reset gate
    after the product, as Keras has it by default). Both libraries compute this; torch stacks the
    gates in the order r, z, n, Keras in the order z, r, n.

    Args:
        inputs: width of u.
        width: width of the state h.
        init: `keras`: the input weights of all gates together Glorot-uniform, within
            ±√(6 / (inputs + 3 · width)), one semi-orthogonal matrix for the recurrent weights of
            all three gates, biases 0. `torch`: everything uniform within ±1/√width.
    """
    cell = nn.GRUCell(inputs, width)
    if init == "keras":
        nn.init.xavier_uniform_(cell.weight_ih)
        nn.init.orthogonal_(cell.weight_hh)
        nn.init.zeros_(cell.bias_ih)
        nn.init.zeros_(cell.bias_hh)
    return cell
