"""Keys of the batches before this one, that a contrast has for further candidates."""

# N keys, Q places, D width.

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.core import distributed


class Queue(nn.Module):
    """The last Q keys, of which the oldest go first (He et al. 2020, MoCo).

    It starts empty: `valid` says which places are filled, where the published code has keys at
    random in them. `collect` takes the keys of a micro-batch and leaves the queue alone, so that
    all micro-batches of a step see the same one; `update` lets them in, after the optimiser's step,
    in the order of the batch of all ranks. What is collected is in no checkpoint: a step that is
    over has left nothing. If a step has more than Q keys, the last ones stay.

    Args:
        size: Q; no multiple of a batch is asked for.
        width: D.
        has_labels: each key has a label, in `labels` int64 [Q].

    Raises:
        ValueError: there is no place.
    """

    equal_on_all_ranks = True
    """Nothing of it has to be agreed on by ranks; see `core.distributed.synchronize_buffers`."""

    keys: Tensor
    labels: Tensor
    valid: Tensor
    _entered: Tensor
    _keys: Tensor
    _labels: Tensor
    _count: Tensor

    def __init__(self, size: int, width: int, *, has_labels: bool = False) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.register_buffer("keys", torch.zeros(size, width))
        self.register_buffer("valid", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("_entered", torch.zeros((), dtype=torch.int64))
        # As large as the queue from the first: what puts buffers back puts back these, too.
        self.register_buffer("_keys", torch.zeros(size, width), persistent=False)
        self.register_buffer("_count", torch.zeros((), dtype=torch.int64), persistent=False)
        self.has_labels = has_labels
        if has_labels:
            self.register_buffer("labels", torch.zeros(size, dtype=torch.int64))
            kept = torch.zeros(size, dtype=torch.int64)
            self.register_buffer("_labels", kept, persistent=False)

    @torch.no_grad()
    def collect(self, keys: Tensor, labels: Tensor | None = None) -> None:
        """Takes keys [N, D] of this rank, and their labels [N] if it has any.

        Those of all ranks follow in turn: in a group all must call it, with equally many keys.

        Raises:
            ValueError: keys come without the labels that they have here, or with others.
        """
        if (labels is None) == self.has_labels:
            raise ValueError(
                f"labels must be {'given' if self.has_labels else 'left out'} for a queue that has "
                f"{'them' if self.has_labels else 'none'}"
            )
        size = len(self.valid)
        keys = distributed.gather(keys.detach())
        new = torch.arange(len(keys), device=keys.device)[-size:] + self._count
        self._keys[new % size] = keys[-size:].to(self._keys.dtype)
        if labels is not None:
            self._labels[new % size] = distributed.gather(labels)[-size:]
        self._count += len(keys)

    @torch.no_grad()
    def update(self) -> None:
        """Lets in what was collected, and forgets it."""
        size = len(self.valid)
        place = torch.arange(size, device=self.valid.device)
        # Of the places of what was collected, each holds one that stays: the last that fell on it.
        is_new = place < self._count
        age = (self._count - 1 - place) % size  # 0: the last one collected
        target = (self._entered + self._count - 1 - age) % size
        self.keys[target] = torch.where(is_new[:, None], self._keys, self.keys[target])
        if self.has_labels:
            self.labels[target] = torch.where(is_new, self._labels, self.labels[target])
        self.valid[target] = is_new | self.valid[target]
        self._entered.add_(self._count).remainder_(size)
        self._count.zero_()
