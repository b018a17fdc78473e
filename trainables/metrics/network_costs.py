"""What a network costs: multiply-adds of an image, and how long it takes."""

# B images, C channels, H × W pixels.

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

_PASSES = 15
"""So many passes are timed at most."""
_WARM = 2
"""So many before them are not."""


def multiply_adds(
    network: nn.Module, images: Tensor, forward: Callable[[nn.Module, Tensor], Tensor] | None = None
) -> int:
    """Multiplications with an addition of a pass over images [B, C, H, W], exactly.

    Those of convolutions, products of matrices and attention, as in published tables (there often
    called FLOPs); norms, activations, pooling and additions alone are not counted. Nothing is
    computed where the network can be followed without values, and its state stays as it is.

    Args:
        network: in any mode; counted as it evaluates.
        images: only their shape counts.
        forward: of the network (None: its own).
    """
    mode, call = network.training, forward or (lambda one, seen: one(seen))
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    shapes = {name: one.detach().to("meta") for name, one in state.items()}
    wrapped = _Called(network, call)
    network.eval()
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            try:
                with FlopCounterMode(display=False) as counted:
                    named = {f"network.{name}": one for name, one in shapes.items()}
                    functional_call(wrapped, named, (images.to("meta"),))
            except (RuntimeError, NotImplementedError):  # it makes tensors of values, not of shapes
                like = next(iter(state.values()), images)
                with FlopCounterMode(display=False) as counted:
                    wrapped(images.to(like))
    finally:
        network.train(mode)
    return counted.get_total_flops() // 2


def latency(
    forward: Callable[[], object],
    device: torch.device,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """The median seconds of a pass, of as many as fit into `seconds`, 1…15, after two to warm up.

    Of a pass that takes longer by itself that one counts. On a GPU it is waited for.
    """
    found: list[float] = []
    begun = clock()
    for number in range(_WARM + _PASSES):
        start = clock()
        forward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(clock() - start)
        is_warm = number >= _WARM
        if clock() - begun > seconds:
            return median(found[_WARM:]) if is_warm else found[-1]
    return median(found[_WARM:])


class _Called(nn.Module):
    """A network as it is called."""

    def __init__(self, network: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self._call = network, call

    def forward(self, images: Tensor) -> Tensor:
        return self._call(self.network, images)
