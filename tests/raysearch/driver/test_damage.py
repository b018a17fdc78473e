"""Checkpoints that are not what was reported: it is said, and the search goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raysearch.driver.live_trial import unfinished
from raysearch.driver.reported_checkpoints import best_of
from raysearch.events.schema import Told, Unknown
from raysearch.results.answer import answer, damage_lines
from raysearch.tracking.findings import _check_checkpoints, _check_events
from raysearch.trial.job import Job
from raysearch.trial.storage import Storage
from tests.raysearch.driver.stage import Stage
from tests.raysearch.events.facts import fact
from tests.raysearch.searches.sweeps import chain_grid


class Saving:
    """The process of a trial, with a checkpoint `last.pt` for each report of its stage."""

    def __init__(self, stage: Stage, job: Job) -> None:
        self.stage, self.job, self.storage = stage, job, Storage(job)
        Path(job.folder).mkdir(parents=True)

    def report(self, step: int, score: float) -> Path:
        """Reports; returns where the checkpoint is kept."""
        path = Path(self.job.folder) / "last.pt"
        path.write_text(f"weights of step {step}")
        kept = self.storage.store(step, path)
        assert kept is not None
        metrics = {"val/score": score, "progress/epochs": float(step)}
        said = {"metrics": metrics, "checkpoint": kept.path, **kept.facts()}
        self.stage.say(self.job, kind="report", step=step, **said)
        self.storage.settle(step, metrics, kept)
        return Path(kept.path)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, chain_grid)


def flip(path: Path, bit: int = 3) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def finished(stage: Stage, *scores: float) -> list[Path]:
    """A completed trial; the checkpoints that were kept, the best one first."""
    trial = Saving(stage, stage.start())
    paths = [trial.report(2 * step, score) for step, score in enumerate(scores, start=1)]
    stage.end(trial.job, "complete")
    return [path for path in paths if path.exists()]


def findings(stage: Stage) -> list[str]:
    """What `check` says of checkpoints."""
    view = stage.view()
    trials = view.trials.values()
    found = [one for trial in trials for one in _check_checkpoints(view, trial, stage.folder)]
    return [str(one) for one in [*found, *_check_events(stage.store, view)]]


def test_the_best_is_that_of_the_value_and_its_digest_is_on_record(stage: Stage) -> None:
    best, last = finished(stage, 0.5, 0.9, 0.6)
    assert (best.read_text(), last.read_text()) == ("weights of step 4", "weights of step 6")
    record = answer(stage.view(), stage.folder)
    assert (record["checkpoint"], record["damage"]) == (str(best), None)
    assert best_of(stage.view().trials[0]).sha256 is not None and findings(stage) == []


@pytest.mark.parametrize("bit", range(0, 8 * len("weights of step 4"), 7))
def test_each_flipped_bit_of_each_kept_checkpoint_is_found(stage: Stage, bit: int) -> None:
    for step, path in zip((4, 6), finished(stage, 0.5, 0.9, 0.6), strict=True):
        flip(path, bit)
        name = path.relative_to(stage.folder)
        assert findings(stage) == [
            f"trial 0: folders: checkpoint {name} of step {step} was changed after it was "
            f"reported: its SHA-256 is another"
        ]
        flip(path, bit)


def test_of_a_trial_that_runs_or_waits_the_last_one_is_checked(stage: Stage) -> None:
    trial = Saving(stage, stage.start())
    trial.report(2, 0.9)
    last = trial.report(4, 0.5)
    assert findings(stage) == []
    flip(last)
    assert len(findings(stage)) == 1
    last.unlink()
    assert findings(stage) == []  # it may have been superseded meanwhile
    stage.log.append(fact("interrupted", reason="SIGINT"), commit=True)
    assert "last checkpoint" in findings(stage)[0] and "is missing" in findings(stage)[0]


def test_the_answer_says_that_its_checkpoint_is_damaged(stage: Stage) -> None:
    best, _ = finished(stage, 0.5, 0.9, 0.6)
    best.write_bytes(b"")
    damage = answer(stage.view(), stage.folder)["damage"]
    assert damage == (
        f"checkpoint {best.relative_to(stage.folder)} of step 4 has 0 bytes, it had 17 when it was "
        f"reported"
    )
    assert findings(stage) == [f"trial 0: folders: {damage}"]
    best.unlink()
    assert "is gone" in str(answer(stage.view(), stage.folder)["damage"])
    assert "best checkpoint" in findings(stage)[0] and "is missing" in findings(stage)[0]


def test_a_checkpoint_that_was_written_to_late_is_told_before_its_trial(stage: Stage) -> None:
    """The host reads them once all processes of the attempt have ended, and says so."""
    trial = Saving(stage, stage.start())
    path = trial.report(2, 0.9)
    stage.say(trial.job, kind="damaged", path=str(path), what="was changed")
    stage.end(trial.job, "complete")
    view = stage.view()
    assert [event.kind for event in stage.store.events("one")][-2:] == ["damaged", "told"]
    assert view.trials[0].state == "complete" and list(view.trials[0].damaged.values())
    assert damage_lines(view) == [
        "damaged    trial 0: checkpoint 0000/attempt-1/kept/00000002/last.pt was changed"
    ]


def test_one_that_is_gone_when_its_trial_completes_is_told(stage: Stage) -> None:
    trial = Saving(stage, stage.start())
    trial.report(2, 0.9).unlink()
    stage.end(trial.job, "complete")
    assert list(stage.view().trials[0].damaged.values()) == ["is gone"]


@pytest.mark.parametrize("resumes", [False, True])
def test_a_trial_goes_on_from_the_older_one_after_the_last_was_cut(
    stage: Stage, resumes: bool
) -> None:
    trial = Saving(stage, stage.start())
    best, last = trial.report(2, 0.9), trial.report(4, 0.5)
    last.write_bytes(b"")
    if resumes:
        stage.resume()
    else:
        stage.end(trial.job, "host_lost")
    again = stage.start()
    assert (again.trial, again.attempt, again.restored) == (0, 2, str(best))
    assert list(stage.view().trials[0].damaged) == [str(last.relative_to(stage.folder))]
    (live,) = unfinished(stage.store.events("one"), stage.spec)
    assert live.last == live.best and live.last is not None and live.last.step == 2


def test_a_trial_whose_process_found_the_damage_does_not_meet_it_again(stage: Stage) -> None:
    trial = Saving(stage, stage.start())
    best, last = trial.report(2, 0.9), trial.report(4, 0.5)
    flip(last)
    stage.end(trial.job, "host_lost")
    again = stage.start()
    assert again.restored == str(last)
    restored, wrong = Storage(again).restored()
    assert restored is not None and restored.read_bytes() == best.read_bytes()
    stage.say(again, kind="damaged", path=wrong[0][0].path, what=wrong[0][1])
    stage.end(again, "host_lost")
    assert stage.start().restored == str(best)


@pytest.mark.parametrize("attempts", [2, 3])
def test_a_value_is_not_left_with_other_weights_after_the_best_was_damaged(
    stage: Stage, attempts: int
) -> None:
    trial = Saving(stage, stage.start())
    flip(trial.report(2, 0.9))
    for _ in range(attempts - 1):
        stage.end(trial.job, "host_lost")
        trial = Saving(stage, stage.start())
        for kept, what in trial.storage.restored()[1]:
            stage.say(trial.job, kind="damaged", path=kept.path, what=what)
    trial.report(1, 0.4)
    same = trial.report(2, 0.9)
    trial.report(3, 0.6)
    stage.end(trial.job, "complete")
    record = answer(stage.view(), stage.folder)
    assert (record["values"], record["checkpoint"], record["damage"]) == ([0.9], str(same), None)


def test_events_of_an_earlier_version_are_judged_by_what_they_have(stage: Stage) -> None:
    job = stage.start()
    stage.report(job, 2, 0.9)
    stage.end(job, "complete")
    path = Path(job.folder) / "checkpoints/2.pt"
    assert findings(stage) == [] and answer(stage.view(), stage.folder)["damage"] is None
    path.unlink()
    assert "is missing" in findings(stage)[0]


# Told twice


def tell_again(stage: Stage, number: int, **other: object) -> None:
    """The event of a told trial once more, as a copied row of the table; behind the end."""
    told = next(e for e in stage.store.events("one", kinds=[Told]) if e.trial == number)
    stage.log.append(fact("told", **{**told.body.plain(), **other}), number, commit=True)


@pytest.mark.parametrize("other", [{}, {"values": [0.99]}, {"state": "failed", "values": None}])
def test_a_trial_that_was_told_twice_stays_as_it_was_first_told(
    stage: Stage, other: dict[str, object]
) -> None:
    finished(stage, 0.5)
    finished(stage, 0.9)
    before = json.dumps([stage.view().counts(), answer(stage.view(), stage.folder)])
    tell_again(stage, 0, **other)
    assert json.dumps([stage.view().counts(), answer(stage.view(), stage.folder)]) == before
    assert findings(stage) == ["trial 0: events: told twice"]
    stage.resume()
    assert stage.start().trial == 2
    assert [trial.values for trial in stage.conductor.study.trials[:2]] == [[0.5], [0.9]]


def test_a_trial_that_was_told_and_never_asked_is_a_finding(stage: Stage) -> None:
    finished(stage, 0.5)
    told = next(stage.store.events("one", kinds=[Told]))
    stage.log.append(fact("told", **told.body.plain()), 77, commit=True)
    assert findings(stage) == ["trial 77: events: told but never asked"]
    stage.resume()
    assert stage.start().trial == 1


def test_an_event_of_a_kind_of_a_later_version_is_a_finding_and_changes_nothing(
    stage: Stage,
) -> None:
    finished(stage, 0.5)
    before = json.dumps([stage.view().counts(), answer(stage.view(), stage.folder)])
    seq = stage.log.append(Unknown("praised", {"by": "all"}), 0, commit=True).seq
    assert json.dumps([stage.view().counts(), answer(stage.view(), stage.folder)]) == before
    assert findings(stage) == [
        f"trial 0: events: event {seq} is of the kind 'praised', which this version lacks"
    ]
    stage.resume()
    assert stage.start().trial == 1
