"""More of a search: extended, failed trials again, repeats of the best; nothing is run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysearch.study.study import Study
from raysearch.trial.job import Job
from tests.raysearch.driver.stage import Stage
from tests.raysearch.searches.sweeps import chain, chain_grid


def score(job: Job) -> float:
    """What a trial reports: best at x = 0.3, and a little better with each seed."""
    return 1 - (job.config["x"] - 0.3) ** 2 + 0.001 * job.config["training"]["seed"]


def finish(stage: Stage) -> list[Job]:
    """Runs all that there is to run."""
    jobs: list[Job] = []
    while True:
        attempt = stage.next()
        if attempt is None and stage.conductor.over:
            return jobs
        assert attempt is not None
        jobs.append(Job.read(attempt["job"]))
        stage.run(jobs[-1], score(jobs[-1]))


def study_of(stage: Stage) -> Study:
    return stage.conductor.study


def keys(jobs: list[Job]) -> list[tuple[Any, ...]]:
    """What tells configurations and seeds apart."""
    return [(job.config["x"], job.config["y"], job.config["training"]["seed"]) for job in jobs]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_an_extended_search_runs_the_trials_that_a_longer_one_would_have(
    tmp_path: Path, sampler: str
) -> None:
    (tmp_path / "long").mkdir()
    (tmp_path / "short").mkdir()
    long = finish(Stage(tmp_path / "long", chain, sampler=sampler, pruner="none", trials=9))
    short = Stage(tmp_path / "short", chain, sampler=sampler, pruner="none", trials=5)
    first = finish(short)
    short.resume()
    study_of(short).extend(9)
    assert keys([*first, *finish(short)]) == keys(long)


def test_an_extension_is_known_to_the_driver_after_the_next(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain, pruner="none", trials=3)
    finish(stage)
    study_of(stage).extend(5)
    stage.resume()
    assert len(finish(stage)) == 2


def failing(stage: Stage) -> Job:
    """Fails one trial for good and runs the others."""
    job = stage.start()
    for _ in range(2):
        stage.end(job, "exception", "Traceback: a")
        if stage.state(job) != "failed":
            job = stage.start()
    return job


def test_a_failed_trial_is_run_again_as_a_trial_of_its_own(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain_grid)
    failed = failing(stage)
    finish(stage)
    stage.resume()
    study_of(stage).retry(failed.trial)
    [again] = finish(stage)
    view = stage.view()
    assert again.config == failed.config and again.trial == 9 and again.restored is None
    assert (view.trials[9].retry_of, view.trials[failed.trial].retried_by) == (failed.trial, 9)
    assert (view.trials[9].state, view.trials[failed.trial].state) == ("complete", "failed")


def test_a_retry_that_was_asked_for_survives_the_driver(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain_grid)
    failed = failing(stage)
    finish(stage)
    study_of(stage).retry(failed.trial)
    stage.resume()
    assert [job.config for job in finish(stage)] == [failed.config]


def test_a_trial_is_not_run_again_twice_nor_one_that_did_not_fail(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chain_grid)
    failed = failing(stage)
    finish(stage)
    study_of(stage).retry(failed.trial)
    with pytest.raises(ValueError, match="must not have been run again before"):
        study_of(stage).retry(failed.trial)
    with pytest.raises(ValueError, match="must have failed to be run again, got complete"):
        study_of(stage).retry(5)


def test_each_cell_of_a_grid_is_run_with_each_seed_and_all_cells_before_a_second_seed(
    tmp_path: Path,
) -> None:
    jobs = keys(finish(Stage(tmp_path, chain_grid, repeats=3)))
    cells = [(x, y) for x in (0.1, 0.3, 0.5) for y in (2, 3, 4)]
    cells.sort(key=lambda each: each != (0.5, 2))  # the default is trial 0
    assert jobs[:9] == [(x, y, 0) for x, y in cells]
    cells.sort()
    assert jobs[9:] == [(x, y, seed) for seed in (1, 2) for x, y in cells]


def test_the_best_few_and_the_default_are_run_again_with_further_seeds(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path, chain, pruner="none", sampler="random", trials=8, repeats=3, finalists=2
    )
    jobs = finish(stage)
    first, repeats = jobs[:8], jobs[8:]
    ranked = sorted(first[1:], key=score, reverse=True)
    chosen = {(job.config["x"], job.config["y"]) for job in [first[0], *ranked[:2]]}
    if score(first[0]) >= score(ranked[1]):  # the default is one of the best two
        chosen = {(job.config["x"], job.config["y"]) for job in [first[0], ranked[0]]}
    assert sorted(keys(repeats)) == sorted((*each, seed) for each in chosen for seed in (1, 2, 3))
    assert {stage.view().trials[job.trial].repeat_of is not None for job in repeats} == {True}


def test_repeats_go_on_after_a_kill_where_they_were(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    spec: dict[str, Any] = {"pruner": "none", "sampler": "random", "trials": 5, "repeats": 2}
    whole = finish(Stage(tmp_path / "whole", chain, finalists=2, **spec))
    killed = Stage(tmp_path / "killed", chain, finalists=2, **spec)
    begun: list[Job] = []
    for _ in range(7):
        begun.append(killed.start())
        killed.run(begun[-1], score(begun[-1]))
    killed.resume()
    assert keys([*begun, *finish(killed)]) == keys(whole)


def test_with_two_directions_those_of_the_pareto_front_are_run_again(tmp_path: Path) -> None:
    costs = [(0.5, 0.5), (0.9, 0.1), (0.1, 0.9), (0.8, 0.8), (0.4, 0.6), (0.6, 0.6)]
    metrics = [
        {"name": f"val/{name}", "direction": "minimize", "reduce": "last"} for name in ("a", "b")
    ]
    spec: dict[str, Any] = {"sampler": "random", "pruner": "none", "trials": 6, "repeats": 2}
    stage = Stage(tmp_path, chain, finalists=4, metrics=metrics, **spec)
    for a, b in costs:
        job = stage.start()
        values = {"val/a": a, "val/b": b, "progress/epochs": 2.0}
        stage.say(job, kind="report", step=2, metrics=values, checkpoint=None)
        stage.end(job, "complete")
    front = {
        number
        for number, (a, b) in enumerate(costs)
        if not any(c <= a and d <= b and (c, d) != (a, b) for c, d in costs)
    }
    again = [stage.start().trial for _ in range(2)]
    chosen = {stage.view().trials[number].repeat_of for number in again}
    assert front == {0, 1, 2, 4} and chosen <= front
