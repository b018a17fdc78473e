"""Optimisers by name, with parameters that have one dimension kept from weight decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from trainables.core.groups import MAIN
from trainables.core.lars import LARS


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


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimisation (Foret et al. 2021, algorithm 1) around a base optimiser.

    θ′ = θ + ρ·g/‖g‖, the norm over all parameters; the base then steps from θ, exactly, with the
    gradient at θ′. Groups and state are those of the base; with ρ = 0 it is the base, bit for bit.
    """

    def __init__(self, base: torch.optim.Optimizer, rho: float) -> None:
        super().__init__(base.param_groups, {})
        self.base, self.rho = base, rho
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update; the gradients at θ are there, and `closure` makes those at θ′.

        Raises:
            ValueError: no closure is given.
        """
        if closure is None:
            raise ValueError("SAM.step must be given a closure that makes the gradient again")
        moved = [
            one for group in self.param_groups for one in group["params"] if one.grad is not None
        ]
        origin = [one.detach().clone() for one in moved]
        self._climb(moved)
        self.zero_grad()
        try:
            with torch.enable_grad():
                closure()
        finally:
            with torch.no_grad():
                for parameter, value in zip(moved, origin, strict=True):
                    parameter.copy_(value)  # not θ′ − ε, which rounds
        self.base.step()

    @torch.no_grad()
    def _climb(self, parameters: list[Tensor]) -> None:
        gradients = [one.grad for one in parameters if one.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.add_(gradient * (self.rho / (norm + 1e-12)))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the base, which is all there is."""
        self.base.load_state_dict(state_dict)
        self._share()


def sam(
    groups: list[dict[str, Any]], base: str, rho: float, **values: Any
) -> torch.optim.Optimizer:
    """`SAM` around the optimiser of another kind, with values of that."""
    return SAM(build(base, groups, **values), rho)


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
