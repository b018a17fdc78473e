"""Optimisers by name, with parameters that have one dimension kept from weight decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from trainables.core.groups import MAIN
from trainables.core.lars import LARS
from trainables.core.sam import SAM


def parameter_groups(
    parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float, name: str = MAIN
) -> list[dict[str, Any]]:
    """Two groups of one name: tensors of two or more dimensions with decay; biases, gains, tokens
    without.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for path, parameter in parameters:
        if parameter.requires_grad:
            is_free = parameter.ndim < 2 or path.endswith(("token", "positions"))
            (free if is_free else decayed).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay, "name": name},
        {"params": free, "weight_decay": 0.0, "name": name, "decays": False},
    ]


def build(kind: str, groups: list[dict[str, Any]], **values: Any) -> torch.optim.Optimizer:
    """The optimiser of a kind over groups of parameters, which say their weight decay.

    Kinds are `adam`, `adam_tf`, `adamw`, `lars`, `rmsprop`, `sgd`, and `sam`, whose `base` is one
    of the others. `values` are the settings of the kind, by the names of configurations.

    Raises:
        LookupError: there is no such kind.
        TypeError: a value that the kind does not have, or one that is missing.
    """
    if kind not in KINDS:
        raise LookupError(f"kind of an optimizer must be one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind](groups, **values)


def adam(
    groups: list[dict[str, Any]], lr: float, beta1: float, beta2: float, eps: float
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015, algorithm 1)."""
    return torch.optim.Adam(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def adam_tf(
    groups: list[dict[str, Any]], lr: float, beta1: float, beta2: float, eps: float
) -> torch.optim.Optimizer:
    """Adam as TensorFlow has it, see `AdamTF`."""
    return AdamTF(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=True)


def adamw(
    groups: list[dict[str, Any]], lr: float, beta1: float, beta2: float
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019): decay apart from the gradient; ε = 1e-8."""
    return torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2), fused=True)


class AdamTF(torch.optim.Adam):
    """Adam as TensorFlow has it: ε is added to √v, not to √v / √(1 − β₂ᵗ).

    θ ← θ − lr / (1 − β₁ᵗ) · m · √(1 − β₂ᵗ) / (√v + ε): torch's step with ε / √(1 − β₂ᵗ) in place
    of ε, t the number of the update (Kingma and Ba 2015, the form before section 2.1).
    """

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update."""
        given = [group["eps"] for group in self.param_groups]
        for group, eps in zip(self.param_groups, given, strict=True):
            group["eps"] = eps / (1 - group["betas"][1] ** (self._updates(group) + 1)) ** 0.5
        try:
            return super().step(closure)
        finally:
            for group, eps in zip(self.param_groups, given, strict=True):
                group["eps"] = eps

    def _updates(self, group: dict[str, Any]) -> int:
        """How many updates a group has had: those of its first parameter that has had any."""
        states = (self.state[one] for one in group["params"] if one in self.state)
        return int(next((state["step"] for state in states if "step" in state), 0))


def rmsprop(
    groups: list[dict[str, Any]], lr: float, alpha: float, momentum: float, eps: float
) -> torch.optim.Optimizer:
    """RMSprop (Hinton 2012): v ← α·v + (1 − α)·g², μ ← m·μ + g / (√v + ε), θ ← θ − lr·μ."""
    return torch.optim.RMSprop(groups, lr=lr, alpha=alpha, momentum=momentum, eps=eps, foreach=True)


def sgd(
    groups: list[dict[str, Any]], lr: float, momentum: float, nesterov: bool = False
) -> torch.optim.Optimizer:
    """SGD with momentum: μ ← m·μ + g + λθ, θ ← θ − lr·μ (with Nesterov's look-ahead if asked)."""
    return torch.optim.SGD(
        groups, lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True
    )


def lars(
    groups: list[dict[str, Any]],
    lr: float,
    momentum: float,
    trust: float,
    nesterov: bool = False,
    clip: bool = False,
) -> torch.optim.Optimizer:
    """LARS, see `core.lars`: matrices and filters in groups apart from biases and gains."""
    kept: list[dict[str, Any]] = []
    for group in groups:
        for adapts in (True, False):
            tensors = [one for one in group["params"] if (one.ndim > 1) == adapts]
            if tensors:
                kept.append({**group, "params": tensors})
    return LARS(
        kept, lr, momentum=momentum, trust=trust, nesterov=nesterov and momentum > 0, clip=clip
    )


def sam(
    groups: list[dict[str, Any]],
    base: str,
    rho: float,
    adaptive: bool = False,
    weight_share: float = 1.0,
    example_share: float = 1.0,
    **values: Any,
) -> torch.optim.Optimizer:
    """`SAM` around the optimiser of another kind, with values of that; see `core.sam`."""
    return SAM(
        build(base, groups, **values),
        rho,
        adaptive=adaptive,
        weight_share=weight_share,
        example_share=example_share,
    )


KINDS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": adam,
    "adam_tf": adam_tf,
    "adamw": adamw,
    "lars": lars,
    "rmsprop": rmsprop,
    "sam": sam,
    "sgd": sgd,
}
"""How each kind of optimiser is built."""
