"""Directions in the space of weights, along which a loss is looked at."""

# n networks, D numbers of all weights together.

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Weights = Mapping[str, Tensor]
"""Tensors by name: those of a network, or how far each is moved."""
Kind = Literal["gaussian", "uniform"]
Norm = Literal["filter", "layer", "weight", "dfilter", "dlayer"]

_SMALL = 1e-10
"""What the norm of a random filter is added to before it divides, as in the code of Li et al."""


def random_direction(
    weights: Weights,
    seed: int,
    *,
    kind: Kind = "gaussian",
    norm: Norm = "filter",
    moves_vectors: bool = False,
    fixed: Collection[str] = (),
) -> dict[str, Tensor]:
    """A random direction δ that is as large as the weights θ (Li et al. 2018, section 4).

    Numbers are Gaussian; `uniform` draws them between 0 and 1, which another tool does: all are
    positive, so two directions of any seeds are nearly the same. A filter f is a slice along the
    first dimension. By the norm

    - `filter`: δ_f ← δ_f · ‖θ_f‖ / (‖δ_f‖ + 1e-10); `layer`: δ ← δ · ‖θ‖ / ‖δ‖ of each tensor;
    - `weight`: δ ← δ ⊙ θ;
    - `dfilter`, `dlayer`: each filter, each tensor has norm 1.

    Tensors of fewer than two dimensions (biases, gains and shifts of norms, layer scales) do not
    move, or by δ = θ if it `moves_vectors`; those that are `fixed` do not move either.

    Returns tensors of the names, shapes, device and memory format of the weights; they are
    functions of the seed and of those names and shapes alone.
    """
    draws = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        draw = torch.randn if kind == "gaussian" else torch.rand
        drawn = draw(weight.shape, generator=draws, dtype=torch.float32).to(weight)
        plain = weight.detach().contiguous()  # sums round otherwise in another memory format
        if name in fixed or (weight.ndim < 2 and not moves_vectors):
            drawn = torch.zeros_like(plain)
        else:
            drawn = plain if weight.ndim < 2 else _normalized(drawn, plain, norm)
        found[name] = torch.empty_like(weight).copy_(drawn)
    return found


def _normalized(drawn: Tensor, weight: Tensor, norm: Norm) -> Tensor:
    if norm == "weight":
        return drawn.mul_(weight)
    rows = tuple(range(1, drawn.ndim))
    over = rows if norm in ("filter", "dfilter") else (0, *rows)
    small = _SMALL if norm in ("filter", "dfilter") else 0.0
    own = torch.linalg.vector_norm(drawn, dim=over, keepdim=True) + small
    if norm in ("dfilter", "dlayer"):
        return drawn.div_(own)
    return drawn.mul_(torch.linalg.vector_norm(weight, dim=over, keepdim=True) / own)


def tokens(weights: Weights) -> list[str]:
    """Names of tensors with two or more dimensions of which the first is 1.

    Such are class and position tokens, which are one filter each: candidates to be `fixed`.
    """
    return [name for name, one in weights.items() if one.ndim > 1 and one.shape[0] == 1]


def layer_scales(network: nn.Module) -> dict[str, float]:
    """The norm of each layer scale by its name: parameters `gamma` [C], as timm has them.

    They are of one dimension, so no direction moves them, and what a branch with a small one does
    to the loss is small whatever its weights: untrained ones start at 1e-6. Multiplying them into
    the layer before changes no picture under the norm `filter`, which moves a filter in proportion
    to its size.
    """
    named = network.named_parameters()
    return {
        name: float(torch.linalg.vector_norm(one.detach()))
        for name, one in named
        if name.rpartition(".")[2] == "gamma" and one.ndim == 1
    }


def cosine(first: Weights, second: Weights) -> float:
    """The cosine of two directions over all their tensors, summed in double precision."""
    products = [_dot(first[name], second[name]) for name in first]
    norms = [sum(_dot(one, one) for one in each.values()) for each in (first, second)]
    return sum(products) / (norms[0] * norms[1]) ** 0.5 if all(norms) else 0.0


def _dot(first: Tensor, second: Tensor) -> float:
    return float((first.double() * second.double()).sum())


def state(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and floating buffers by name: running statistics of batch norms too."""
    return dict(_floating(network.state_dict(keep_vars=True)))


def _floating(named: Weights) -> Iterator[tuple[str, Tensor]]:
    return ((name, one) for name, one in named.items() if one.is_floating_point())


def difference(start: Weights, end: Weights) -> dict[str, Tensor]:
    """The direction from one network to another: θ_end − θ_start of each floating tensor."""
    return {name: end[name].detach() - one.detach() for name, one in _floating(start)}


@dataclass(frozen=True)
class Trajectory:
    """Two directions of norm 1, where networks lie along them [n, 2], and the shares of variance.

    Places are relative to the last network, which is at (0, 0).
    """

    directions: tuple[dict[str, Tensor], dict[str, Tensor]]
    places: Tensor
    shares: tuple[float, float]


def trajectory(networks: Sequence[Weights], *, moves_vectors: bool = False) -> Trajectory:
    """The plane in which a network moved most while it was trained (Li et al. 2018, section 7).

    The first two principal components of θ_i − θ_n of the networks before the last one, n of them
    as they were from first to last; computed from their n × n products in double precision.

    Raises:
        ValueError: there are fewer than three networks.
    """
    if len(networks) < 3:
        raise ValueError(f"networks must be at least 3 of a training, got {len(networks)}")
    last = dict(_floating(networks[-1]))
    moved = [name for name, one in last.items() if moves_vectors or one.ndim > 1]
    rows = torch.stack([_flat(difference(last, one), moved) for one in networks])
    centred = rows[:-1] - rows[:-1].mean(0)
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    axes = [_unit(centred.T @ vectors[:, place]) for place in (0, 1)]
    total = float(values.sum()) or 1.0
    both = tuple(_shaped(axis, last, moved) for axis in axes)
    return Trajectory(
        (both[0], both[1]),
        rows @ torch.stack(axes, 1),
        (float(values[0]) / total, float(values[1]) / total),
    )


def _flat(direction: Weights, names: Sequence[str]) -> Tensor:
    return torch.cat([direction[name].double().flatten().cpu() for name in names])


def _unit(vector: Tensor) -> Tensor:
    """Of norm 1 (0 stays), the entry that is largest in magnitude positive."""
    signed = vector * vector[vector.abs().argmax()].sign()
    return torch.nn.functional.normalize(signed, dim=0)


def _shaped(vector: Tensor, like: Weights, moved: Sequence[str]) -> dict[str, Tensor]:
    parts = vector.split([like[name].numel() for name in moved])
    found = {name: torch.zeros_like(one) for name, one in like.items()}
    for name, part in zip(moved, parts, strict=True):
        found[name].copy_(part.view(like[name].shape))
    return found
