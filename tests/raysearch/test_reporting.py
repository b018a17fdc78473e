"""The functions that programs report by: files, waiting for answers, no-ops outside a search."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import raysearch
from raysearch import reporting


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(reporting.TRIAL, str(tmp_path))
    monkeypatch.setattr(reporting, "_asked", False)
    return tmp_path


def said(trial: Path) -> list[dict[str, Any]]:
    lines = (trial / reporting.MESSAGES).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_it_is_one_file_of_python_3_8_and_the_standard_library_alone() -> None:
    tree = ast.parse(Path(reporting.__file__).read_text(), feature_version=(3, 8))
    nodes = list(ast.walk(tree))
    imported = {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_outside_a_search_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(reporting.TRIAL, raising=False)
    raysearch.report(0, {"loss": "no number"}, "no file")
    raysearch.artifact("a.png", "no file")
    raysearch.describe({"data": "none"})
    assert not raysearch.active() and not raysearch.should_stop()
    assert raysearch.config() == {} and raysearch.checkpoint() is None


def test_a_report_waits_for_its_answer(trial: Path) -> None:
    thread = threading.Thread(target=raysearch.report, args=(3, {"val/acc": 0.5}))
    thread.start()
    while not (trial / reporting.MESSAGES).exists():
        time.sleep(0.001)
    (message,) = said(trial)
    answers = trial / reporting.ANSWERS
    answers.write_text('{"of": "another", "stop": false}\n{"of": ')
    thread.join(0.1)
    assert thread.is_alive()
    with answers.open("a") as file:
        file.write(json.dumps(message["id"]) + ', "stop": true}\n')
    thread.join(5)
    assert not thread.is_alive() and raysearch.should_stop()
    assert (message["kind"], message["step"], message["metrics"]) == ("report", 3, {"val/acc": 0.5})


def test_a_report_does_not_wait_for_a_search_that_is_gone(trial: Path) -> None:
    thread = threading.Thread(target=raysearch.report, args=(0, {}))
    thread.start()
    while not (trial / reporting.MESSAGES).exists():
        time.sleep(0.001)
    trial.rename(trial.with_name("gone"))
    thread.join(5)
    assert not thread.is_alive()


def test_what_is_no_report_is_refused_where_it_is_made(trial: Path) -> None:
    with pytest.raises(ValueError, match=r"step must be a whole number from 0, got 0\.5"):
        raysearch.report(0.5, {}, wait=False)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"metric 'loss' must be a number, got \[\]"):
        raysearch.report(0, {"loss": []}, wait=False)
    with pytest.raises(FileNotFoundError, match="checkpoint must be a file or folder that exists"):
        raysearch.report(0, {}, trial / "none.pt", wait=False)
    raysearch.report(2.0, {"loss": float("nan")}, trial, wait=False)  # pyright: ignore[reportArgumentType]
    (message,) = said(trial)
    assert message["step"] == 2 and message["checkpoint"] == str(trial)
    assert message["metrics"]["loss"] != message["metrics"]["loss"]


def test_of_several_processes_the_first_one_reports(
    trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    raysearch.report(0, {"loss": 1.0})
    assert not (trial / reporting.MESSAGES).exists()


@pytest.mark.parametrize("name", ["LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"])
def test_a_process_is_numbered_by_its_launcher(
    name: str, trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    raysearch.report(0, {"loss": 1.0})
    assert not (trial / reporting.MESSAGES).exists()
    monkeypatch.setenv("RANK", "0")  # which counts first: LOCAL_RANK is that of a node
    raysearch.report(0, {"loss": 1.0}, wait=False)
    assert len(said(trial)) == 1


ASKING = """
import os, sys, time
import raysearch.reporting as reporting

rank, told = int(os.environ["RANK"]), []
for step in range(20):
    if not rank and step == 12:
        open(os.path.join(os.environ[reporting.TRIAL], reporting.STOP), "w").close()
    if rank == step % 3:
        time.sleep(0.02)
    told.append(reporting.should_stop())
    if told[-1]:
        break
if not rank:
    more = []
else:
    more = [reporting.should_stop()]  # when the first process has ended
print(len(told), *told[-1:], *more)
"""


def test_all_processes_are_told_to_stop_after_the_same_step(trial: Path) -> None:
    """Whoever is ahead, and whenever the search says so."""
    root = str(Path(reporting.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "WORLD_SIZE": "3"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ASKING],
            env={**environment, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    found = [process.communicate()[0].split() for process in running]
    assert found == [["13", "True"], ["13", "True", "True"], ["13", "True", "True"]]


def test_lines_of_many_processes_never_mix(trial: Path) -> None:
    code = "import reporting; [reporting.report(i, {'x' * 3000: i}, wait=False) for i in range(50)]"
    environment = {**os.environ, "PYTHONPATH": str(Path(reporting.__file__).parent)}
    command = [sys.executable, "-S", "-c", code]
    running = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    ids = [message["id"] for message in said(trial)]
    assert len(ids) == len(set(ids)) == 150


def test_what_is_to_be_done_is_read(trial: Path) -> None:
    (trial / reporting.CONFIG).write_text('{"lr": 0.1}')
    (trial / reporting.RESUME).write_text('{"checkpoint": "/a/b.pt"}')
    assert raysearch.config() == {"lr": 0.1} and raysearch.checkpoint() == "/a/b.pt"
    assert not raysearch.should_stop()
    (trial / reporting.STOP).touch()
    assert raysearch.should_stop()


class _Session:
    config = {"lr": 0.2}  # noqa: RUF012

    def __init__(self) -> None:
        self.reports: list[Any] = []

    def report(self, step: int, metrics: dict[str, float], checkpoint: str | None) -> None:
        self.reports.append((step, metrics, checkpoint))

    def should_stop(self) -> bool:
        return True

    def checkpoint(self) -> Path:
        return Path("/a")


def test_a_function_speaks_to_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(reporting.TRIAL, raising=False)
    session = _Session()
    reporting.bind(session)
    try:
        raysearch.report(1, {"acc": 1})
        assert session.reports == [(1, {"acc": 1.0}, None)]
        assert raysearch.config() == {"lr": 0.2} and raysearch.should_stop()
        assert raysearch.checkpoint() == "/a"
    finally:
        reporting.bind(None)
