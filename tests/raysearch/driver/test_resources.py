"""What fits at once: no group that would wait for ever is started, and parts of GPUs are shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysearch.driver import resources as places
from raysearch.driver.resources import Machine, fits, resources
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.sweep import Resources
from tests.raysearch.specs import make_spec
from tests.raysearch.toys import grid, swept

FOUR = Machine(cpus=4, gpus=2, memory=8 << 30)


def room(need: dict[str, Any], machine: Machine = FOUR, **asked: Any) -> dict[str, Any]:
    return resources(swept(grid, resources=Resources(**need)), machine, **asked)


@pytest.mark.parametrize(
    ("need", "concurrent", "threads"),
    [
        ({}, 4, 1),
        ({"cpus": 2}, 2, 2),
        ({"workers": 2}, 2, 1),
        ({"workers": 3}, 1, 1),
        ({"workers": 2, "cpus": 2}, 1, 2),
        ({"gpus": 0.5}, 4, 1),
        ({"gpus": 0.4, "cpus": 0.1}, 4, 1),  # two on each GPU, not five on both
        ({"gpus": 1}, 2, 2),
        ({"gpus": 0.5, "workers": 2}, 2, 1),
        ({"cpus": 0.5}, 8, 1),
        ({"cpus": 0}, 4, 1),
    ],
)
def test_as_many_as_fit_with_all_their_workers(
    need: dict[str, Any], concurrent: int, threads: int
) -> None:
    found = room(need)
    assert (found["concurrent"], found["threads"]) == (concurrent, threads)
    assert found["memory"] == (8 << 30) // concurrent


def test_what_is_asked_for_goes_before_what_the_sweep_says() -> None:
    found = room({"workers": 4, "gpus": 1}, workers=2, gpus=0.5, concurrent=1, memory=16 << 20)
    assert (found["workers"], found["gpus"], found["concurrent"]) == (2, 0.5, 1)
    assert found["memory"] == 16 << 20 and found["threads"] == 2


def spec(**need: Any) -> SearchSpec:
    return make_spec(**{"search": "one", "cpus": 1.0, "gpus": 0.0, "workers": 1, **need})


@pytest.mark.parametrize(
    ("need", "machine", "at_once"),
    [
        ({}, (4, 2), 4),
        ({}, (1, 0), 1),
        ({"cpus": 2.0}, (3, 0), 1),
        ({"cpus": 0.5}, (1, 0), 2),
        ({"gpus": 0.5}, (4, 1), 2),
        ({"gpus": 1.0}, (4, 1), 1),
        ({"workers": 2}, (3, 0), 1),
        ({"workers": 2, "gpus": 0.5}, (4, 2), 2),
    ],
)
def test_a_search_that_has_begun_runs_as_many_at_once_as_fit_here(
    need: dict[str, Any], machine: tuple[int, int], at_once: int
) -> None:
    cpus, gpus = machine
    assert fits(spec(**need), Machine(cpus, gpus, 8 << 30)) == at_once


@pytest.mark.parametrize(
    ("need", "machine", "sentence"),
    [
        ({"cpus": 2.0}, (1, 0), "each of its trials needs 2 CPUs, and 1 CPUs and 0 GPUs exist"),
        ({"gpus": 1.0}, (4, 0), "needs 1 CPUs and 1 GPUs, and 4 CPUs and 0 GPUs exist"),
        ({"workers": 3}, (2, 0), "needs 3 workers with 1 CPUs each, and 2 CPUs and 0 GPUs exist"),
    ],
)
def test_where_not_one_trial_fits_it_is_said_what_is_needed_and_what_is_there(
    need: dict[str, Any], machine: tuple[int, int], sentence: str
) -> None:
    cpus, gpus = machine
    with pytest.raises(ValueError, match=f"^search 'one' cannot go on here: .*{sentence}"):
        fits(spec(**need), Machine(cpus, gpus, 8 << 30))


@pytest.mark.parametrize(
    ("need", "asked", "sentence"),
    [
        (
            {"workers": 5},
            {},
            "resources.workers of sweep toys.grid must be at most 4 (1 CPUs each, 4 CPUs and 2 "
            "GPUs exist), got 5",
        ),
        (
            {"workers": 3, "gpus": 1},
            {},
            "resources.workers of sweep toys.grid must be at most 2 (1 CPUs and 1 GPUs each, 4 "
            "CPUs and 2 GPUs exist), got 3",
        ),
        (
            {"workers": 2},
            {"concurrent": 3},
            "--concurrent must be between 1 and 2 (2 workers with 1 CPUs a trial, 4 CPUs and 2 "
            "GPUs exist), got 3",
        ),
        ({}, {"workers": 0}, "resources.workers must be at least 1, got 0"),
        ({}, {"gpus": 1.5}, "resources.gpus must be a whole number or below 1, got 1.5"),
        (
            {"gpus": 3},
            {},
            "resources.gpus of sweep toys.grid must be at most the 2 GPUs that exist, got 3",
        ),
        (
            {"cpus": 0},
            {"workers": 2},
            "resources.cpus must be above 0 for each of 2 workers, got 0",
        ),
    ],
)
def test_what_can_never_fit_is_refused_with_a_sentence(
    need: dict[str, Any], asked: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError) as error:
        room(need, **asked)
    assert str(error.value) == sentence


def test_two_workers_fit_where_there_are_two_cpus() -> None:
    two = Machine(cpus=2, gpus=0, memory=1)
    assert room({"workers": 2}, two)["concurrent"] == 1


CLUSTER = Machine.cluster(
    [Machine(0, 0, 4 << 30), Machine(8, 1, 64 << 30), Machine(4, 2, 16 << 30)]
)


@pytest.mark.parametrize(
    ("need", "concurrent", "threads", "memory"),
    [
        ({}, 12, 1, 4),
        ({"cpus": 3}, 3, 4, 16),  # two on one node, one on the other; none on what is left of both
        ({"gpus": 1}, 3, 2, 8),
        ({"gpus": 0.5}, 6, 1, 4),
        ({"workers": 3, "gpus": 1}, 1, 2, 8),
        ({"cpus": 0}, 12, 1, 4),  # none on the head
    ],
)
def test_on_a_cluster_each_worker_fits_on_one_node(
    need: dict[str, Any], concurrent: int, threads: int, memory: int
) -> None:
    found = room(need, CLUSTER)
    assert (found["concurrent"], found["threads"]) == (concurrent, threads)
    assert found["memory"] == memory << 30


def test_what_fits_on_no_node_is_refused_although_the_cluster_has_it() -> None:
    with pytest.raises(ValueError, match="at most the 8 CPUs that exist on one node, got 9"):
        room({"cpus": 9}, CLUSTER)
    with pytest.raises(ValueError, match="must fit on one node .8 CPUs and 2 GPUs., and no node"):
        room({"cpus": 8, "gpus": 2}, CLUSTER)


@pytest.mark.parametrize(
    ("shown", "count"),
    [("", 0), ("-1", 0), ("0", 1), (" 1, 0 ", 2), ("0,-1,1", 1), ("NoDevFiles", 0), ("GPU-ab", 1)],
)
def test_devices_count_as_far_as_cuda_reads_their_list(
    shown: str, count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    monkeypatch.setattr(places, "_DEVICES", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert Machine.here().gpus == count
