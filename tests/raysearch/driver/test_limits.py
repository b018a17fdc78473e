"""Time boxes, the time of a search and of a trial, the disk quota: what follows when one is up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from raysearch.driver.attempts import Limits
from raysearch.driver.clocks import Clock
from raysearch.driver.live_trial import unfinished
from raysearch.driver.quota import QuotaExceededError, finish_removals, keep_quota
from raysearch.results.forecast import disk_used
from tests.raysearch.driver.stage import Stage
from tests.raysearch.events.facts import fact
from tests.raysearch.searches.sweeps import chain_grid

HOUR = 3600.0


def clock(box: float, passed: float) -> Clock:
    """A clock whose time box began so many seconds ago."""
    return Clock(Limits(1, time_box=box), begun=time.monotonic() - passed)


@pytest.mark.parametrize(
    ("box", "passed", "saves", "ends"),
    [
        (HOUR, HOUR - 61, False, False),
        (HOUR, HOUR - 59, True, False),
        (HOUR, HOUR - 4, True, True),
        (20, 14, False, False),
        (20, 16, True, False),
        (20, 18, True, True),
    ],
)
def test_a_box_asks_for_checkpoints_a_minute_before_its_end_and_ends_seconds_before(
    box: float, passed: float, saves: bool, ends: bool
) -> None:
    at = clock(box, passed)
    assert (at.must_save(), at.must_end()) == (saves, ends)


def test_the_time_of_a_search_counts_what_earlier_drivers_spent() -> None:
    assert not Clock(Limits(1, time=10.0), spent=9.0).search_is_up()
    assert Clock(Limits(1, time=10.0), spent=10.5).search_is_up()
    assert not Clock(Limits(1), spent=1e9).search_is_up()


class Hand:
    """A clock that stands where a test puts it, in seconds."""

    now = 0.0


def timed(folder: Path, limits: Limits) -> tuple[Stage, Hand]:
    """A search whose clock is moved by hand."""
    stage, hand = Stage(folder, chain_grid, limits), Hand()
    stage.conductor = stage.conduct(
        stage.conductor.study, Clock(limits, begun=0.0, now=lambda: hand.now)
    )
    return stage, hand


def boxed(folder: Path, passed: float) -> Stage:
    """A search in a time box of an hour, so many seconds after it began."""
    stage = Stage(folder, chain_grid, Limits(2, time_box=HOUR))
    stage.conductor = stage.conduct(stage.conductor.study, clock(HOUR, passed))
    return stage


def test_at_the_end_of_its_box_a_trial_saves_and_the_next_driver_goes_on_from_there(
    tmp_path: Path,
) -> None:
    stage = boxed(tmp_path, HOUR - 30)
    job = stage.start()
    stage.report(job, 2, 0.5)
    stage.conductor.tick()
    assert stage.conductor.pausing and not stage.conductor.halted
    assert stage.next() is None, "nothing new is started"
    path = Path(job.folder) / "checkpoints/3.pt"
    path.touch()
    stage.say(job, kind="report", step=3, metrics={}, checkpoint=str(path))
    stage.end(job, "paused")
    stage.conductor.tick()
    assert stage.conductor.halt is not None and stage.conductor.halt.state == "paused"
    stage.resume()
    again = stage.start()
    assert (again.trial, again.attempt, again.restored) == (job.trial, 2, str(path))
    assert [step for step, *_ in stage.view().trials[job.trial].reports] == [2]


def test_who_does_not_save_in_time_is_given_up_and_loses_only_its_last_steps(
    tmp_path: Path,
) -> None:
    stage = boxed(tmp_path, HOUR - 4)
    job = stage.start()
    stage.report(job, 2, 0.5)
    stage.conductor.tick()
    assert stage.conductor.halted
    [live] = unfinished(stage.store.events("one"), stage.spec)
    assert live.last is not None and live.last.step == 2


def test_after_a_signal_who_does_not_listen_is_given_up_long_before_its_box_ends(
    tmp_path: Path,
) -> None:
    stage, hand = timed(tmp_path, Limits(2, time_box=HOUR))
    stage.start()
    stage.conductor.pause("SIGTERM", within=30.0)
    hand.now = 30.0
    stage.conductor.tick()
    assert not stage.conductor.halted, "it may save"
    hand.now = 30.1
    stage.conductor.tick()
    assert stage.conductor.halt is not None and stage.conductor.halt.state == "paused"


def test_a_trial_whose_time_is_up_counts_as_pruned_with_its_curve(tmp_path: Path) -> None:
    stage, hand = timed(tmp_path, Limits(2, trial_time=50.0))
    job = stage.start()
    stage.report(job, 2, 0.5)
    hand.now = 50.0
    assert stage.conductor.hear(job.trial, job.attempt, []) is None
    hand.now = 50.1
    assert stage.conductor.hear(job.trial, job.attempt, []) is not None
    trial = stage.view().trials[job.trial]
    assert (trial.state, trial.values) == ("pruned", [0.5])
    assert trial.reason == "the time of a trial, 50 s, was up"


def test_the_time_of_a_trial_counts_its_earlier_attempts(tmp_path: Path) -> None:
    stage, hand = timed(tmp_path, Limits(2, trial_time=100.0))
    job = stage.start()
    hand.now = 60.0
    stage.end(job, "killed")
    hand.now = 1000.0
    again = stage.start()
    hand.now = 1040.1
    assert stage.conductor.hear(again.trial, again.attempt, []) is not None
    assert stage.state(job) == "pruned"


def test_when_the_time_of_a_search_is_up_its_trials_stay_unfinished_for_a_resume(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, chain_grid, Limits(2, time=100.0))
    job = stage.start()
    stage.report(job, 2, 0.5)
    stage.resume(Clock(stage.limits, spent=101.0))
    assert stage.next() is None and stage.next() is None
    assert stage.conductor.over and stage.view().trials[job.trial].ended is None
    stage.resume(Clock(stage.limits, spent=50.0))
    assert stage.start().trial == job.trial


def filled(folder: Path) -> Stage:
    """Five complete trials, the third one best, each with a checkpoint of 1000 bytes.

    The first one is the default configuration.
    """
    stage = Stage(folder, chain_grid)
    for score in (0.1, 0.5, 0.9, 0.3, 0.7):
        job = stage.start()
        path = Path(job.folder) / "checkpoints/2.pt"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(1000))
        metrics = {"val/score": score, "progress/epochs": 2.0}
        stage.say(job, kind="report", step=2, metrics=metrics, checkpoint=str(path))
        stage.end(job, "complete")
    return stage


def kept(stage: Stage) -> list[int]:
    """The trials that have a checkpoint on disk."""
    return sorted(int(path.parts[-4]) for path in stage.folder.glob("*/attempt-*/checkpoints/*"))


def test_a_quota_takes_the_worst_checkpoints_first_and_says_so(tmp_path: Path) -> None:
    stage = filled(tmp_path)
    assert disk_used(stage.view()) == 5000
    keep_quota(stage.view(), stage.folder, stage.log, 3500)
    view = stage.view()
    assert kept(stage) == [0, 2, 4] and disk_used(view) == 3000
    assert view.trials[3].removed == "deleted for the disk quota of 3500 bytes"
    assert view.trials[3].best_checkpoint is None


def test_a_quota_that_is_kept_deletes_nothing(tmp_path: Path) -> None:
    stage = filled(tmp_path)
    keep_quota(stage.view(), stage.folder, stage.log, 5000)
    assert kept(stage) == [0, 1, 2, 3, 4]


def test_a_quota_never_takes_the_best_one_nor_the_default(tmp_path: Path) -> None:
    stage = filled(tmp_path)
    with pytest.raises(QuotaExceededError, match=r"--disk must hold .* 2000 bytes now, got 500"):
        keep_quota(stage.view(), stage.folder, stage.log, 500)
    assert kept(stage) == [0, 2]


def test_a_removal_that_a_kill_cut_off_is_finished_by_the_next_driver(tmp_path: Path) -> None:
    stage = filled(tmp_path)
    path = stage.view().trials[3].best_checkpoint
    stage.log.append(fact("removed", path=path, reason="said, and then killed"), 3, commit=True)
    finish_removals(stage.view(), stage.folder)
    assert kept(stage) == [0, 1, 2, 4]
