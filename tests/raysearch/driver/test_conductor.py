"""The conductor without Ray: what follows from each kind of news, line by line of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from raysearch.driver.attempts import Limits
from raysearch.driver.live_trial import LiveTrial, unfinished
from raysearch.driver.outcomes import _needed
from raysearch.events.schema import Described, Told
from raysearch.results.reductions import reduce_objective
from raysearch.study.study import Study
from raysearch.tracking.findings import audit
from raysearch.trial.checkpoints import Kept, Retention
from raysearch.trial.job import Job
from tests.raysearch.driver.stage import Stage
from tests.raysearch.events.facts import fact
from tests.raysearch.searches.sweeps import broken, chain, chain_grid


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, chain_grid)


def test_a_trial_that_ends_well_is_complete_with_its_best_value(stage: Stage) -> None:
    job = stage.start()
    for step, score in [(2, 0.5), (4, 0.9), (6, 0.7)]:
        assert stage.report(job, step, score) is None
    stage.end(job, "complete")
    trial = stage.view().trials[job.trial]
    assert (trial.state, trial.values) == ("complete", [0.9])
    assert trial.best_checkpoint == f"{job.trial:04d}/attempt-1/checkpoints/4.pt"
    assert trial.last_checkpoint == f"{job.trial:04d}/attempt-1/checkpoints/6.pt"


@pytest.mark.parametrize("outcome", ["exception", "exit", "signal", "hang"])
def test_a_bug_is_tried_once_more_and_then_failed(stage: Stage, outcome: str) -> None:
    job = stage.start()
    stage.report(job, 2, 0.5)
    stage.end(job, outcome, "Traceback: a")
    again = stage.start()
    assert (again.trial, again.attempt) == (job.trial, 2)
    assert again.restored == str(Path(job.folder) / "checkpoints/2.pt")
    deleted = stage.end(again, outcome, "Traceback: b")
    assert stage.state(job) == "failed"
    assert deleted == [str(Path(job.folder) / "checkpoints/2.pt")]


@pytest.mark.parametrize("outcome", ["killed", "host_lost", "silent", "paused"])
def test_a_loss_is_tried_again_three_times_without_a_new_checkpoint(
    stage: Stage, outcome: str
) -> None:
    job = stage.start()
    for attempt in (1, 2, 3, 4):
        job = job if attempt == 1 else stage.start()
        assert job.attempt == attempt
        if outcome == "host_lost":
            stage.conductor.lost(job.trial, job.attempt)
        else:
            stage.end(job, outcome)
    assert stage.state(job) == "failed"


def test_a_new_checkpoint_gives_a_lost_trial_three_more_tries(stage: Stage) -> None:
    job = stage.start()
    for attempt in range(1, 7):
        job = job if attempt == 1 else stage.start()
        assert job.attempt == attempt
        if attempt == 3:
            stage.report(job, 2, 0.5)
        stage.conductor.lost(job.trial, job.attempt)
    assert stage.state(job) == "failed"
    assert len(stage.view().trials[job.trial].attempts) == 6, "lost 2 times before it, 4 after"


def test_out_of_memory_beside_others_is_tried_once_more_alone(stage: Stage) -> None:
    first, second = stage.start(), stage.start()
    stage.end(first, "memory")
    assert stage.next() is None, "it waits until it is alone"
    stage.report(second, 2, 0.4)
    stage.end(second, "complete")
    again = stage.start()
    assert (again.trial, again.attempt) == (first.trial, 2)
    assert stage.next() is None, "nothing starts beside it"
    stage.end(again, "memory")
    assert stage.state(first) == "infeasible"


def test_out_of_memory_alone_is_infeasible_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain_grid, Limits(1))
    job = stage.start()
    stage.end(job, "memory")
    assert stage.state(job) == "infeasible"


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_an_objective_that_is_not_finite_is_infeasible_and_not_tried_again(
    stage: Stage, score: float
) -> None:
    job = stage.start()
    deleted = stage.report(job, 2, score)
    assert deleted == [str(Path(job.folder) / "checkpoints/2.pt")]
    assert stage.state(job) == "infeasible"
    told = [event for event in stage.store.events("one", kinds=[Told])]
    assert told[0].body.plain()["constraint"] == 1
    assert "val/score" in told[0].body.plain()["reason"]


def test_a_trial_that_never_reports_the_objective_fails_with_its_name(stage: Stage) -> None:
    job = stage.start()
    stage.end(job, "complete")
    stage.end(stage.start(), "complete")
    trial = stage.view().trials[job.trial]
    assert trial.state == "failed"
    assert "val/score" in trial.reason


def test_news_of_an_old_attempt_is_refused(stage: Stage) -> None:
    job = stage.start()
    stage.conductor.lost(job.trial, job.attempt)
    stage.start()
    assert stage.report(job, 2, 0.9) == []
    assert stage.view().trials[job.trial].reports == []


def test_a_step_reported_again_changes_nothing(stage: Stage) -> None:
    job = stage.start()
    stage.report(job, 2, 0.5)
    stage.end(job, "killed")
    again = stage.start()
    stage.report(again, 2, 0.5)
    stage.report(again, 4, 0.6)
    assert [report[0] for report in stage.view().trials[job.trial].reports] == [2, 4]


def test_a_bad_trial_is_pruned_with_its_checkpoints_and_the_default_never(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain, pruner="median:startup=2,warmup=0")
    default = stage.start()
    assert stage.report(default, 1, 0.01) is None
    for _ in range(3):
        job = stage.start()
        for step in (1, 2):
            assert stage.report(job, step, 0.5 + 0.1 * step) is None
        stage.end(job, "complete")
    assert stage.report(default, 2, 0.02) is None, "the worst, but the default"
    bad = stage.start()
    assert stage.report(bad, 1, 0.1) == [str(Path(bad.folder) / "checkpoints/1.pt")]
    assert stage.state(bad) == "pruned"


def test_a_request_ends_one_trial(stage: Stage) -> None:
    job = stage.start()
    stage.report(job, 2, 0.5)
    stage.conductor.requests.append((1, {"action": "stop", "trial": job.trial}))
    stage.conductor.tick()
    assert stage.conductor.hear(job.trial, job.attempt, []) is not None
    trial = stage.view().trials[job.trial]
    assert (trial.state, trial.reason) == ("pruned", "stopped by request")


def test_what_a_trial_reports_before_it_hears_of_a_request_is_no_finding(stage: Stage) -> None:
    job = stage.start()
    stage.report(job, 2, 0.5)
    stage.conductor.requests.append((1, {"action": "stop", "trial": job.trial}))
    stage.conductor.tick()
    stage.report(job, 4, 0.6)
    trial = stage.view().trials[job.trial]
    assert trial.state == "pruned" and len(trial.reports) == 2
    again = Study.rebuild(stage.space, stage.spec, stage.log, stage.store.events("one"))
    found = audit(stage.store, "one", stage.folder, "none", cast("list[Any]", again.trials))
    assert [finding for finding in found if finding.where == "study"] == []


def fail(stage: Stage, count: int, said: str = "Traceback\nValueError: the same") -> None:
    """So many trials fail, both times."""
    for _ in range(2 * count):
        stage.end(stage.start(), "exception", said)


def test_ten_first_trials_that_fail_alike_stop_the_search(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken, trials=200)
    fail(stage, 9)
    assert not stage.conductor.halted
    fail(stage, 1)
    assert stage.conductor.halt is not None
    assert stage.conductor.halt.reason == "the first 10 trials all failed alike"


def test_one_that_completes_among_the_first_lets_the_search_go_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken, trials=200)
    fail(stage, 4)
    stage.run(stage.start(), 0.5)
    fail(stage, 10)
    assert not stage.conductor.halted


def test_a_limit_of_failures_is_kept_and_counts_anew_after_a_stop(tmp_path: Path) -> None:
    stage = Stage(tmp_path, broken, trials=200, max_failures="2")
    fail(stage, 1)
    stage.run(stage.start(), 0.5)
    fail(stage, 2, "Traceback\nKeyError: another one")
    assert stage.conductor.halt is not None
    assert stage.conductor.halt.reason == "3 of 4 trials failed, more than --max-failures 2"


def test_after_a_kill_the_unfinished_trials_come_first_from_their_checkpoints(
    stage: Stage,
) -> None:
    first, second = stage.start(), stage.start()
    stage.report(first, 2, 0.5)
    stage.report(first, 4, 0.6)
    stage.end(second, "killed")
    stage.log.flush()
    events = list(stage.store.events("one"))
    unfinished_trials = unfinished(events, stage.spec)
    stage.log = stage.store.log("one")
    stage.conductor = stage.conduct(Study.rebuild(stage.space, stage.spec, stage.log, events))
    stage.conductor.resume(unfinished_trials)
    resumed, retried = stage.start(), stage.start()
    assert (resumed.trial, resumed.attempt) == (first.trial, 2)
    assert resumed.restored == str(Path(first.folder) / "checkpoints/4.pt")
    known = [(kept["step"], kept["path"], kept["value"]) for kept in resumed.kept]
    assert known == [(4, str(Path(first.folder) / "checkpoints/4.pt"), 0.6)]
    assert (retried.trial, retried.attempt, retried.restored) == (second.trial, 2, None)


def test_a_decided_end_is_told_at_resume_without_another_attempt(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain)
    job = stage.start()
    stage.report(job, 2, 0.5)
    stage.log.append(
        fact("decision", step=2, fidelity=2, decision="prune", reason="r"), job.trial, commit=True
    )
    events = list(stage.store.events("one"))
    stage.log = stage.store.log("one")
    stage.conductor = stage.conduct(Study.rebuild(stage.space, stage.spec, stage.log, events))
    stage.conductor.resume(unfinished(events, stage.spec))
    trial = stage.view().trials[job.trial]
    assert (trial.state, trial.values, len(trial.attempts)) == ("pruned", [0.5], 1)
    assert not (Path(job.folder) / "checkpoints/2.pt").exists()


@pytest.mark.parametrize("way", ["exception", "diverged"])
def test_a_last_failure_is_told_at_resume_without_another_attempt(tmp_path: Path, way: str) -> None:
    def last(stage: Stage) -> Job:
        job = stage.start()
        if way == "diverged":
            stage.report(job, 2, float("nan"))
            return job
        stage.end(job, way)
        job = stage.start()
        stage.end(job, way)
        return job

    (tmp_path / "unhurt").mkdir()
    unhurt, hurt = Stage(tmp_path / "unhurt", chain_grid), Stage(tmp_path, chain_grid)
    number = last(unhurt).trial
    last(hurt)
    failed = [event.seq for event in hurt.store.events("one") if event.kind == "failed"]
    hurt.log.flush()
    hurt.cut_behind(failed[-1])
    hurt.resume()
    trials = [stage.view().trials[number] for stage in (hurt, unhurt)]
    assert trials[0].state == trials[1].state and trials[0].reason == trials[1].reason
    assert len(trials[0].attempts) == len(trials[1].attempts)


@pytest.mark.parametrize("reduce", ["best", "last", "mean(2)", "mean(9)"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_what_a_reduction_looks_at_gives_what_the_whole_history_gives(
    reduce: str, direction: str
) -> None:
    live, values = LiveTrial(0, {}, 0, "", Retention(direction)), [0.3, 0.9, 0.1, 0.5]
    for step, value in enumerate(values):
        live.take(step, {"x": value}, None, ["x"])
    assert [live.value_at(step) for step in range(5)] == [*values, None]
    needed = reduce_objective(_needed(live, 0, reduce), reduce, direction)
    assert needed == reduce_objective(values, reduce, direction)


def test_facts_that_are_said_again_are_one_event(stage: Stage) -> None:
    job = stage.start()
    for facts in ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 1}):
        stage.say(job, kind="describe", facts=facts)
    stage.end(job, "killed")
    stage.say(stage.start(), kind="describe", facts={"a": 1})  # it is no longer starting
    stage.log.flush()
    events = [event.body.plain() for event in stage.store.events("one", kinds=[Described])]
    assert [event["facts"]["a"] for event in events] == [1, 2, 1, 1]


def test_the_test_split_comes_once_after_all_trials(stage: Stage) -> None:
    tested: list[int] = []

    def tests() -> list[tuple[LiveTrial, str]]:
        best = stage.view().best()
        assert best is not None
        live = LiveTrial(best.number, best.config, best.seed, best.origin, _retention(best))
        return [(live, "winner")]

    stage.conductor.tests = tests
    scores = {}
    while True:
        attempt = stage.next()
        if attempt is None:
            break
        job = Job.read(attempt["job"])
        if job.purpose == "test":
            tested.append(job.trial)
            stage.say(job, kind="report", step=2, metrics={"test/score": 0.8}, checkpoint=None)
        else:
            scores[job.trial] = job.config["x"]
            stage.report(job, 2, job.config["x"])
        stage.end(job, "complete")
    assert stage.conductor.over
    assert len(scores) == 9
    assert tested == [max(scores, key=lambda number: (scores[number], -number))]
    assert stage.view().trials[tested[0]].tested["metrics"] == {"test/score": 0.8}


@pytest.mark.parametrize(
    ("outcome", "tries"), [("complete", 1), ("exception", 2), ("diverged", 2), ("host_lost", 4)]
)
def test_an_evaluation_is_made_again_as_often_as_its_failure_allows(
    stage: Stage, outcome: str, tries: int
) -> None:
    live = LiveTrial(0, {}, 0, "random", Retention("maximize"), role="winner")
    made = 0
    while made < 9:
        made = live.attempt = live.attempt + 1
        message = {"kind": "end", "outcome": outcome, "message": ""}
        if not stage.conductor._outcomes.end_test(live, message).again:
            break
    assert made == tries


def test_an_evaluation_that_ends_itself_by_sigterm_is_made_four_times(stage: Stage) -> None:
    live = LiveTrial(0, {}, 0, "random", Retention("maximize"), role="winner")
    for attempt in range(1, 9):
        live.attempt = attempt
        stage.conductor._end(live, {"kind": "end", "outcome": "paused", "message": ""})
        if live not in stage.conductor.waiting:
            break
        stage.conductor.waiting.remove(live)
    assert live.attempt == 4


def _retention(trial: Any) -> Any:
    return Retention("maximize", [Kept(0, trial.best_checkpoint, 0.0)])


def test_a_decision_that_the_kill_cut_off_is_completed_and_told_without_another_attempt(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, chain, pruner="median:startup=1,warmup=0")
    for _ in range(2):
        job = stage.start()
        stage.report(job, 1, 0.9)
        stage.end(job, "complete")
    bad = stage.start()
    stage.report(bad, 1, 0.1)
    kept = [event for event in stage.store.events("one") if event.kind != "told"]
    cut = next(event.seq for event in kept if event.kind == "decision")
    stage.cut_behind(cut - 1)
    stage.log = stage.store.log("one")
    events = list(stage.store.events("one"))
    assert events[-1].kind == "report"
    stage.conductor = stage.conduct(Study.rebuild(stage.space, stage.spec, stage.log, events))
    stage.conductor.resume(unfinished(stage.store.events("one"), stage.spec))
    trial = stage.view().trials[bad.trial]
    assert (trial.state, len(trial.attempts)) == ("pruned", 1)
    assert not stage.conductor.waiting
