"""Batch normalisation in a group of workers: statistics of the whole micro-batch."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.overrides import TorchFunctionMode

_SIGNATURE = inspect.signature(functional.batch_norm)


def normalizes_batches(module: nn.Module) -> bool:
    """Whether there is batch normalisation in it: only then the mode below is worth its time."""
    return any(isinstance(one, _BatchNorm) for one in module.modules())


class GlobalStatistics(TorchFunctionMode):
    """While it is on, `functional.batch_norm` in training uses statistics of all ranks.

    Each rank has equally many examples of a micro-batch, so that normalised values, gradients and
    running statistics are those of one worker. It sees every module that normalises by that
    function, whatever its class; torch's own SyncBatchNorm is for GPUs only.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.batch_norm:
            given = _SIGNATURE.bind(*args, **(kwargs or {}))
            if given.arguments.get("training"):
                return _normalized(*given.args, **given.kwargs)
        return func(*args, **(kwargs or {}))


def _normalized(
    values: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Values [N, C, …], as `functional.batch_norm` normalises them, over the N of all ranks."""
    exact = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
    dims = [0, *range(2, exact.ndim)]
    mean = _mean_of_ranks(exact.mean(dims, keepdim=True))
    centred = exact - mean
    variance = _mean_of_ranks(centred.square().mean(dims, keepdim=True))
    if running_mean is not None and running_var is not None:
        count = dist.get_world_size() * exact.numel() / exact.shape[1]
        unbiased = variance * (count / (count - 1))
        with torch.no_grad():
            running_mean.lerp_(mean.flatten().to(running_mean.dtype), momentum)
            running_var.lerp_(unbiased.flatten().to(running_var.dtype), momentum)
    normalized = centred * torch.rsqrt(variance + eps)
    shape = [1, -1, *[1] * (exact.ndim - 2)]
    if weight is not None:
        normalized = normalized * weight.view(shape)
    if bias is not None:
        normalized = normalized + bias.view(shape)
    return normalized.to(values.dtype)


def _mean_of_ranks(values: Tensor) -> Tensor:
    return _Sum.apply(values) / dist.get_world_size()


class _Sum(torch.autograd.Function):
    """The sum over ranks; backward the sum of all ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _added(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _added(gradient)


def _added(values: Tensor) -> Tensor:
    total = values.detach().clone().contiguous()
    dist.all_reduce(total)
    return total
