"""A block after which a network and the generators of random numbers are as before it."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def untouched(module: nn.Module) -> Generator[None]:
    """Gives back, however a block ends, what it may change in passing.

    The states of Python's, NumPy's and torch's default generators (on the CPU and on the GPU in
    use); of the module the modes, buffers, gradients and `requires_grad` flags. Within the block
    parameters have no gradients, so that what is added up there meets nothing.

    Raises:
        RuntimeError: the block has changed a parameter itself: names it.
    """
    modes = [(part, part.training) for part in module.modules()]
    parameters = [(name, one, _version(one)) for name, one in module.named_parameters()]
    gradients = [(one, one.grad, one.requires_grad) for _, one, _ in parameters]
    buffers = [(part, dict(part.named_buffers(recurse=False))) for part in module.modules()]
    kept = [{name: one.clone() for name, one in own.items()} for _, own in buffers]
    for _, one, _ in parameters:
        one.grad = None
    try:
        with _same_draws():
            yield
    finally:
        for part, mode in modes:
            part.training = mode
        for one, gradient, flag in gradients:
            one.grad = gradient
            one.requires_grad_(flag)
        for (part, own), values in zip(buffers, kept, strict=True):
            _give_back(part, own, values)
    for name, one, version in parameters:
        if _version(one) != version:
            raise RuntimeError(f"{name} must not be changed by what only measures; train a copy")


@contextmanager
def _same_draws() -> Generator[None]:
    mine, numpys = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(mine)
        np.random.set_state(numpys)


def _give_back(part: nn.Module, own: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    """Puts the buffers of a module back, with their values where these have changed."""
    for name, buffer in own.items():
        setattr(part, name, buffer)
        if not torch.equal(buffer, values[name]):
            with torch.inference_mode():  # where any tensor may be written to
                buffer.copy_(values[name])


def _version(parameter: nn.Parameter) -> int | None:
    """How often it was written to; unknown if it was made in inference mode."""
    return None if parameter.is_inference() else parameter._version
