"""What of an experiment is called for which purpose: of a function, a class, one without a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysearch.driver.single import evaluate
from raysearch.errors import UnknownName
from raysearch.trial.session import entry_point
from trainables.core.session import LocalSession


def run(config: dict[str, Any], session: Any) -> None:
    session.report(1, {"val/x": 1.0})


class Walk:
    @staticmethod
    def run(config: dict[str, Any], session: Any) -> None:
        session.report(1, {"val/x": 2.0})

    @staticmethod
    def test(config: dict[str, Any], session: Any) -> None:
        session.report(1, {"test/x": 3.0})


def said(target: Any, purpose: str, folder: Path) -> dict[int, dict[str, float]]:
    session = LocalSession(folder)
    entry_point(target, purpose)({}, session)
    return session.reports


def test_a_function_is_its_own_run_and_a_class_has_one(tmp_path: Path) -> None:
    assert said(run, "run", tmp_path) == {1: {"val/x": 1.0}}
    assert said(Walk, "run", tmp_path) == {1: {"val/x": 2.0}}
    assert said(Walk, "test", tmp_path) == {1: {"test/x": 3.0}}


def test_what_has_no_test_says_nothing_of_the_test_split(tmp_path: Path) -> None:
    assert said(run, "test", tmp_path) == {}


def test_an_attribute_of_a_function_is_called_for_its_purpose(tmp_path: Path) -> None:
    def own(config: dict[str, Any], session: Any) -> None:
        raise AssertionError

    vars(own)["test"] = Walk.test
    vars(own)["evaluate"] = run
    assert said(own, "test", tmp_path) == {1: {"test/x": 3.0}}
    assert said(own, "evaluate", tmp_path) == {1: {"val/x": 1.0}}


def test_what_cannot_evaluate_says_how_to() -> None:
    with pytest.raises(UnknownName, match=r"a function has it .* run.evaluate = evaluate"):
        entry_point(run, "evaluate")


OWN = """
import json
from trainables.core.config import Config
from trainables.core.run import RunConfig


class Evaluation(Config):
    shift: float = 0.0


class Own(RunConfig):
    experiment = "evaluated_own:run"
    name = "own.evaluated"
    x: float = 0.0
    evaluation: Evaluation = Evaluation()


def run(config, session):
    raise AssertionError


def evaluate(config, session):
    saved = json.loads(session.restored().read_text())
    session.restored().write_text("mine")
    session.report(1, {"val/x": saved + config["x"] + config["evaluation"]["shift"]})


run.evaluate = evaluate
"""


def test_a_checkpoint_of_a_function_is_evaluated_with_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evaluated_own.py").write_text(OWN)
    checkpoint = tmp_path / "trained" / "checkpoints" / "1.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("0.5")
    (tmp_path / "trained" / "config.json").write_text('{"seed": 0, "x": 2.0}')
    where = (checkpoint, "val", tmp_path / "out", tmp_path)
    evaluate("evaluated_own:Own", ["evaluation.shift=0.25"], *where)
    assert "step 1: val/x 2.75" in capsys.readouterr().out
    assert checkpoint.read_text() == "0.5" and not list((tmp_path / "out").glob("restored*"))
    with pytest.raises(ValueError, match="x must be 2.0, as it was trained, got 3.0"):
        evaluate("evaluated_own:Own", ["x=3.0"], *where)
    with pytest.raises(ValueError, match="--split must be val"):
        evaluate("evaluated_own:Own", [], checkpoint, "test", tmp_path / "out", tmp_path)
