"""A callback for the `Trainer` of transformers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from raysearch import reporting

__all__ = ["Reporting", "checkpoint"]


def checkpoint() -> str | None:
    """What `trainer.train(resume_from_checkpoint=checkpoint())` goes on from, or None."""
    return reporting.checkpoint()


class Reporting:
    """Reports each evaluation, with a checkpoint, and stops if that is wanted.

    `Trainer(callbacks=[Reporting()])`. The step is the epoch where `eval_strategy` is `epoch`, and
    otherwise the trainer's step. A run that goes on from its checkpoint is bit for bit the one that
    was not interrupted, as far as transformers keeps all that it depends on: weights, optimiser,
    schedule, generators of random numbers, and the place in the data. Outside of a search it
    changes nothing.

    Args:
        metrics: the names that are reported, such as `eval_accuracy`; by default all that were
            logged last, those of training too.
        saves: whether each report has a checkpoint; otherwise only where the trainer saves one.
    """

    def __new__(cls, *rest: Any, **stated: Any) -> Any:
        """One that is a callback of transformers."""
        if "transformers" not in sys.modules:
            raise ImportError("transformers must be imported before Reporting is made")
        base = sys.modules["transformers"].TrainerCallback
        return object.__new__(type("Reporting", (cls, base), {"__module__": __name__}))

    def __init__(
        self,
        metrics: Sequence[str] | None = None,
        saves: bool = True,
    ) -> None:
        self._metrics = None if metrics is None else tuple(metrics)
        self._saves = saves
        self._logged: dict[str, float] = {}
        self._waiting: dict[str, float] | None = None

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        """Notes what was logged."""
        for name, value in (logs or {}).items():
            if isinstance(value, (int, float)):
                self._logged[str(name)] = float(value)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **rest: Any
    ) -> Any:
        """Has a checkpoint saved, with which this is reported."""
        if not reporting.active():
            return control
        self.on_log(args, state, control, metrics)
        names = self._logged if self._metrics is None else self._metrics
        self._waiting = {name: self._logged[name] for name in names if name in self._logged}
        control.should_save = control.should_save or self._saves
        return control

    def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """Reports the evaluation before it, with the folder that was written."""
        path = os.path.join(args.output_dir, f"checkpoint-{state.global_step}")
        return self._report(args, state, control, path if os.path.isdir(path) else None)

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """Reports an evaluation after which nothing was saved."""
        return self._report(args, state, control, None)

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> Any:
        """The same, of the last evaluation."""
        return self._report(args, state, control, None)

    def _report(
        self,
        args: Any,
        state: Any,
        control: Any,
        path: str | None,
    ) -> Any:
        if self._waiting is None:
            return control
        found, self._waiting = self._waiting, None
        by_epochs = str(getattr(args.eval_strategy, "value", args.eval_strategy)) == "epoch"
        reporting.report(round(state.epoch) if by_epochs else state.global_step, found, path)
        if _agreed(reporting.should_stop()):
            control.should_training_stop = True
        return control


def _agreed(stop: bool) -> bool:
    """What the first process says, so that all leave the same step."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return stop
    said = [stop]
    dist.broadcast_object_list(said, src=0)
    return said[0]
