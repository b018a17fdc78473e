"""LARS: momentum with a rate of its own for each tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_lists: Any = torch
"""What works on lists of tensors at once is called `_foreach_…`: private by its name alone."""


class LARS(torch.optim.Optimizer):
    """Layer-wise adaptive rates (You et al. 2017, algorithm 1), as DINO and Barlow Twins have them.

    A tensor of two or more dimensions: g ← q·(g + λθ) with q = η‖θ‖ / ‖g + λθ‖, or 1 where a norm
    is 0; any other, such as a bias or a gain, has g alone, neither decayed nor scaled. Then
    μ ← m·μ + g and θ ← θ − lr·μ. So the first step of a matrix is lr·η·‖θ‖ long, whatever its
    gradient and its decay. In the paper the norm below is ‖g‖ + λ‖θ‖, at least as long, and the
    rate is inside μ.

    Args:
        groups: parameters, or groups of them with a `weight_decay` λ each.
        lr: the rate.
        momentum: m.
        trust: η.
        nesterov: whether a step is that of g + m·μ in place of μ.
        clip: whether q is min(q / lr, 1), so that no step is longer than one of plain momentum.
    """

    def __init__(
        self,
        groups: Any,
        lr: float,
        *,
        momentum: float = 0.9,
        trust: float = 1e-3,
        nesterov: bool = False,
        clip: bool = False,
    ) -> None:
        defaults = {
            **{"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": 0.0},
            **{"trust_coeff": trust, "trust_clip": clip},
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moved = [one for one in group["params"] if one.grad is not None]
            for is_wide in (True, False):
                own = [one for one in moved if (one.ndim > 1) == is_wide]
                if own:
                    gradients = [one.grad for one in own]
                    self._move(group, own, _scaled(group, own, gradients) if is_wide else gradients)
        return loss

    def _move(self, group: dict[str, Any], own: list[Tensor], updates: list[Tensor]) -> None:
        momentum = group["momentum"]
        if momentum:
            for one in own:
                if "momentum_buffer" not in self.state[one]:
                    self.state[one]["momentum_buffer"] = torch.zeros_like(one)
            velocities = [self.state[one]["momentum_buffer"] for one in own]
            _lists._foreach_mul_(velocities, momentum)
            _lists._foreach_add_(velocities, updates)
            if group["nesterov"]:
                updates = list(_lists._foreach_add(updates, velocities, alpha=momentum))
            else:
                updates = velocities
        _lists._foreach_add_(own, updates, alpha=-group["lr"])


def _scaled(group: dict[str, Any], own: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
    """q·(g + λθ) of each tensor."""
    decayed = list(_lists._foreach_add(gradients, own, alpha=group["weight_decay"]))
    lengths = torch.stack(_lists._foreach_norm(own))
    steps = torch.stack(_lists._foreach_norm(decayed))
    ratio = torch.where((lengths > 0) & (steps > 0), group["trust_coeff"] * lengths / steps, 1.0)
    if group["trust_clip"]:
        ratio = (ratio / group["lr"]).clamp(max=1)
    _lists._foreach_mul_(decayed, list(ratio.unbind()))
    return decayed
