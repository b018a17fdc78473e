"""Perceptrons behind a backbone whose outputs a method compares, and DINO's head of prototypes."""

# N vectors, D width, K prototypes.

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.layers.checks import check_choice

Norm = Literal["none", "batch"]

DEVIATION = 0.02
"""Of the weights at first: Caron et al. 2021 (DINO), appendix B, as in vision transformers."""


class Projector(nn.Module):
    """Linear layers with a ReLU, and batch normalisation if asked, between two of them.

    Chen et al. 2020 (SimCLR, section 2.1) and Khosla et al. 2020 (SupCon) have two layers, or one;
    Grill et al. 2020 (BYOL, section 3.3) has two, normalised, and such a predictor. A layer in
    front of a normalisation has no bias, which that would take away. Initialised as by torch.

    Args:
        width_in: D of the features.
        hidden: width between two layers; of no effect with one.
        width: of the projections.
        layers: number of linear layers.
        norm: `none` or `batch`.

    Raises:
        LookupError: the norm is not known.
        ValueError: there is no layer.
    """

    def __init__(
        self, width_in: int, *, hidden: int, width: int, layers: int = 2, norm: Norm = "none"
    ) -> None:
        super().__init__()
        check_choice("norm", norm, get_args(Norm))
        _check_layers(layers)
        parts: list[nn.Module] = []
        for number in range(layers - 1):
            parts.append(nn.Linear(hidden if number else width_in, hidden, bias=norm == "none"))
            parts += [nn.BatchNorm1d(hidden)] if norm == "batch" else []
            parts.append(nn.ReLU())
        parts.append(nn.Linear(hidden if layers > 1 else width_in, width))
        self.layers = nn.Sequential(*parts)

    def forward(self, features: Tensor) -> Tensor:
        """[N, D] → [N, `width`], of any length."""
        return self.layers(features)


class UnitLinear(nn.Module):
    """A linear layer without bias whose rows have a length apart from their direction.

    y_k = g_k · ⟨x, v_k⟩ / ‖v_k‖ (weight normalisation, Salimans and Kingma 2016, equation 2), with
    the directions `direction` [K, D] as a linear layer of torch is drawn, and `gain` [K, 1], 1 at
    first. With inputs of length 1 and gains of 1, y is a cosine.

    Args:
        width_in: D.
        width: K.
        learns_gain: whether gains are trained.
    """

    def __init__(self, width_in: int, width: int, *, learns_gain: bool) -> None:
        super().__init__()
        self.direction = nn.Parameter(nn.Linear(width_in, width, bias=False).weight.detach())
        self.gain = nn.Parameter(torch.ones(width, 1), requires_grad=learns_gain)

    def forward(self, vectors: Tensor) -> Tensor:
        """[..., D] → [..., K]."""
        lengths = torch.linalg.vector_norm(self.direction, dim=1, keepdim=True)
        return functional.linear(vectors, self.direction * (self.gain / lengths))


class PrototypeHead(nn.Module):
    """DINO's head: a perceptron, its output of length 1, and scores of K prototypes.

    D → `hidden` → … → `bottleneck` with GELU between, then `last_layer`, a `UnitLinear`: Caron et
    al. 2021, section 3.1 and appendix C. Weights of the perceptron are normal with deviation 0.02,
    biases 0.

    Args:
        width_in: D.
        prototypes: K.
        layers: of the perceptron; with one, D → `bottleneck`.
        hidden: width between two layers; of no effect with one.
        bottleneck: width of what is compared with the prototypes.
        batch_norm: whether each layer but the last is followed by batch normalisation.
        norm_last_layer: whether the lengths of prototypes stay 1, so that scores are cosines.

    Raises:
        ValueError: there is no layer.
    """

    def __init__(
        self,
        width_in: int,
        *,
        prototypes: int,
        layers: int = 3,
        hidden: int = 2048,
        bottleneck: int = 256,
        batch_norm: bool = False,
        norm_last_layer: bool = True,
    ) -> None:
        super().__init__()
        _check_layers(layers)
        parts: list[nn.Module] = []
        for number in range(layers - 1):
            parts.append(nn.Linear(hidden if number else width_in, hidden))
            parts += [nn.BatchNorm1d(hidden)] if batch_norm else []
            parts.append(nn.GELU())
        parts.append(nn.Linear(hidden if layers > 1 else width_in, bottleneck))
        self.perceptron = nn.Sequential(*parts)
        for part in parts:
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=DEVIATION)
                nn.init.zeros_(part.bias)
        self.last_layer = UnitLinear(bottleneck, prototypes, learns_gain=not norm_last_layer)

    def forward(self, features: Tensor) -> Tensor:
        """[N, D] → scores [N, K], in −1…1 if `norm_last_layer`."""
        return self.last_layer(functional.normalize(self.perceptron(features), dim=-1))


def _check_layers(layers: int) -> None:
    if layers < 1:
        raise ValueError(f"layers must be at least 1, got {layers}")
