"""Costs of training: seconds and images of a step, waiting for data, memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import torch

T = TypeVar("T")
_MIB = 1 << 20


class Costs:
    """The costs of the steps since the last report, by the clock on the wall.

    Of a step counts what is between asking for its batch and the end of its update; evaluating,
    saving and reporting do not. What is `fixed` was measured before the first; `now` is the clock.
    """

    def __init__(
        self,
        batch_size: int,
        device: torch.device,
        fixed: Mapping[str, float] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._now = now
        self._batch_size, self._device, self._fixed = batch_size, device, dict(fixed or {})
        self._begun = self._waited = self._seconds = 0.0
        self._steps = 0

    def timed(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches; a step begins where one is asked for."""
        batches = iter(batches)
        while True:
            self._begun = self._now()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._waited += self._now() - self._begun
            yield batch

    def end_step(self) -> None:
        """The update of a step is made."""
        self._seconds += self._now() - self._begun
        self._steps += 1

    def take(self) -> dict[str, float]:
        """The costs, means over the steps since the last time; begins anew.

        `cost/step_seconds`; `cost/waiting_share`, how much of that the batch took, 0…1;
        `cost/images_per_second`, examples of the whole batch, all workers together; and, as far as
        this process has got, evaluations included, `cost/host_memory_mib`, its largest resident
        memory, and on a GPU `cost/device_memory_mib`, the most that tensors have taken there.
        Beside them is what is fixed.
        """
        found: dict[str, float] = {}
        if self._steps:
            found = {
                "cost/step_seconds": self._seconds / self._steps,
                "cost/waiting_share": self._waited / self._seconds,
                "cost/images_per_second": self._steps * self._batch_size / self._seconds,
            }
        self._waited = self._seconds = 0.0
        self._steps = 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found["cost/host_memory_mib"] = peak / 1024  # Linux counts in KiB
        if self._device.type == "cuda":
            most = torch.cuda.max_memory_allocated(self._device)
            found["cost/device_memory_mib"] = most / _MIB
        return found | self._fixed
