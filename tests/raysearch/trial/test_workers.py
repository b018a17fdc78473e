"""Groups of workers under Ray Train: exact, ended within seconds, and nothing of them is left."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.util import placement_group_table

from raysearch.driver.cluster import RAY_SETTINGS
from raysearch.driver.tune_loop import host_resources
from raysearch.trial import process_tree
from raysearch.trial.group.launcher import mark_of, trainer
from raysearch.trial.group.workers import Group
from raysearch.trial.job import Job, Message
from tests.raysearch.command import wait_until
from tests.raysearch.specs import make_spec
from tests.trainables import groups
from tests.trainables.group_configs import TWENTY_STEPS

ROOT = str(Path(__file__).parents[3])
in_ray = [pytest.mark.slow, pytest.mark.search, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[None]:
    environment = dict(os.environ)
    os.environ.update({**RAY_SETTINGS, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"})
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    ray.init("local", num_cpus=2, include_dashboard=False, **quiet)
    yield
    ray.shutdown()
    os.environ.clear()
    os.environ.update(environment)


def attempt(folder: Path, way: str, **settings: Any) -> Job:
    experiment = "tests.raysearch.trial.grouped:run"
    settings = {"workers": 2, "paths": [ROOT], **settings}
    return Job("groups", str(folder), 0, 1, experiment, {"way": way}, str(folder), **settings)


def run_to_the_end(job: Job) -> tuple[list[Message], Group]:
    group, messages = Group(job), list[Message]()
    while not messages or messages[-1]["kind"] != "end":
        message = group.next(1.0)
        if message is not None:
            messages.append(message)
            group.answer(stop=False)
    return messages, group


def test_a_session_that_ends_in_silence_is_the_cause(tmp_path: Path) -> None:
    group = object.__new__(Group)  # outside of Ray
    group.job, group._ranks, group._session = attempt(tmp_path, "well"), {}, None
    silent: Message = {"kind": "end", "outcome": "silent", "message": "no answer"}
    group._ends = [{"kind": "end", "outcome": "killed", "message": "", "at": 1.0}, silent]
    assert group._cause() is silent


def reports(messages: list[Message]) -> dict[int, dict[str, float]]:
    return {said["step"]: said["metrics"] for said in messages if said["kind"] == "report"}


def nothing_is_held(group: Group) -> bool:
    """Its processes are gone, Ray keeps nothing for it, and all CPUs are free, as Ray says soon."""

    def is_free() -> bool:
        gone = not any(psutil.pid_exists(pid) for pid in group.pids)
        held = [one for one in placement_group_table().values() if one["state"] != "REMOVED"]
        return gone and not held and ray.available_resources().get("CPU") == 2.0

    wait_until(is_free, 60, "for all that a group held")
    return True


@pytest.mark.usefixtures("two_cpus")
class TestGroups:
    """In one Ray, in this order."""

    pytestmark = in_ray

    def test_one_that_is_ended_while_it_starts_gives_everything_back(self, tmp_path: Path) -> None:
        group = Group(attempt(tmp_path, "well"))
        group.next(6.0)
        group.kill()
        assert nothing_is_held(group) and not mark_of(group.job).exists()

    def test_two_workers_under_ray_train_equal_one(self, tmp_path: Path) -> None:
        alone = groups.run("precise", TWENTY_STEPS.to_json(), None, 0, tmp_path / "alone")
        messages, group = run_to_the_end(attempt(tmp_path / "two", "well"))
        assert messages[-1]["outcome"] == "complete" and nothing_is_held(group)
        found = reports(messages)
        assert list(found) == list(range(1, 21))
        for step, report in alone["reports"].items():
            assert found[step] == pytest.approx(report, rel=1e-10, abs=1e-10)

    @pytest.mark.long
    def test_a_worker_that_is_killed_is_the_cause_and_a_second_attempt_is_exact(
        self, tmp_path: Path
    ) -> None:
        killed, group = run_to_the_end(attempt(tmp_path / "attempt-1", "die"))
        assert (killed[-1]["outcome"], killed[-1]["message"]) == (
            "killed",
            "worker 1 ended without a word",
        )
        assert nothing_is_held(group)
        saved = str(tmp_path / "attempt-1" / "checkpoints" / "step-00000010.pt")
        again, _ = run_to_the_end(attempt(tmp_path / "attempt-2", "die", restored=saved))
        whole, _ = run_to_the_end(attempt(tmp_path / "whole", "well"))
        assert list(reports(again)) == list(range(11, 21))
        assert reports(killed) | reports(again) == reports(whole)

    def test_the_first_failure_is_the_cause(self, tmp_path: Path) -> None:
        messages, _ = run_to_the_end(attempt(tmp_path, "raise"))
        assert messages[-1]["outcome"] == "exception"
        assert messages[-1]["message"] == "ValueError: rank 1 has its reasons"

    def test_nothing_that_hides_below_a_killed_worker_outlives_its_group(
        self, tmp_path: Path
    ) -> None:
        messages, group = run_to_the_end(attempt(tmp_path, "hide"))
        assert messages[-1]["outcome"] == "killed" and nothing_is_held(group)
        hidden = [int(file.read_text()) for file in tmp_path.glob("rank-*/*.pid")]
        assert len(hidden) == 12
        assert process_tree.gone(hidden, 120)

    def test_one_that_says_that_it_lives_is_not_ended(self, tmp_path: Path) -> None:
        """It is at work for 20 s, and its patience is 15 s, as of the next one, which hangs."""
        messages, group = run_to_the_end(attempt(tmp_path, "live", patience=15.0))
        assert [said["kind"] for said in messages] == ["report", "end"], messages
        assert messages[-1]["outcome"] == "complete" and nothing_is_held(group)

    def test_one_that_hangs_in_a_collective_is_ended_after_its_patience(
        self, tmp_path: Path
    ) -> None:
        messages, group = run_to_the_end(attempt(tmp_path, "hang", patience=15.0))
        assert [said["kind"] for said in messages] == ["report", "end"], messages
        assert messages[-1]["outcome"] == "hang" and len(group.pids) == 2
        assert nothing_is_held(group)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpus", "backend", "resources"),
    [
        (0.5, "gloo", {"CPU": 2, "GPU": 0.5}),
        (1, "nccl", {"CPU": 2, "GPU": 1}),
        (0, "gloo", {"CPU": 2}),
    ],
)
def test_parts_of_gpus_reach_ray_train(
    tmp_path: Path, gpus: float, backend: str, resources: dict[str, float]
) -> None:
    made = trainer(attempt(tmp_path, "well", cpus=2, gpus=gpus), {})
    assert made.scaling_config.resources_per_worker == resources
    assert made.scaling_config.use_gpu == (gpus > 0) and made.scaling_config.num_workers == 2
    assert made.backend_config.backend == backend


@pytest.mark.parametrize(
    ("spec", "resources"),
    [
        ({"cpus": 1, "gpus": 0.5}, {"cpu": 1, "gpu": 0.5}),
        ({"cpus": 0, "gpus": 0, "workers": 1}, {"cpu": 0.01}),
        ({"cpus": 1, "gpus": 0.5, "workers": 2}, {"cpu": 0, "memory": 1}),
    ],
)
def test_a_host_holds_what_its_trial_needs_unless_workers_do(
    spec: dict[str, Any], resources: dict[str, float]
) -> None:
    assert host_resources(make_spec(**spec)) == resources
