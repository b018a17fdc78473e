"""A network that follows another as a moving average of its parameters: a teacher."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from trainables.layers.checks import check_choice


class MovingAverage(nn.Module):
    """A copy of a network that learns nothing itself: θ′ ← m θ′ + (1 − m) θ at each `follow`.

    It begins as what it follows is. Parameters have no gradient, nor has what it computes. Buffers
    are not averaged but taken over, or its own. Nothing moves parameters but `follow`, so that a
    forward pass may be computed again for its gradient; all of it is in the checkpoint.

    Args:
        network: to be copied, and followed.
        momentum: m in 0…1, unless a call says another.
        mode: `evaluation` or `training`: which of both the copy is always in. In training it drops
            what the network drops, and batch statistics are those of its batch.
        buffers: `taken`: those of the network, at each step; `own`: what the copy itself makes of
            them, such as running statistics of what it sees in training.

    Raises:
        LookupError: `mode` or `buffers` is not known.
        ValueError: `momentum` is out of range.
    """

    follows_another = True
    """Its parameters are counted apart; see `core.measuring.facts_of`."""

    def __init__(
        self,
        network: nn.Module,
        momentum: float = 0.999,
        *,
        mode: Literal["evaluation", "training"] = "evaluation",
        buffers: Literal["taken", "own"] = "taken",
    ) -> None:
        super().__init__()
        check_choice("mode", mode, ("evaluation", "training"))
        check_choice("buffers", buffers, ("taken", "own"))
        _check(momentum)
        self.momentum, self.mode, self.takes_buffers = momentum, mode, buffers == "taken"
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.train()

    @torch.no_grad()
    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the copy makes of these arguments, without gradient."""
        return self.network(*inputs, **named)

    @torch.no_grad()
    def follow(self, network: nn.Module, momentum: float | None = None) -> None:
        """Moves a step towards the network that was copied; m is `momentum` if given.

        Raises:
            ValueError: `momentum` is out of range, or the network has other tensors.
        """
        share = 1 - _check(self.momentum if momentum is None else momentum)
        ours, theirs = _moved(self.network.parameters(), network.parameters())
        copies, buffers = _moved(self.network.buffers(), network.buffers())
        if ours:
            torch._foreach_lerp_(ours, theirs, share)  # pyright: ignore[reportPrivateImportUsage]
        if copies and self.takes_buffers:
            torch._foreach_copy_(copies, buffers)  # pyright: ignore[reportPrivateImportUsage]

    def train(self, mode: bool = True) -> Self:
        """The copy stays in its own mode."""
        super().train(mode)
        self.network.train(self.mode == "training")
        return self


def _moved(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Tensors beside those they follow, without those that both share, such as of `Frozen`."""
    mine, others = list(ours), list(theirs)
    if [one.shape for one in mine] != [one.shape for one in others]:
        raise ValueError("network must be the one that was copied, got one of other tensors")
    pairs = [pair for pair in zip(mine, others, strict=True) if pair[0] is not pair[1]]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _check(momentum: float) -> float:
    """The same; raises ValueError if it is out of range."""
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be in 0…1, got {momentum:g}")
    return momentum
