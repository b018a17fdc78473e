"""Recording of attention: what each module of a network looks at while a block of code runs."""

# B images, H heads, Q queries, K keys, T calls.

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


class Recording:
    """Attention by the names of modules in their network, one map for each call, in their order.

    Weights are as their module has them: those of self-attention add up to 1 over keys, those of
    Slot Attention over slots and heads together. They are detached, and lie where they were made.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._maps: dict[str, list[Tensor]] = {name: [] for name in names}

    @property
    def names(self) -> list[str]:
        """The modules that are recorded, in the order of the network."""
        return list(self._maps)

    def take(self) -> dict[str, Tensor]:
        """What was recorded since the last time, by name, [T, B, H, Q, K]; begins anew.

        T is how often a module was called: an iteration of Slot Attention is one call, and so is
        each use of a shared layer. To be taken after each batch: maps of several are stacked. A
        name without a call is left out.

        Raises:
            ValueError: a module was called with several shapes in between.
        """
        taken, self._maps = self._maps, {name: [] for name in self._maps}
        for name, maps in taken.items():
            shapes = sorted({tuple(each.shape) for each in maps})
            if len(shapes) > 1:
                raise ValueError(
                    f"attention of {name} must be of one shape to be taken together, got "
                    f"{', '.join(map(str, shapes))}; take it after each batch"
                )
        return {name: torch.stack(maps) for name, maps in taken.items() if maps}

    def add(self, name: str, weights: Tensor) -> None:
        """One call of a module, [B, H, Q, K]."""
        self._maps[name].append(weights.detach())


def attending(network: nn.Module) -> dict[str, nn.Module]:
    """The modules of a network that attend, by name: ours, and timm's.

    Ours have a method `attention_weights`, of the arguments of `forward`, which returns the weights
    [B, H, Q, K] without dropout and without a trace: no state changes, nothing random is drawn.

    timm's are those with an `attn_drop`, through which their weights go: ViT, BEiT, EVA, CaiT, Swin
    and others. Of Swin, B counts windows, and Q = K are the places of one.
    """
    return {name: module for name, module in network.named_modules() if _attends(module)}


@contextmanager
def recorded(network: nn.Module, names: Collection[str] | None = None) -> Generator[Recording]:
    """Records attention while a block runs: of all modules that attend, or of those named.

    Ours compute their weights beside what they do, so that their outputs are the same bit for bit.
    timm's attention is not fused meanwhile, which rounds otherwise, and in training mode drops
    other weights if it drops any. What was compiled runs as it is
    written. Afterwards, however the block ends, the network is as it was: without hooks, fused
    where it was. Maps are large, [B, H, N, N] a layer: name the layers that are needed.

    Raises:
        LookupError: nothing in the network attends, or nothing of such a name.
    """
    found = attending(network)
    if not found:
        raise LookupError(f"network must have a module that attends, got {type(network).__name__}")
    for name in names or ():
        _check_name(name, list(found))
    wanted = {name: found[name] for name in found if names is None or name in names}
    recording = Recording(wanted)
    with ExitStack() as stack:
        stack.enter_context(torch.compiler.set_stance("force_eager"))  # compiled code calls no hook
        for name, module in wanted.items():
            stack.callback(_listen(module, partial(recording.add, name)).remove)
            if getattr(module, "fused_attn", False):
                stack.callback(setattr, module, "fused_attn", True)
                setattr(module, "fused_attn", False)  # noqa: B010 (nn.Module declares none)
        yield recording


def _listen(module: nn.Module, add: Any) -> Any:
    """The handle of a hook that hands on the weights of each call."""
    dropout = _dropout_of(module)
    if dropout is not None:
        return dropout.register_forward_pre_hook(lambda _, inputs: add(inputs[0]))

    def hook(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        with torch.no_grad():
            add(module.attention_weights(*inputs, **named))

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _attends(module: nn.Module) -> bool:
    """By its class: a part of it may be called so, too."""
    is_ours = callable(getattr(type(module), "attention_weights", None))
    return is_ours or _dropout_of(module) is not None


def _dropout_of(module: nn.Module) -> nn.Module | None:
    """What the weights of an attention of timm go through, once they are not fused."""
    found = getattr(module, "attn_drop", None)
    return found if isinstance(found, nn.Module) else None


def _check_name(name: str, known: list[str]) -> None:
    if name not in known:
        near = get_close_matches(name, known, 1, 0.3) or known[:1]
        raise LookupError(
            f"names must be of modules that attend, got {name!r}; did you mean {near[0]!r}?"
        )
