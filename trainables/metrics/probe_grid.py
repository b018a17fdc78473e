"""Linear probes of many learning rates and weight decays, fitted at once on kept features."""

# n features, C their width, Q classes, G probes.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

MOMENTUM = 0.9
_DEVIATION = 0.01
"""Of first weights; as momentum and rates of half a cosine it is DINO's (Caron et al. 2021)."""


@dataclass(frozen=True)
class ProbeGrid:
    """G linear layers on one scale of features: `weight` [G, C, Q] and `bias` [G, Q].

    They are of (features − `mean`) / `deviation`, both [C]. `settings` are (rate, weight decay).
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    deviation: Tensor
    settings: tuple[tuple[float, float], ...]

    def __call__(self, features: Tensor, place: int) -> Tensor:
        """Logits [n, Q] of features [n, C] by one of the layers."""
        return _scaled(features, self.mean, self.deviation) @ self.weight[place] + self.bias[place]

    def best(self, features: Tensor, labels: Tensor) -> int:
        """The layer with the highest accuracy on features [n, C] with labels [n].

        Of several the one with the lowest cross-entropy. It must not be chosen by what it is
        tested on.
        """
        found: list[tuple[float, float, int]] = []
        for place in range(len(self.settings)):
            logits = self(features, place)
            hits = float((logits.argmax(1) == labels).double().mean())
            loss = float(functional.cross_entropy(logits, labels))
            found.append((-hits, loss if math.isfinite(loss) else math.inf, place))
        return min(found)[2]


def fit_grid(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    rates: Sequence[float],
    weight_decays: Sequence[float],
    steps: int,
    batch_size: int,
    generator: torch.Generator,
) -> ProbeGrid:
    """A linear layer for each rate and each weight decay, by cross-entropy, all in one pass.

    SGD with momentum 0.9 in batches that all layers share, rates falling on half a cosine to 0;
    the decay is of weights and not of biases. Gradients are written out, so that nothing but the
    layers themselves is kept, and autograd is not needed. All begin with the same weights, normal
    of σ 0.01. Features are standardised by their own mean and deviation.

    Args:
        features: [n, C].
        labels: [n], int64, below `num_classes`.
        num_classes: Q.
        rates: at the first step.
        weight_decays: of each rate.
        steps: how many.
        batch_size: of features; all of them if there are no more. A last, partial batch of an epoch
            is left out.
        generator: of first weights and of the order of features, on the CPU.
    """
    mean, deviation = features.mean(0), features.std(0, correction=0)
    deviation = deviation.where(deviation > 1e-6 * mean.abs(), 1.0)
    seen, settings = _scaled(features, mean, deviation), tuple(product(rates, weight_decays))
    first = _DEVIATION * torch.randn(features.shape[1], num_classes, generator=generator)
    weight = first.to(seen).repeat(len(settings), 1, 1)
    bias = seen.new_zeros(len(settings), 1, num_classes)
    speed = [torch.zeros_like(weight), torch.zeros_like(bias)]
    rate, decay = (seen.new_tensor(one)[:, None, None] for one in zip(*settings, strict=True))
    answers = functional.one_hot(labels, num_classes).to(seen)
    size, order = min(batch_size, len(seen)), torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < size:
            order = torch.randperm(len(seen), generator=generator)
        chosen, order = order[:size].to(seen.device), order[size:]
        batch = seen[chosen]
        error = (torch.matmul(batch, weight) + bias).softmax(-1) - answers[chosen]
        gradients = (batch.T @ error / size + decay * weight, error.mean(1, keepdim=True))
        share = (1 + math.cos(math.pi * step / steps)) / 2
        for values, moving, gradient in zip((weight, bias), speed, gradients, strict=True):
            moving.mul_(MOMENTUM).add_(gradient)
            values.sub_(rate * share * moving)
    return ProbeGrid(weight, bias[:, 0], mean, deviation, settings)


def _scaled(features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    return (features - mean) / deviation
