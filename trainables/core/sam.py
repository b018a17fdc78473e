"""SAM, ASAM and ESAM: steps with the gradient uphill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimisation (Foret et al. 2021, algorithm 1) around a base optimiser.

    θ′ = θ + ρ·g/‖g‖, the norm over all parameters; the base then steps from θ, exactly, with the
    gradient at θ′. Groups and state are those of the base; with ρ = 0 it is the base, bit for bit.

    Args:
        base: the optimiser.
        rho: ρ.
        adaptive: ASAM (Kwon et al. 2021, equation 7, without η): θ′ = θ + ρ·θ²⊙g / ‖|θ|⊙g‖, so
            that scales of weights that change no output do not change what is flat.
        weight_share: β of ESAM (Du et al. 2022, section 3.1): each weight is moved with this
            probability, then 1/β as far: on average θ′ is that of SAM.
        example_share: γ of ESAM (section 3.2): the second gradient is that of this share of the
            examples, whose loss rises most; those who make the gradient choose them.
    """

    def __init__(
        self,
        base: torch.optim.Optimizer,
        rho: float,
        *,
        adaptive: bool = False,
        weight_share: float = 1.0,
        example_share: float = 1.0,
    ) -> None:
        super().__init__(base.param_groups, {})
        self.base, self.rho, self.adaptive = base, rho, adaptive
        self.weight_share, self.example_share = weight_share, example_share
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def step(self, closure: Callable[[], Any] | None = None, seed: int | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update; the gradients at θ are there, and `closure` makes those at θ′.

        With a share of weights below 1 the `seed` of the step says which.

        Raises:
            ValueError: no closure is given, or no seed where one is needed.
        """
        if closure is None:
            raise ValueError("SAM.step must be given a closure that makes the gradient again")
        if seed is None and self.weight_share < 1:
            raise ValueError("SAM.step must be given a seed that says which weights move")
        moved = [
            one for group in self.param_groups for one in group["params"] if one.grad is not None
        ]
        origin = [one.detach().clone() for one in moved]
        self._climb(moved, seed)
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
    def _climb(self, parameters: list[Tensor], seed: int | None) -> None:
        gradients = [one.grad for one in parameters if one.grad is not None]
        scaled = gradients
        if self.adaptive:
            scaled = [g * one.abs() for g, one in zip(gradients, parameters, strict=True)]
        norm = nn.utils.get_total_norm(scaled)
        ways = [gradient * (self.rho / (norm + 1e-12)) for gradient in gradients]
        if self.adaptive:
            ways = [way * one.square() for way, one in zip(ways, parameters, strict=True)]
        if self.weight_share < 1 and seed is not None and ways:
            draw = torch.Generator(ways[0].device).manual_seed(seed)
            ways = [self._thinned(way, draw) for way in ways]
        for parameter, way in zip(parameters, ways, strict=True):
            parameter.add_(way)

    def _thinned(self, way: Tensor, draw: torch.Generator) -> Tensor:
        """The way of a share of the weights, so much further."""
        moves = torch.rand(way.shape, generator=draw, device=way.device) < self.weight_share
        return torch.where(moves, way / self.weight_share, 0.0)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the base, which is all there is."""
        self.base.load_state_dict(state_dict)
        self._share()
