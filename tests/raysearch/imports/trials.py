"""Trials of programs in processes, as a host starts them: what a written sweep reports."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from raysearch.sweeps.program import PROGRAM
from raysearch.sweeps.sweep import Sweep
from raysearch.trial.child import Child, start_server, stop_server
from raysearch.trial.job import Job
from raysearch.trial.session import PRELOAD

ROOT = str(Path(__file__).parents[3])


def last_reports(sweep: Sweep, configs: Sequence[Any], folder: Path) -> list[dict[str, float]]:
    """The metrics of the last report of each configuration; each must complete."""
    found: list[dict[str, float]] = []
    with _server():
        for number, config in enumerate(configs):
            job = Job(
                "written",
                str(folder),
                number,
                1,
                PROGRAM,
                config.to_json(),
                str(folder / f"{number:04d}/attempt-1"),
                objectives=[asdict(metric) for metric in sweep.metrics],
                paths=[ROOT],
            )
            found.append(_last(job))
    return found


@contextmanager
def _server() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PRELOAD, "")
        start_server("written", 1, PROGRAM, [ROOT])
        try:
            yield
        finally:
            stop_server()


def _last(job: Job) -> dict[str, float]:
    child, metrics = Child(job), dict[str, float]()
    while (message := child.next(1.0)) is None or message["kind"] != "end":
        if message is not None and message["kind"] == "report":
            metrics = message["metrics"]
            child.answer(stop=False)
    assert message["outcome"] == "complete", job.log.read_text()
    return metrics
