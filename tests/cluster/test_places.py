"""Places on two nodes: of GPUs, which are in Ray's books alone, and of a killed driver's group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch.results.view import SearchView, TrialView
from tests.cluster.nodes import Nodes
from tests.raysearch.command import NOWHERE, end_all, raysearch, started, view_of, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.search, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A CPU on each of two nodes, and two GPUs on the second."""
    nodes = Nodes(workers=1, cpus=1, head_cpus=1, gpus=2)
    try:
        yield nodes.address
    finally:
        end_all()
        nodes.close()


def searched(folder: Path, address: str, sweep: str) -> SearchView:
    arguments = ["--name", sweep, "--address", address, *NOWHERE]
    done = raysearch(folder, "search", f"tests.cluster.devices:{sweep}", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = raysearch(folder, "check", sweep)
    assert checked.returncode == 0, checked.stdout
    return view_of(folder, sweep)


def devices(view: SearchView) -> dict[int, str]:
    return {number: str(trial.facts["device"]) for number, trial in view.trials.items()}


def failures(trial: TrialView) -> list[str]:
    return [str(failure["kind"]) for failure in trial.failures]


def test_two_trials_share_a_gpu_and_one_without_room_leaves_its_neighbours_alone(
    address: str, tmp_path: Path
) -> None:
    view = searched(tmp_path, address, "halves")
    assert view.spec.concurrent == 4
    assert set(devices(view).values()) == {"0", "1"}, "four at once, two of them on each"
    assert len({trial.facts["pid"] for trial in view.trials.values()}) == 4
    assert not any(trial.facts["used"] for trial in view.trials.values())
    assert {trial.state for trial in view.trials.values()} == {"complete"}
    assert [failures(view.trials[number]) for number in sorted(view.trials)].count(["memory"]) == 1
    [greedy] = [trial for trial in view.trials.values() if trial.failures]
    assert len(greedy.attempts) == 2 and greedy.config["greedy"]


@pytest.mark.long
def test_a_trial_with_a_whole_gpu_is_alone_on_it(address: str, tmp_path: Path) -> None:
    view = searched(tmp_path, address, "wholes")
    assert view.spec.concurrent == 2
    assert set(devices(view).values()) == {"0", "1"}


@pytest.mark.kill
def test_a_driver_killed_while_a_group_starts_leaves_its_places_to_the_next(
    address: str, tmp_path: Path
) -> None:
    where = ["--address", address]
    wide = ["tests.raysearch.searches.sharing:wide", "--name", "group", *NOWHERE]
    driver = started(tmp_path, "search", *wide, *where)
    mark = tmp_path / "runs/group/0000/attempt-1/group.txt"
    wait_until(mark.exists, what="for a group")
    driver.kill()
    driver.wait()
    assert not view_of(tmp_path, "group").trials[0].reports
    done = raysearch(tmp_path, "resume", "group", *where)
    assert done.returncode == 0, done.stdout + done.stderr
    trial = view_of(tmp_path, "group").trials[0]
    assert (trial.state, trial.failures, len(trial.attempts)) == ("complete", [], 2)
    assert [step for step, *_ in trial.reports] == [10, 20]
