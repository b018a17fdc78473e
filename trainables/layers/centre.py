"""The mean of what a teacher says, followed slowly, that its targets are centred by."""

# N rows, K prototypes.

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.core import distributed


class Centre(nn.Module):
    """c ← m·c + (1 − m)·mean of the teacher's logits, once a step; from zeros.

    Caron et al. 2021 (DINO), equation 4. `collect` adds the logits of a micro-batch and leaves the
    centre alone, so that all micro-batches of a step see the same one; `update` moves it, after the
    optimiser's step, by the mean over all of them and over all ranks. What is collected is in no
    checkpoint: a step that is over has left nothing.

    Args:
        prototypes: K.
        momentum: m in 0…1.

    Raises:
        ValueError: `momentum` is out of range.
    """

    equal_on_all_ranks = True
    """Nothing of it has to be agreed on by ranks; see `core.distributed.synchronize_buffers`."""

    value: Tensor
    _total: Tensor
    _count: Tensor

    def __init__(self, prototypes: int, momentum: float = 0.9) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in 0…1, got {momentum:g}")
        self.momentum = momentum
        self.register_buffer("value", torch.zeros(prototypes))
        self.register_buffer("_total", torch.zeros(prototypes), persistent=False)
        self.register_buffer("_count", torch.zeros(()), persistent=False)

    @torch.no_grad()
    def collect(self, teacher_logits: Tensor) -> None:
        """Adds logits [..., K] of this rank, before they are centred."""
        rows = teacher_logits.flatten(0, -2)
        self._total += rows.sum(0, dtype=self._total.dtype)
        self._count += len(rows)

    @torch.no_grad()
    def update(self) -> None:
        """Moves `value` [K] a step, and forgets what was collected.

        All ranks have collected equally many rows. Nothing moves if nothing was collected.
        """
        mean = self._total / self._count.clamp(min=1)
        mean = distributed.gather(mean[None]).mean(0)
        moved = torch.lerp(mean, self.value, self.momentum)
        self.value.copy_(torch.where(self._count > 0, moved, self.value))
        self._total.zero_()
        self._count.zero_()
