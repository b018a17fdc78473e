"""Costs of a training: told beside the metrics, to sessions that hear them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables import runs
from tests.trainables.runs import EVERYTHING
from trainables.core.costs import Costs
from trainables.core.launch import FolderSession
from trainables.core.session import LocalSession
from trainables.ssl.experiment import SupervisedExperiment

NAMES = {
    "cost/step_seconds",
    "cost/waiting_share",
    "cost/images_per_second",
    "cost/host_memory_mib",
}


def test_steps_waiting_and_images_are_counted() -> None:
    now = [0.0]
    costs = Costs(batch_size=8, device=torch.device("cpu"), now=lambda: now[0])

    def slow() -> Iterator[None]:
        for _ in range(3):
            now[0] += 1.0
            yield None

    for _ in costs.timed(slow()):
        now[0] += 3.0
        costs.end_step()
        now[0] += 2.0  # an evaluation
    found = costs.take()
    assert found.keys() == NAMES
    assert (found["cost/step_seconds"], found["cost/waiting_share"]) == (4.0, 0.25)
    assert found["cost/images_per_second"] == 2.0
    assert costs.take().keys() == {"cost/host_memory_mib"}  # no step since


def test_the_largest_memory_is_that_of_this_process() -> None:
    status = Path("/proc/self/status").read_text()
    most = int(status.split("VmHWM:")[1].split()[0]) / 1024
    found = Costs(1, torch.device("cpu")).take()["cost/host_memory_mib"]
    assert found == pytest.approx(most, rel=0.05)


def test_each_report_has_them_and_no_metric_is_one(tmp_path: Path) -> None:
    session = runs.run(EVERYTHING, tmp_path)
    assert session.costs.keys() == session.reports.keys()
    own = {"cost/latency_ms", "cost/latency_of_batch_ms"}
    assert all(costs.keys() == NAMES | own for costs in session.costs.values())
    assert not any(name.startswith("cost/") for said in session.reports.values() for name in said)


class Older(LocalSession):
    """A session as it was before there were costs and signs of life."""

    def __getattribute__(self, name: str) -> Any:
        if name == "alive":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def report(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, step: int, metrics: Mapping[str, float], checkpoint: Path | None = None
    ) -> None:
        super().report(step, metrics, checkpoint)


class Open(LocalSession):
    """A session that hands on whatever it is given."""

    def report(self, *given: Any, **named: Any) -> None:
        super().report(*given, **named)


def test_a_session_of_before_is_told_nothing_of_them(tmp_path: Path) -> None:
    older, opened = Older(tmp_path / "older"), Open(tmp_path / "open")
    for session in (older, opened):
        SupervisedExperiment.run(EVERYTHING.to_json(), session)  # pyright: ignore
    assert older.reports == opened.reports and len(older.reports) == 7
    assert not older.costs and len(opened.costs) == 7


def test_a_run_by_hand_keeps_them_in_a_file_of_their_own(tmp_path: Path) -> None:
    session = FolderSession(tmp_path)
    session.report(3, {"train/loss": 1.0}, costs={"cost/step_seconds": 0.5})
    lines = [(tmp_path / f"{name}.jsonl").read_text() for name in ("reports", "costs")]
    assert [json.loads(line) for line in lines] == [
        {"step": 3, "train/loss": 1.0},
        {"step": 3, "cost/step_seconds": 0.5},
    ]


def test_what_a_network_costs_is_said_with_its_steps_and_never_as_a_fact(tmp_path: Path) -> None:
    class Hearing(LocalSession):
        heard: dict[str, float]

        def report(
            self,
            step: int,
            metrics: Mapping[str, float],
            checkpoint: Path | None = None,
            *,
            costs: Mapping[str, float] | None = None,
        ) -> None:
            self.heard = dict(costs or {})
            super().report(step, metrics, checkpoint)

    session = Hearing(tmp_path)
    SupervisedExperiment.run(EVERYTHING.with_values({"training.steps": 2}).to_json(), session)
    single, batch = (session.heard[f"cost/latency{one}_ms"] for one in ("", "_of_batch"))
    assert 0 < single < 1000 and batch < 1000
    assert not any("latency" in name for name in session.facts)
    facts = session.facts
    assert facts["network.parameters"] == facts["parameters"]
    assert isinstance(facts["network.multiply_adds"], int) and facts["network.multiply_adds"] > 1000
    assert facts["network.image_size"] == 8
