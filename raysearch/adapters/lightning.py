"""A callback for Lightning's `Trainer`, of `lightning` and of `pytorch_lightning`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from raysearch import reporting
from raysearch.adapters import generators

__all__ = ["Reporting", "checkpoint"]

_LIBRARIES = ("lightning.pytorch", "pytorch_lightning")


def checkpoint() -> str | None:
    """What `trainer.fit(model, ckpt_path=checkpoint())` goes on from; None for a fresh start."""
    return reporting.checkpoint()


class Reporting:
    """Reports what was logged after each epoch, with a checkpoint, and stops if that is wanted.

    It is a `Callback` of the library that is imported: `Trainer(callbacks=[Reporting()])`. A run
    that goes on from its checkpoint is bit for bit the one that was not interrupted: the states of
    the generators of random numbers are in it too. That holds where nothing draws from them while
    the trainer sets up, as in `train_dataloader`, and without `ReduceLROnPlateau`, which Lightning
    itself updates after the checkpoints of an epoch.

    Outside of a search it changes nothing.

    Args:
        metrics: the names that are reported; by default all that were logged.
        saves: whether each report has a checkpoint.
    """

    def __new__(cls, *rest: Any, **stated: Any) -> Any:
        """One that is a callback of all of these libraries that are imported."""
        bases = [sys.modules[name].Callback for name in _LIBRARIES if name in sys.modules]
        if not bases:
            raise ImportError(
                "lightning.pytorch or pytorch_lightning must be imported before Reporting is made"
            )
        kind = type("Reporting", (cls, *bases), {"__module__": __name__})
        return object.__new__(kind)

    def __init__(
        self,
        metrics: Sequence[str] | None = None,
        saves: bool = True,
    ) -> None:
        self._metrics = None if metrics is None else tuple(metrics)
        self._saves = saves
        self._folder: str | None = None
        self._states: dict[str, Any] | None = None
        self._was_validated = False

    @property
    def state_key(self) -> str:
        """By what its state is found in a checkpoint."""
        return "raysearch.Reporting"

    def state_dict(self) -> dict[str, Any]:
        """The states of all generators of random numbers, at the end of an epoch."""
        return generators.states()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes them in, until the training begins."""
        self._states = state_dict

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Goes on where the generators of random numbers were; what follows restores them."""
        if self._states is not None:
            generators.restore(self._states)
            self._states = None

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Notes that this epoch has metrics of its own."""
        self._was_validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Reports, and lets the trainer stop."""
        validates = bool(sum(_numbers(trainer.num_val_batches)))
        if not reporting.active() or (validates and not self._was_validated):
            return
        self._was_validated = False
        found = {str(name): float(one) for name, one in trainer.callback_metrics.items()}
        if self._metrics is not None:
            found = {name: found[name] for name in self._metrics if name in found}
        step, path = trainer.current_epoch + 1, None
        if self._saves:
            folder = trainer.strategy.broadcast(self._own_folder())
            path = os.path.join(folder, f"epoch-{step}.ckpt")
            trainer.save_checkpoint(path)
        reporting.report(step, found, path)
        if path is not None and trainer.is_global_zero:
            os.remove(path) if os.path.isfile(path) else shutil.rmtree(path)
        stop = trainer.strategy.reduce_boolean_decision(reporting.should_stop(), all=False)
        trainer.should_stop = trainer.should_stop or stop

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Removes its folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _own_folder(self) -> str:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="raysearch-")
        return self._folder


def _numbers(given: Any) -> Sequence[float]:
    return given if isinstance(given, (list, tuple)) else [given or 0]
