"""The epochs of a plain loop of PyTorch: restored, reported, saved, and stopped if wanted."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from raysearch import reporting
from raysearch.adapters import generators
from raysearch.texts import article

__all__ = ["Epochs"]


class Epochs:
    """Counts epochs, and goes on after those that a checkpoint has::

        epochs = Epochs(10, model=model, optimizer=optimizer)
        for epoch in epochs:
            ...
            epochs.report({"val/accuracy": accuracy})

    A run that goes on is bit for bit the one that was not interrupted: with what is given here
    the states of the generators of random numbers of Python, torch and numpy are kept. It ends
    early where the search wants that. Outside of a search it counts.

    Args:
        count: how many epochs; they are counted from 1.
        kept: by name, all that has `state_dict` and `load_state_dict`, as models, optimisers,
            schedules, scalers; or, as `torch.Generator`, `get_state` and `set_state`.

    Raises:
        TypeError: something that has neither.
    """

    def __init__(self, count: int, **kept: Any) -> None:
        for name, one in kept.items():
            if not (hasattr(one, "load_state_dict") or hasattr(one, "set_state")):
                raise TypeError(
                    f"{name} must have load_state_dict or set_state, got "
                    f"{article(type(one).__name__)}"
                )
        self._count, self._kept = count, kept
        self._epoch = 0

    def __iter__(self) -> Iterator[int]:
        """The epochs that are left."""
        self._restore()
        while self._epoch < self._count and not (self._epoch and reporting.should_stop()):
            self._epoch += 1
            yield self._epoch

    def report(self, metrics: Mapping[str, Any]) -> None:
        """Reports this epoch with a checkpoint, as the last thing in it."""
        if not reporting.active():
            return
        import torch

        folder = tempfile.mkdtemp(prefix="raysearch-")
        path = os.path.join(folder, f"epoch-{self._epoch}.pt")
        try:
            state = {name: _state(one) for name, one in self._kept.items()}
            whole = {"epoch": self._epoch, "kept": state, "generators": generators.states()}
            torch.save(whole, path)
            reporting.report(self._epoch, metrics, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _restore(self) -> None:
        path = reporting.checkpoint()
        if path is None:
            return
        import torch

        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name, one in self._kept.items():
            load = getattr(one, "load_state_dict", None) or one.set_state
            load(saved["kept"][name])
        self._epoch = saved["epoch"]
        generators.restore(saved["generators"])


def _state(one: Any) -> Any:
    return one.state_dict() if hasattr(one, "state_dict") else one.get_state()
