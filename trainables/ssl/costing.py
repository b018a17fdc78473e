"""Costs of the network of a run: facts of its shape, and its time on this machine."""

# C channels, S side.

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainables.metrics.network_costs import latency, multiply_adds

SECONDS = 0.15
"""So long each of two latencies is measured."""
PATIENCE = 1.0
"""A batch that would take longer is not measured."""

Forward = Callable[[nn.Module, Tensor], Tensor]


def facts(network: nn.Module, shape: tuple[int, int, int], forward: Forward) -> dict[str, object]:
    """`network.parameters`; and `network.multiply_adds` of an image of `network.image_size`.

    Args:
        network: one of them, where there are a student and a teacher.
        shape: of an image, C, S and S.
        forward: of the network.
    """
    return {
        "network.parameters": sum(one.numel() for one in network.parameters()),
        "network.multiply_adds": multiply_adds(network, torch.zeros(1, *shape), forward),
        "network.image_size": shape[-1],
    }


def costs(
    network: nn.Module, shape: tuple[int, int, int], batch_size: int, forward: Forward
) -> dict[str, float]:
    """`cost/latency_ms` of one image, and `cost/latency_of_batch_ms` of as many as in a batch.

    Medians of passes of the network as it evaluates, on its device, with the threads of the run,
    which are facts of it; not compiled. A batch is left out where it would take seconds.
    """
    like, mode = next(network.parameters()), network.training
    network.eval()
    try:
        with torch.inference_mode():
            single = _timed(network, torch.zeros(1, *shape).to(like), forward)
            found = {"cost/latency_ms": 1000 * single}
            if single * batch_size <= PATIENCE:
                batch = _timed(network, torch.zeros(batch_size, *shape).to(like), forward)
                found["cost/latency_of_batch_ms"] = 1000 * batch
    finally:
        network.train(mode)
    return found


def _timed(network: nn.Module, images: Tensor, forward: Forward) -> float:
    return latency(lambda: forward(network, images), images.device, SECONDS)
