"""Whatever a trial says, the others go on: any JSON, any number, any path."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.events.schema import Differed
from tests.raysearch.driver.stage import Stage
from tests.raysearch.searches.sweeps import broken

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_FLOAT | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
STEPS = st.integers(-5, 5) | st.integers() | ANY_FLOAT | ANY_JSON
NAMES = st.sampled_from(["val/score", "progress/epochs", "train/loss", "", "a/b//c", "x" * 2000])
METRICS = st.dictionaries(NAMES | st.text(), ANY_FLOAT | ANY_JSON, max_size=4) | ANY_JSON
PATHS = (
    st.none()
    | st.sampled_from(
        ["{own}", "{own}/../..", "{own}/a.pt", "/etc/passwd", "a.pt", "{own}/log.txt"]
    )
    | ANY_JSON
)
REPORT = st.fixed_dictionaries(
    {"kind": st.just("report"), "step": STEPS, "metrics": METRICS, "checkpoint": PATHS},
    optional={"costs": st.dictionaries(st.sampled_from(["cost/a", "b"]), ANY_FLOAT) | METRICS},
)
OTHERS = (
    st.fixed_dictionaries({"kind": st.just("describe"), "facts": ANY_JSON})
    | st.fixed_dictionaries({"kind": st.just("artifact"), "name": ANY_JSON | NAMES, "path": PATHS})
    | st.fixed_dictionaries({"kind": ANY_JSON})
    | st.dictionaries(st.sampled_from(["kind", "step", "metrics", "facts"]), ANY_JSON)
)
END = st.fixed_dictionaries(
    {"kind": st.just("end"), "outcome": ANY_JSON, "message": ANY_JSON, "traceback": ANY_JSON}
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(REPORT | OTHERS, min_size=1, max_size=5), END)
@pytest.mark.slow
def test_whatever_a_trial_says_the_others_go_on(said: list[dict[str, Any]], end: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), broken, trials=6)
        odd, well = stage.start(), stage.start()
        for message in [*said, end]:
            own = str(Path(odd.folder))
            for key in ("path", "checkpoint"):
                if isinstance(message.get(key), str):
                    message = {**message, key: message[key].replace("{own}", own)}
            stage.conductor.hear(odd.trial, odd.attempt, [message])
        assert stage.run(well, 0.4, 0.5) == "complete"
        assert not stage.conductor.halted
        stage.resume()
        assert stage.view().trials[well.trial].values == [0.5]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"kind": "report", "step": 0.5, "metrics": {}}, "step must be a whole number, got 0.5"),
        ({"kind": "report", "step": 2**70, "metrics": {}}, "step must be from 0 to "),
        ({"kind": "report", "step": 1, "metrics": {"val/score": None}}, "metric 'val/score' must"),
        ({"kind": "report", "step": 1, "metrics": {"progress/epochs": float("nan")}}, "finite"),
        (
            {"kind": "report", "step": 1, "metrics": {}, "checkpoint": "/etc/passwd"},
            "checkpoint must",
        ),
        ({"kind": "describe", "facts": [1]}, "facts must be a mapping of names to values, got [1]"),
        ({"kind": "artifact", "name": "../x", "path": "x"}, "artifact must be written below"),
        ({"kind": "sing"}, "a message must be describe, artifact, report or end, got 'sing'"),
    ],
)
def test_what_cannot_be_taken_fails_that_trial_in_its_words(
    tmp_path: Path, message: dict[str, Any], words: str
) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    assert stage.conductor.hear(job.trial, job.attempt, [message]) is not None
    failure = stage.view().trials[job.trial].failures[0]
    assert failure["kind"] == "exception" and words in failure["message"]


def test_a_checkpoint_that_changes_in_kind_after_its_report_ends_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    written, kept = Path(job.folder) / "checkpoints/w", Path(job.folder) / "kept/00000002/w"
    for folder in (written, kept):
        folder.mkdir(parents=True)
    said = {"step": 2, "metrics": {"val/score": 0.5}, "checkpoint": str(kept), "copied": True}
    stage.say(job, kind="report", source=str(written), **said)
    (written / "latest").symlink_to("nothing")
    stage.end(job, "complete")
    assert stage.state(job) == "complete" and kept.is_dir()


def test_steps_that_go_back_fail_the_attempt(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    stage.report(job, 5, 0.5)
    assert stage.report(job, 4, 0.6) is not None
    failure = stage.view().trials[job.trial].failures[0]
    assert "step must not go back within a run, got 4 after 5" in failure["message"]


def test_a_report_that_is_refused_is_on_record(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    stage.report(job, 5, 0.5)
    said = {"step": 4, "metrics": {"val/score": 0.6}, "message": "step must not go back"}
    stage.say(job, kind="refused", **said)
    trial = stage.view().trials[job.trial]
    assert trial.refused == [{"attempt": 1, **said}]
    assert [report[0] for report in trial.reports] == [5]


def test_two_reports_of_a_step_are_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    stage.say(job, kind="report", step=1, metrics={"train/loss": 2.0}, checkpoint=None)
    stage.say(job, kind="report", step=1, metrics={"val/score": 0.5}, checkpoint=None)
    stage.say(job, kind="report", step=1, metrics={"progress/epochs": 1.0}, checkpoint=None)
    stage.end(job, "complete")
    trial = stage.view().trials[job.trial]
    metrics = {"train/loss": 2.0, "val/score": 0.5, "progress/epochs": 1.0}
    assert trial.reports == [(1, 1, [0.5], metrics)]
    assert trial.values == [0.5]


def test_the_checkpoint_of_the_first_report_gets_the_value_of_the_second(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    for step, score in [(1, 0.9), (2, 0.5)]:
        path = Path(job.folder) / "checkpoints" / f"{step}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        stage.say(job, kind="report", step=step, metrics={"train/loss": 1.0}, checkpoint=str(path))
        stage.say(job, kind="report", step=step, metrics={"val/score": score}, checkpoint=None)
    stage.end(job, "killed")
    stage.resume()
    again = stage.start()
    stage.end(again, "complete")
    trial = stage.view().trials[job.trial]
    assert (trial.values, trial.best_checkpoint) == ([0.9], "0000/attempt-1/checkpoints/1.pt")


def test_an_attempt_that_begins_anew_repeats_what_is_known(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    stage.report(job, 1, 0.1)
    stage.report(job, 2, 0.2)
    stage.end(job, "killed")
    again = stage.start()
    stage.report(again, 1, 0.1, saves=False)
    stage.report(again, 2, 0.2, saves=False)
    stage.report(again, 3, 0.3, saves=False)
    stage.end(again, "complete")
    trial = stage.view().trials[job.trial]
    assert [report[0] for report in trial.reports] == [1, 2, 3]
    assert trial.differed == ""
    assert trial.notices == [
        "attempt 2 was given the checkpoint of step 2 and began at step 1: does the experiment use "
        "session.restored()?"
    ]


def test_what_a_later_attempt_says_otherwise_is_kept_beside_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    stage.report(job, 2, 0.2, saves=False)
    stage.report(job, 4, 0.4, saves=False)
    stage.end(job, "killed")
    again = stage.start()
    stage.report(again, 2, 0.3, saves=False)
    stage.report(again, 3, 0.3, saves=False)
    stage.report(again, 6, 0.6, saves=False)
    stage.end(again, "complete")
    trial = stage.view().trials[job.trial]
    assert [(report[0], report[3]["val/score"]) for report in trial.reports] == [
        (2, 0.2),
        (4, 0.4),
        (6, 0.6),
    ]
    assert trial.differed == (
        "not repeatable: attempt 2 reported val/score = 0.3 at step 2, where it was 0.2 before"
    )
    kept = [event.body.plain() for event in stage.store.events("one", kinds=[Differed])]
    assert [(body["attempt"], body["step"]) for body in kept] == [(2, 2), (2, 3)]


def test_a_metric_that_is_misspelt_is_told_with_what_was_reported(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken)
    job = stage.start()
    stage.say(job, kind="report", step=1, metrics={"val/scor": 1.0}, checkpoint=None)
    stage.end(job, "complete")
    trial = stage.view().trials[0]
    assert trial.reason == (
        "unreported: ended without a report of val/score; it reported val/scor; did you mean "
        "'val/scor'?"
    )


def test_a_pruner_that_can_compare_nothing_is_told_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken, pruner="median")
    for _ in range(3):
        job = stage.start()
        metrics = {"val/score": 1.0, "progress/epoch": 1.0}
        stage.say(job, kind="report", step=1, metrics=metrics, checkpoint=None)
        stage.end(job, "complete")
    assert stage.view().notices == [
        "no trial can be pruned: pruner median compares trials by progress/epochs, which trial 0 "
        "did not report together with val/score; it reported val/score, progress/epoch; did you "
        "mean 'progress/epoch'? (fidelity='evaluations' counts reports)"
    ]
