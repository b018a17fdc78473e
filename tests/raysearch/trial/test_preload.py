"""What the fork server imports ahead of an experiment: what is stated, or what most need."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysearch.sweeps.program import FUNCTION, PROGRAM
from raysearch.trial.child import Child, start_server, stop_server
from raysearch.trial.job import Job, Message
from raysearch.trial.session import PRELOAD, PRELOADED, preloaded

NAMES = """
import sys

seen = sorted({"torch", "wave"} & set(sys.modules))


def run(config, session):
    session.describe({"modules": seen})
"""


def test_nothing_stated_means_the_libraries_that_most_experiments_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(PRELOAD, raising=False)
    assert preloaded() == PRELOADED and {"torch", "timm"} <= set(PRELOADED)


def test_nothing_is_imported_ahead_for_a_program_in_a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(PRELOAD, raising=False)
    assert preloaded(PROGRAM) == ("raysearch.trial.session",)
    assert preloaded(FUNCTION) == preloaded("names:run") == PRELOADED


@pytest.mark.parametrize(
    ("stated", "ahead"), [("", []), ("wave", ["wave"]), ("wave, json.tool,", ["wave", "json.tool"])]
)
def test_what_is_stated_is_imported_instead(
    monkeypatch: pytest.MonkeyPatch, stated: str, ahead: list[str]
) -> None:
    monkeypatch.setenv(PRELOAD, stated)
    assert preloaded() == (*ahead, "raysearch.trial.session")


@pytest.mark.slow
def test_an_experiment_without_torch_is_run_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "names.py").write_text(NAMES)
    monkeypatch.setenv(PRELOAD, "wave")
    start_server("preload-tests", 1, "names:run", [str(tmp_path)])
    job = Job("t", str(tmp_path), 0, 1, "names:run", {}, str(tmp_path), paths=[str(tmp_path)])
    child, messages = Child(job), list[Message]()
    while not messages or messages[-1]["kind"] != "end":
        messages += [said for said in [child.next(1.0)] if said is not None]
    stop_server()
    assert messages[0]["facts"] == {"modules": ["wave"]}
    assert messages[-1]["outcome"] == "complete"
    assert "not preloaded" not in job.log.read_text()
