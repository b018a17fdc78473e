"""Batch normalisation whose statistics, scale and shift never change."""

# B images, C channels.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class FrozenBatchNorm(nn.Module):
    """x · s + (β − μ·s) with s = γ/√(v + ε) by channel, all four of them buffers.

    It has the names of `torch.nn.BatchNorm2d`, whose weights load, but for the number of batches.
    It is torch's normalisation in evaluation mode, in training too. An activation may follow, as
    in some norms of timm.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, channels: int, *, eps: float = 1e-5, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.eps, self.activation = eps, activation
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_load_state_dict_pre_hook(_without_batches)

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> FrozenBatchNorm:
        """The same as a batch norm as it is evaluated now."""
        channels = norm.num_features
        frozen = cls(channels, eps=norm.eps, activation=getattr(norm, "act", None))
        state = norm.state_dict()
        state = {name: one for name, one in state.items() if name in dict(frozen.named_buffers())}
        for name, one in state.items():
            frozen.register_buffer(name, one.detach().clone())
        return frozen

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, …] → the same shape."""
        found = functional.batch_norm(
            features,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=False,
            eps=self.eps,
        )
        return found if self.activation is None else self.activation(found)


def freeze_norms(network: nn.Module) -> nn.Module:
    """The network with all batch norms frozen as they are, under the same names.

    timm's norms with an activation keep it. Norms that do not depend on the batch stay.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, FrozenBatchNorm.of(child))
    return network


def _without_batches(module: Any, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    state.pop(f"{prefix}num_batches_tracked", None)
