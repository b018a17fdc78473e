"""Networks that never change, and are in no checkpoint."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Self

import torch
from torch import Tensor, nn


class Frozen(nn.Module):
    """A network without gradient, always in evaluation mode, that no checkpoint holds.

    It must come from somewhere else each time, such as a file. As nothing of it changes, a copy of
    what holds it, such as a teacher, holds the same one.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()
        self.register_load_state_dict_pre_hook(_itself)

    @torch.no_grad()
    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the network makes of these arguments."""
        return self.network(*inputs, **named)

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode."""
        return super().train(False)

    def state_dict(self, *args: Any, **named: Any) -> Any:
        """Nothing, or what there was before it."""
        given = named.get("destination", args[0] if args else None)
        return OrderedDict[str, Tensor]() if given is None else given

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def _itself(module: Any, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Gives it its own tensors, which a checkpoint lacks."""
    state.update({f"{prefix}network.{name}": one for name, one in _named(module.network)})


def _named(network: nn.Module) -> list[tuple[str, Tensor]]:
    return list(network.state_dict().items())
