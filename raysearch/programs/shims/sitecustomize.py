"""What Python imports first in the program of a trial: has MLflow and TensorBoard heard early.

It changes two libraries when the program imports them: MLflow's client says the metrics that it
logs to the search as well, and TensorBoard's writers flush every few seconds instead of every two
minutes. Another `sitecustomize` on the path is executed as if this one were not there.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

_FLUSH = 2.0
"""Seconds until what is written to an event file can be read."""
_HERE = os.path.dirname(os.path.abspath(__file__))
_counts: dict[str, int] = {}


def _say(text: str) -> None:
    sys.stderr.write(f"raysearch: {text}\n")


def _report(metrics: Any) -> None:
    """Reports metrics of MLflow, as (name, value, step); what has no step is counted."""
    steps: dict[int, dict[str, float]] = {}
    for name, value, step in metrics:
        if name.startswith("system/"):  # of the machine, not of the program
            continue
        if not step:  # MLflow's default is 0 for each of them
            step = _counts[name] = _counts.get(name, -1) + 1
        else:
            _counts[name] = int(step)
        steps.setdefault(int(step), {})[name] = float(value)
    reporting: Any = importlib.import_module("raysearch")
    for step in steps:
        if step >= 0:
            reporting.report(step, steps[step], wait=False, source="mlflow")


def _hear_mlflow(module: Any) -> None:
    client = module.MlflowClient
    log_metric, log_batch = client.log_metric, client.log_batch

    @functools.wraps(log_metric)
    def metric(
        self: Any, run_id: Any, key: Any, value: Any, timestamp: Any = None, step: Any = None,
        *rest: Any, **named: Any
    ) -> Any:  # fmt: skip
        _safely([(key, value, step)])
        return log_metric(self, run_id, key, value, timestamp, step, *rest, **named)

    @functools.wraps(log_batch)
    def batch(self: Any, run_id: Any, metrics: Any = (), *rest: Any, **named: Any) -> Any:
        _safely([(one.key, one.value, one.step) for one in metrics])
        return log_batch(self, run_id, metrics, *rest, **named)

    client.log_metric, client.log_batch = metric, batch


def _safely(metrics: Any) -> None:
    try:
        _report(metrics)
    except Exception as error:  # what is no number is MLflow's to refuse
        _say(f"a metric of MLflow is not reported: {error}")


def _flush_early(module: Any) -> None:
    writer = module.EventFileWriter
    begin = writer.__init__

    @functools.wraps(begin)
    def early(
        self: Any, logdir: Any, max_queue_size: Any = 10, flush_secs: Any = 120,
        *rest: Any, **named: Any
    ) -> None:  # fmt: skip
        begin(self, logdir, max_queue_size, min(flush_secs, _FLUSH), *rest, **named)

    writer.__init__ = early


_CHANGES = {
    "mlflow.tracking.client": _hear_mlflow,
    "tensorboard.summary.writer.event_file_writer": _flush_early,
    "tensorboardX.event_file_writer": _flush_early,
}
"""What is done to a module as soon as it has been imported."""


class _Changes(importlib.abc.MetaPathFinder):
    """Finds these modules as everybody does, and has them changed after their import."""

    def __init__(self) -> None:
        self._asked: set[str] = set()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """The specification of a module that is changed; None for all others."""
        if fullname not in _CHANGES or fullname in self._asked:
            return None
        self._asked.add(fullname)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _change_after(spec.loader, _CHANGES[fullname])
        return spec


def _change_after(loader: Any, change: Any) -> None:
    execute = loader.exec_module

    def executed(module: Any) -> None:
        execute(module)
        try:
            change(module)
        except Exception as error:  # another version of the library
            _say(f"{module.__name__} is as it was: {error}")

    loader.exec_module = executed


def _execute_next() -> None:
    """Executes the `sitecustomize` that Python would have found without this one."""
    others = [each for each in sys.path if os.path.abspath(each or ".") != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("RAYSEARCH_TRIAL"):
    sys.meta_path.insert(0, _Changes())
_execute_next()
