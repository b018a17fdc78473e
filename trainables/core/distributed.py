"""Ranks, gathering, averaging: alone, under torchrun, under Ray Train.

It looks at torch.distributed and knows nothing else: outside a process group there is one worker,
of rank 0, and each function here returns at once what it was given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainables.core.normalization import GlobalStatistics, normalizes_batches


def size() -> int:
    """How many workers train together: 1 outside a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0. Rank 0 evaluates, saves and speaks for all."""
    return dist.get_rank() if size() > 1 else 0


def places(batch_size: int, micro_batches: int) -> Tensor:
    """The examples of a global batch that this rank takes: their places 0…batch_size−1, int64.

    Each micro-batch is cut in equal parts, one a rank, in order. So a micro-batch gathered from all
    ranks is the one that a single worker sees, in the same order.

    Raises:
        ValueError: the batch cannot be cut in so many equal parts.
    """
    workers = size()
    if batch_size % (micro_batches * workers):
        raise ValueError(
            f"training.batch_size must be a multiple of training.num_micro_batches "
            f"({micro_batches}) times the number of workers ({workers}), got {batch_size}"
        )
    return torch.arange(batch_size).view(micro_batches, workers, -1)[:, rank()].flatten()


def whole(part: Tensor, micro_batches: int) -> Tensor:
    """The values [B] of a global batch, in its order, from those at the `places` of each rank."""
    if size() == 1:
        return part
    return _stacked(part).view(size(), micro_batches, -1).transpose(0, 1).flatten()


def gather(values: Tensor) -> Tensor:
    """The values [N, …] of all ranks, in their order, [workers · N, …]; gradients flow back.

    For losses that compare the examples of a whole micro-batch: each rank computes the same loss of
    all, and the average of their gradients is its gradient. Not in an evaluation: rank 0 is alone.
    """
    return values if size() == 1 else _Gather.apply(values)


def mean(terms: dict[str, Tensor], whole: Collection[str] = ()) -> dict[str, Tensor]:
    """Scalars by name, each the mean over all ranks; added up in double precision.

    NaN is left out of a mean, so that it is the one over the ranks that have a number; but not of
    those that are named in `whole`, which are NaN if they are so on any rank.
    """
    if size() == 1:
        return terms
    given = torch.stack([term.double().to(_road()) for term in terms.values()])
    together = given.clone()
    dist.all_reduce(together)
    together /= size()
    if together.isnan().any():  # on all ranks or on none
        may_lack = torch.tensor([name not in whole for name in terms], device=given.device)
        is_left = ~(given.isnan() & may_lack)
        found = torch.stack([given.where(is_left, 0.0), is_left.double()])
        dist.all_reduce(found)
        together = found[0] / found[1]
    return {
        name: value.to(term.device, term.dtype)
        for (name, term), value in zip(terms.items(), together, strict=True)
    }


def first(flag: bool) -> bool:
    """What rank 0 says: so that all ranks end after the same step."""
    if size() == 1:
        return flag
    shared = torch.tensor(int(flag), device=_road())
    dist.broadcast(shared, src=0)
    return bool(shared.item())


def await_first() -> None:
    """Waits while rank 0 alone is at work, until it says `first(True)`.

    Each `first(False)` of it begins the wait anew: how long one may take is limited.
    """
    while not first(True):
        pass


def wrap(module: nn.Module) -> nn.Module:
    """The module, its gradients averaged over the ranks at the end of each backward pass.

    What normalises batches does so over the micro-batch of all ranks (`core.normalization`).
    Buffers are not touched: see `synchronize_buffers`. Parameters without a gradient are looked for
    in each step, for two reasons: an experiment may leave some out, and otherwise the parameters
    would be put in another order after the first step, so that the sums of a resumed run, whose
    first step that is, would be rounded in another way.
    """
    if size() == 1:
        return module
    kind = _NormalizingTogether if normalizes_batches(module) else DistributedDataParallel
    return kind(module, forward_sync_buffers=False, find_unused_parameters=True)


def apart(wrapped: nn.Module) -> AbstractContextManager[Any]:
    """While gradients are added up on each rank alone: for all micro-batches but the last."""
    is_group = isinstance(wrapped, DistributedDataParallel)
    return wrapped.no_sync() if is_group else nullcontext()


def synchronize_buffers(module: nn.Module) -> None:
    """Makes the buffers that are saved equal on all ranks: means, and rank 0's where not floating.

    To be called after each forward pass in training. A buffer that follows the mean of a batch (a
    running statistic) then is what one worker with the whole batch would have. A module whose
    buffers are equal anyway, such as a queue of all ranks' keys, has an attribute
    `equal_on_all_ranks` that is true: nothing of it travels.
    """
    if size() == 1:
        return
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for buffer in _saved_buffers(module):
        kinds.setdefault(buffer.dtype, []).append(buffer)
    for kind, buffers in kinds.items():
        stacked = _stacked(torch.cat([buffer.detach().flatten() for buffer in buffers]))
        agreed = stacked[0]
        if kind.is_floating_point:  # from rank 0's: equal buffers are not rounded
            agreed = agreed + (stacked - agreed).mean(0)
        for buffer, values in zip(buffers, _cut(agreed, buffers), strict=True):
            buffer.detach().copy_(values.view_as(buffer))


class _NormalizingTogether(DistributedDataParallel):
    """With batch normalisation over the micro-batch of all ranks."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        with GlobalStatistics():
            return super().forward(*inputs, **named)


def _cut(values: Tensor, like: Iterable[Tensor]) -> tuple[Tensor, ...]:
    return values.split([one.numel() for one in like])


def _saved_buffers(module: nn.Module) -> Iterator[Tensor]:
    """Buffers in the state of a module, each once, in the order of their names.

    Without those of modules that say `equal_on_all_ranks`, and of what is in these.
    """
    agreed = [one for one in module.modules() if getattr(one, "equal_on_all_ranks", False)]
    seen = {id(buffer) for one in agreed for buffer in one.buffers()}
    for name, buffer in module.named_buffers(remove_duplicate=False):
        owner, _, own_name = name.rpartition(".")
        hidden: set[str] = vars(module.get_submodule(owner))["_non_persistent_buffers_set"]
        if own_name not in hidden and id(buffer) not in seen and buffer.numel():
            seen.add(id(buffer))
            yield buffer


def _stacked(values: Tensor) -> Tensor:
    """The tensors of all ranks, [workers, …], on the device of this one's."""
    sent = values.detach().to(_road()).contiguous()
    received = [torch.empty_like(sent) for _ in range(size())]
    dist.all_gather(received, sent)
    return torch.stack(received).to(values.device)


def _road() -> torch.device:
    """Where tensors must be to travel: NCCL moves what is on a GPU, gloo what is anywhere."""
    return torch.device("cuda" if "nccl" in dist.get_backend() else "cpu")


class _Gather(torch.autograd.Function):
    """All ranks' values forward; backward the sum of all ranks' gradients of this rank's."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _stacked(values).flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        total = gradient.to(_road()).contiguous()
        dist.all_reduce(total)
        own = total.view(size(), -1, *gradient.shape[1:])[rank()]
        return own.to(gradient.device)
