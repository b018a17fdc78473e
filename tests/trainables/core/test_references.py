"""Rows of what has learned nothing: once a run, on the same examples, without a trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.runs import EVERYTHING, last, run
from trainables.core.checkpoint import fingerprint
from trainables.core.experiment import Evaluation, Experiment
from trainables.core.session import LocalSession
from trainables.ssl.experiment import SupervisedExperiment

SHORT = EVERYTHING.with_values({"training.steps": 3, "training.evaluate_every": 1})


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes evaluations state no references."""
    evaluations = SupervisedExperiment.evaluations

    def bare(self: SupervisedExperiment) -> list[Evaluation]:
        return [replace(one, references=None) for one in evaluations(self)]

    return lambda: monkeypatch.setattr(SupervisedExperiment, "evaluations", bare)


def test_a_run_with_reference_rows_is_the_run_without_them_bit_for_bit(
    tmp_path: Path, without: Callable[[], None]
) -> None:
    one = run(EVERYTHING, tmp_path / "with")
    without()
    other = run(EVERYTHING, tmp_path / "without")
    assert one.reports == other.reports
    assert fingerprint(last(one) or Path()) == fingerprint(last(other) or Path())
    assert {name for name in one.facts if name not in other.facts} == {"reference/val"}


def test_the_untrained_row_is_an_evaluation_of_the_initial_weights(tmp_path: Path) -> None:
    experiment = SupervisedExperiment.create(SHORT.to_json())
    experiment.load()
    experiment.eval()
    with torch.inference_mode():
        wanted = experiment.evaluations()[0].function(False).values
    assert run(SHORT, tmp_path).facts["reference/val"]["untrained"] == wanted  # pyright: ignore[reportIndexIssue]


def test_the_majority_row_is_that_of_the_largest_class(tmp_path: Path) -> None:
    experiment = SupervisedExperiment.create(SHORT.to_json())
    experiment.load()
    train, val = experiment._data.train.labels, experiment._data.val.labels  # pyright: ignore[reportPrivateUsage]
    most = max(range(10), key=lambda label: int((train == label).sum()))
    found: Any = run(SHORT, tmp_path).facts["reference/val"]
    assert found["majority"]["accuracy"] == pytest.approx(float((val == most).float().mean()))
    assert found["majority"]["loss"] == pytest.approx(2.303, abs=0.01)


def test_rows_are_computed_once_a_run_and_not_again_behind_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    references = SupervisedExperiment.references

    def counted(self: SupervisedExperiment, split: Any) -> Any:
        asked.append("once")
        return references(self, split)

    monkeypatch.setattr(SupervisedExperiment, "references", counted)
    first = run(SHORT, tmp_path / "first")
    assert len(first.reports) == 3 and asked == ["once"]
    again = run(SHORT, tmp_path / "again", min(first.checkpoints.values()))
    assert asked == ["once"] and "reference/val" not in again.facts


@pytest.mark.parametrize("way", ["test", "evaluate"])
def test_evaluations_of_a_checkpoint_have_rows_of_their_own(tmp_path: Path, way: str) -> None:
    trained = run(SHORT, tmp_path / "run")
    session, step = LocalSession(tmp_path / way, last(trained)), max(trained.reports)
    is_test = way == "test"
    (SupervisedExperiment.test if is_test else SupervisedExperiment.evaluate)(
        SHORT.to_json(), session
    )
    rows: Any = session.facts["reference/test" if is_test else "reference/val"]
    experiment = SupervisedExperiment.create(SHORT.to_json())
    experiment.load()
    split = experiment.evaluations()[1 if is_test else 0]
    assert split.references is not None
    experiment.eval()
    with torch.inference_mode():
        untrained = split.function(False).values
    assert rows == {**split.references(), "untrained": untrained}
    if not is_test:  # the networks that are measured are the trained ones all the same
        assert session.reports[step]["val/loss"] == trained.reports[step]["val/loss"]
        assert rows["untrained"]["loss"] != session.reports[step]["val/loss"]


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    class Odd(SupervisedExperiment):
        def references(self, split: Any) -> Any:
            return {"odd": {"accuracy": float("nan"), "loss": 1.0, "unknown": 2.0}}

    session = LocalSession(tmp_path)
    kind: type[Experiment] = Odd
    kind.run(SHORT.to_json(), session)
    found: Any = session.facts["reference/val"]
    assert found["odd"] == {"loss": 1.0}
