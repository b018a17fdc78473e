"""Probes of many rates and decays, each as it would be alone, and the one that is chosen."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.metrics.probe_grid import fit_grid


def features(number: int = 60, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(number) % 3
    centres = torch.randn(3, 5, generator=torch.Generator().manual_seed(9))
    return 3 + centres[labels] + torch.randn(number, 5, generator=random), labels


def grid(batch_size: int = 16, steps: int = 12, **values: Any) -> Any:
    seen, labels = features()
    settings: dict[str, Any] = {"rates": (0.01, 0.1, 1.0), "weight_decays": (0.0, 0.03)}
    draw = torch.Generator().manual_seed(4)
    settings |= {"batch_size": batch_size, "steps": steps, "generator": draw, **values}
    return fit_grid(seen, labels, 3, **settings)


def alone(rate: float, decay: float, batch_size: int, steps: int) -> nn.Linear:
    """A layer of torch's with torch's SGD and the same draws."""
    (seen, labels), draw = features(), torch.Generator().manual_seed(4)
    seen = (seen - seen.mean(0)) / seen.std(0, correction=0)
    layer = nn.Linear(5, 3)
    with torch.no_grad():
        layer.weight.copy_(0.01 * torch.randn(5, 3, generator=draw).T)
        layer.bias.zero_()
    groups = [
        {"params": [layer.weight], "weight_decay": decay},
        {"params": [layer.bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9)
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < batch_size:
            order = torch.randperm(60, generator=draw)
        chosen, order = order[:batch_size], order[batch_size:]
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        functional.cross_entropy(layer(seen[chosen]), labels[chosen]).backward()
        optimizer.step()
    return layer


@pytest.mark.parametrize(("batch_size", "steps"), [(16, 12), (60, 5)])
def test_each_layer_is_that_of_a_run_of_its_own(batch_size: int, steps: int) -> None:
    found = grid(batch_size, steps)
    assert found.settings == ((0.01, 0), (0.01, 0.03), (0.1, 0), (0.1, 0.03), (1, 0), (1, 0.03))
    seen, _ = features(30, 1)
    for place, (rate, decay) in enumerate(found.settings):
        layer = alone(rate, decay, batch_size, steps)
        torch.testing.assert_close(
            found.weight[place].T, layer.weight.detach(), rtol=1e-4, atol=1e-6
        )
        expected = layer((seen - found.mean) / found.deviation).detach()
        torch.testing.assert_close(found(seen, place), expected, rtol=1e-4, atol=1e-5)


def test_more_features_in_a_batch_than_there_are_are_all_of_them() -> None:
    assert torch.equal(grid(60).weight, grid(1000).weight)


def test_a_feature_that_is_always_the_same_says_nothing() -> None:
    seen, labels = features()
    seen[:, 2] = 0.1
    found = fit_grid(
        seen, labels, 3, rates=(0.1,), weight_decays=(0.0,), steps=3, batch_size=60,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert torch.isfinite(found(seen, 0)).all()


def test_the_best_is_that_of_the_images_it_is_chosen_on() -> None:
    """By accuracy, then by cross-entropy; a layer that diverged is never the best."""
    found = grid(60, 40, rates=(1e-6, 0.3, 1e30))
    seen, labels = features(45, 1)
    shares = [float((found(seen, n).argmax(1) == labels).float().mean()) for n in range(6)]
    losses = [float(functional.cross_entropy(found(seen, n), labels)) for n in range(6)]
    best = found.best(seen, labels)
    assert best in (2, 3)
    ranked = sorted(range(4), key=lambda n: (-shares[n], losses[n]))
    assert best == ranked[0]
