"""The broker: what drivers say, what they are granted; and two searches that share two CPUs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from raysearch.driver.broker import CAREFUL, EXPIRES, STARVES, Ledger
from raysearch.driver.fair_share import Node
from raysearch.results.view import SearchView
from tests.cluster.nodes import Nodes
from tests.raysearch.command import (
    ENVIRONMENT,
    end_all,
    raysearch,
    started,
    store_of,
    view_of,
    wait_until,
)
from tests.raysearch.test_kills import hash_chain

SHARING = "tests.raysearch.searches.sharing"


class Told:
    """A ledger with a clock that is set by hand; drivers that speak to it."""

    def __init__(self, *nodes: Node, user_limit: int | None = None, age: float = CAREFUL) -> None:
        self.now = 0.0
        self.ledger = Ledger(lambda: list(nodes), user_limit, lambda: self.now)
        self.now = age

    def says(self, search: str, wants: int, runs: int = 0, has: int = 0, **more: Any) -> int:
        fields = {"search": search, "name": search, "user": search, "since": float(ord(search))}
        return self.ledger.report({**fields, "wants": wants, "runs": runs, "has": has, **more})


def test_a_search_that_is_alone_is_granted_all_at_once() -> None:
    assert Told(Node(4)).says("a", wants=9) == 4


def test_a_second_search_gets_places_when_the_first_has_left_them_not_before() -> None:
    told = Told(Node(4))
    told.says("a", wants=9)
    assert told.says("b", wants=9) == 0
    assert told.says("a", wants=9, runs=4, has=4) == 2
    assert told.says("b", wants=9) == 0
    assert told.says("a", wants=9, runs=3, has=2) == 2
    assert told.says("b", wants=9) == 1
    assert told.says("a", wants=9, runs=2, has=2) == 2
    assert told.says("b", wants=9, runs=1, has=1) == 2


def test_what_a_driver_may_start_before_it_hears_the_answer_is_nobody_elses() -> None:
    told = Told(Node(4))
    told.says("a", wants=9)
    assert told.says("a", wants=0, runs=0, has=4) == 0
    assert told.says("b", wants=9) == 0
    told.says("a", wants=0, runs=0, has=0)
    assert told.says("b", wants=9) == 4


def test_two_groups_that_do_not_both_fit_are_not_both_begun() -> None:
    told = Told(Node(2), Node(2))
    assert told.says("a", wants=1, workers=3) == 1
    assert told.says("b", wants=1, workers=3) == 0
    told.says("a", wants=0)
    assert told.says("b", wants=1, workers=3) == 1


@pytest.mark.parametrize(("silence", "granted"), [(EXPIRES, 0), (EXPIRES + 0.1, 4)])
def test_the_grant_of_a_driver_that_died_expires(silence: float, granted: int) -> None:
    told = Told(Node(4))
    told.says("a", wants=9, runs=4, has=4)
    told.now += silence
    assert told.says("b", wants=9) == granted


def test_a_driver_that_says_goodbye_frees_its_places_at_once() -> None:
    told = Told(Node(4))
    told.says("a", wants=9, runs=4, has=4)
    told.ledger.withdraw("a")
    assert told.says("b", wants=9) == 4


@pytest.mark.parametrize(("age", "granted"), [(CAREFUL - 0.1, 1), (CAREFUL, 4)])
def test_a_broker_that_has_just_begun_lets_all_keep_what_they_have(
    age: float, granted: int
) -> None:
    assert Told(Node(4), age=age).says("a", wants=9, runs=1, has=1) == granted


def test_one_that_waits_long_for_its_first_trial_has_its_turn() -> None:
    told = Told(Node(4))
    while told.now < STARVES:
        assert told.says("a", wants=9, runs=4, has=4) == 4
        assert told.says("b", wants=1, cpus=4) == 0
        told.now += 5
    told.now += 5
    told.says("b", wants=1, cpus=4)
    assert told.says("a", wants=9, runs=4, has=4) == 0
    told.says("a", wants=9, runs=0, has=0)
    assert told.says("b", wants=1, cpus=4) == 1


def test_it_says_who_has_what() -> None:
    told = Told(Node(4, 1), user_limit=3)
    told.says("a", wants=9, priority=-1)
    told.says("b", wants=2)
    said = told.ledger.describe()
    assert (said["cpus"], said["gpus"], said["user_limit"]) == (4, 1, 3)
    rows = [(row["search"], row["wants"], row["granted"]) for row in said["searches"]]
    assert rows == [("b", 2, 1), ("a", 9, 3)]


# On a real cluster


def marked(test: Callable[..., None]) -> Callable[..., None]:
    """A test that starts a cluster."""
    for mark in (pytest.mark.slow, pytest.mark.cluster, pytest.mark.search):
        test = mark(test)
    return pytest.mark.timeout(1800)(test)


@dataclass
class Story:
    """Two searches shared two CPUs, and the broker was killed between; what became of them."""

    folder: Path
    brokers: tuple[list[int], list[int]]

    def view(self, name: str) -> SearchView:
        return view_of(self.folder, name)


def brokers(nodes: Nodes) -> list[int]:
    return [p.pid for p in nodes.processes() if "ray::Broker" in " ".join(p.cmdline())]


def began(folder: Path, name: str, trial: int) -> bool:
    return any((folder / f"runs/{name}/{trial:04d}").glob("attempt-*/log.txt"))


def begin(folder: Path, nodes: Nodes, sweep: str, name: str) -> subprocess.Popen[str]:
    where = ["--address", nodes.address, "--tracking-uri", "none"]
    return started(folder, "search", f"{SHARING}:{sweep}", "--name", name, "--user", name, *where)


def finished(process: subprocess.Popen[str]) -> None:
    output = process.communicate(timeout=900)[0]
    assert process.returncode == 0, output


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENT, "RAY_AUTH_MODE", "disabled")
        found = Nodes(0, head_cpus=2)
        try:
            yield found
        finally:
            end_all()
            found.close()


@pytest.fixture(scope="module")
def story(nodes: Nodes) -> Iterator[Story]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grid = begin(folder, nodes, "long_grid", "grid")
        wait_until(lambda: began(folder, "grid", 1), what="for the grid")
        before = brokers(nodes)
        psutil.Process(before[0]).kill()
        small = begin(folder, nodes, "small", "small")
        finished(small)
        finished(grid)
        yield Story(folder, (before, brokers(nodes)))


@marked
def test_a_small_search_passes_a_long_grid_that_has_all_cpus(story: Story) -> None:
    small, grid = story.view("small").trials, story.view("grid").trials
    assert [trial.state for trial in small.values()] == ["complete"] * 2
    created = next(iter(store_of(story.folder).events("small"))).time
    started = small[0].started or 0
    print(f"its first trial had a slot {(started - created) / 1000:.1f} s after it was created")
    assert started < max(trial.ended or 0 for trial in grid.values())


@marked
def test_the_trial_that_made_room_went_on_where_it_was_and_no_bit_differs(story: Story) -> None:
    links, trials = hash_chain(180), story.view("grid").trials
    assert sum(len(trial.attempts) for trial in trials.values()) > len(trials) == 2
    for trial in trials.values():
        assert trial.state == "complete" and not trial.failures
        reported = {step: metrics["val/link"] for step, _, _, metrics in trial.reports}
        assert reported == {step: links[step] for step in range(10, 181, 10)}


@marked
def test_a_killed_broker_is_there_again_and_nothing_is_lost(story: Story) -> None:
    before, after = story.brokers
    assert len(before) == len(after) == 1 and before != after
    for name in ("small", "grid"):
        checked = raysearch(story.folder, "check", name, "--tracking-uri", "none")
        assert checked.returncode == 0, checked.stdout + checked.stderr


@marked
@pytest.mark.long
def test_two_searches_of_groups_that_do_not_both_fit_both_finish(
    nodes: Nodes, tmp_path: Path
) -> None:
    both = [begin(tmp_path, nodes, "wide", name) for name in ("one", "two")]
    for process in both:
        finished(process)
    for name in ("one", "two"):
        (trial,) = view_of(tmp_path, name).trials.values()
        assert trial.state == "complete" and not trial.failures
