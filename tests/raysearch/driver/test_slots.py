"""Which trials leave when a search is granted fewer slots, and how they come back."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from raysearch.driver.attempts import Limits
from raysearch.driver.slots import BrokerClient, Slots
from raysearch.trial.job import Job
from tests.raysearch.driver.stage import Stage
from tests.raysearch.searches.sweeps import chain_grid
from tests.raysearch.specs import make_spec


class Shared(Stage):
    """A search on a cluster that it shares, granted so many slots."""

    def __init__(self, folder: Path, grant: int | None, concurrent: int = 3) -> None:
        super().__init__(folder, chain_grid, Limits(concurrent))
        self.slots = Slots(concurrent, grant)
        self.conductor = replace(self.conductor, slots=self.slots)

    def started(self, count: int) -> list[Job]:
        """So many attempts, each with a checkpoint at step 2."""
        jobs = [self.start() for _ in range(count)]
        for job in jobs:
            self.report(job, 2, 0.5)
        return jobs

    def leaves(self, job: Job) -> bool:
        return self.conductor.leaves(job.trial, job.attempt)


def test_no_more_than_the_grant_are_started(tmp_path: Path) -> None:
    stage = Shared(tmp_path, grant=1)
    assert stage.next() is not None and stage.next() is None
    stage.slots.grant = 9
    assert [stage.next() is not None for _ in range(3)] == [True, True, False]


def test_when_the_grant_shrinks_the_attempts_that_began_last_leave_and_are_asked_once(
    tmp_path: Path,
) -> None:
    stage = Shared(tmp_path, grant=3)
    jobs = stage.started(3)
    assert not any(stage.leaves(job) for job in jobs)
    stage.slots.grant = 1
    assert [stage.leaves(job) for job in jobs] == [False, True, True]
    assert not any(stage.leaves(job) for job in jobs)


def test_the_place_of_a_lost_host_stays_empty_until_the_broker_knows_what_is_left(
    tmp_path: Path,
) -> None:
    stage = Shared(tmp_path, grant=2)
    first, second = stage.started(2)
    stage.conductor.lost(second.trial, second.attempt)
    assert stage.next() is None and not stage.leaves(first)
    stage.slots._lost_at -= 4
    assert stage.start().trial == second.trial


def test_a_search_that_shares_with_nobody_takes_a_lost_place_at_once(tmp_path: Path) -> None:
    stage = Shared(tmp_path, grant=None, concurrent=1)
    (job,) = stage.started(1)
    stage.conductor.lost(job.trial, job.attempt)
    assert stage.start().trial == job.trial


def test_who_has_just_begun_leaves_first_but_is_asked_when_it_can_hear(tmp_path: Path) -> None:
    stage = Shared(tmp_path, grant=3)
    first, second = stage.started(2)
    silent = stage.start()
    stage.slots.grant = 2
    assert not any(stage.leaves(job) for job in (silent, second, first))
    stage.say(silent, kind="describe", facts={})
    assert [stage.leaves(job) for job in (first, second, silent)] == [False, False, True]


def test_who_is_silent_for_long_is_not_waited_for(tmp_path: Path) -> None:
    stage = Shared(tmp_path, grant=2)
    (first,) = stage.started(1)
    silent = stage.start()
    live = stage.conductor._live[silent.trial]
    assert live.begun is not None
    live.begun -= 61
    stage.slots.grant = 1
    assert not stage.leaves(silent)
    assert stage.leaves(first)


def test_who_left_is_no_failure_and_goes_on_first_from_its_checkpoint(tmp_path: Path) -> None:
    stage = Shared(tmp_path, grant=2)
    _, leaver = stage.started(2)
    stage.slots.grant = 1
    assert stage.leaves(leaver)
    stage.end(leaver, "paused")
    assert stage.next() is None, "its slot is for others"
    assert stage.view().trials[leaver.trial].failures == []
    stage.slots.grant = 2
    again = stage.start()
    assert (again.trial, again.attempt) == (leaver.trial, 2)
    assert again.restored == str(Path(leaver.folder) / "checkpoints/2.pt")


def test_who_left_stays_until_it_has_got_on(tmp_path: Path) -> None:
    stage = Shared(tmp_path, grant=1)
    (job,) = stage.started(1)
    stage.slots.grant = 0
    assert stage.leaves(job)
    stage.end(job, "paused")
    stage.slots.grant = 1
    again = stage.start()
    stage.report(again, 2, 0.5, saves=False)
    stage.slots.grant = 0
    assert not stage.leaves(again)
    stage.report(again, 4, 0.6)
    assert stage.leaves(again)


def test_a_search_that_has_its_machine_for_itself_asks_nobody_and_keeps_its_hosts(
    tmp_path: Path,
) -> None:
    stage = Shared(tmp_path, grant=None)
    jobs = stage.started(3)
    assert not any(stage.leaves(job) for job in jobs)
    assert not stage.conductor.is_idle(3)


def test_idle_hosts_are_of_use_only_while_a_slot_and_something_to_run_are_left(
    tmp_path: Path,
) -> None:
    stage = Shared(tmp_path, grant=2)
    job, _ = stage.started(2)
    assert stage.conductor.is_idle(3)
    stage.end(job, "complete")
    assert not stage.conductor.is_idle(3)


def test_a_search_claims_all_it_could_use_while_its_sampler_may_propose_more(
    tmp_path: Path,
) -> None:
    stage = Shared(tmp_path, grant=1)
    stage.started(1)
    assert stage.conductor.claim() == (3, 1)
    stage.conductor.pause("its time box is over")
    assert stage.conductor.claim() == (1, 1)


def test_hosts_that_still_end_are_claimed_too(tmp_path: Path) -> None:
    stage = Shared(tmp_path, grant=1)
    stage.started(1)
    stage.conductor.is_idle(2)
    assert stage.conductor.claim() == (3, 2)


def test_the_end_of_a_search_needs_no_slot(tmp_path: Path) -> None:
    stage = Shared(tmp_path, grant=1)
    for _ in range(9):
        stage.run(stage.start(), 0.5)
    stage.slots.grant = 0
    assert stage.next() is None
    assert stage.conductor.over


class Late(BrokerClient):
    """A driver that heard the broker last so many seconds ago; now there is none."""

    def __init__(self, slots: Slots, runs: int, silence: float) -> None:
        spec = make_spec(search="one", cpus=1, gpus=0)
        super().__init__(slots, spec, Path("one"), lambda: (3, runs), 0.0, find=no_broker)
        slots.grant = 3
        self._answered -= silence
        ended = threading.Event()
        threading.Timer(0.1, ended.set).start()
        self.run(ended)


def no_broker() -> None:
    raise ConnectionError("nobody is there")


@pytest.mark.parametrize(("silence", "grant"), [(4000.0, 3), (6000.0, 2)])
def test_without_an_answer_what_runs_goes_on_and_later_nothing_new_is_started(
    monkeypatch: pytest.MonkeyPatch, silence: float, grant: int
) -> None:
    monkeypatch.setattr("raysearch.driver.slots._SILENT", 5000.0)
    monkeypatch.setattr("raysearch.driver.slots._GIVES_UP", 60_000.0)
    slots = Slots(3)
    Late(slots, 2, silence)
    assert (slots.grant, slots.problem) == (grant, "")


def test_after_a_minute_without_a_broker_there_is_a_problem_with_its_reason() -> None:
    slots = Slots(3)
    Late(slots, 0, 61.0)
    assert slots.grant == 0
    said = r"no raysearch-broker that answers, for \d+ s: nobody is there$"
    assert re.search(said, slots.problem)
