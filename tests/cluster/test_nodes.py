"""Single faults of a cluster: what happens to a trial when its node, or the disk, fails it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from raysearch.events.log import Store
from raysearch.results.view import SearchView
from tests.cluster.target import INJURIES, Target, target
from tests.raysearch.command import wait_until
from tests.raysearch.events.postgres import forget

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.kill,
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]
ONE = [
    "tests.cluster.sweeps:trained",
    "optimizer.lr=0.003",
    "model.dropout=0.2",
    "training.steps=100",
]


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("faults")) as opened:
        yield opened


def begun(hurt: Target, name: str) -> None:
    """A search of one trial, which has saved a checkpoint."""
    hurt.drive("search", *ONE, "--name", name)
    runs = hurt.runs / name
    wait_until(lambda: any(runs.glob("0000/*/checkpoints/*.pt")), what="for a checkpoint")


def ended(hurt: Target, name: str) -> SearchView:
    assert hurt.driver is not None
    hurt.driver.wait(240)
    forget(hurt.store)
    return SearchView.read(Store(hurt.store), name)


@pytest.mark.parametrize("fault", ["raylet", "node"])
def test_a_trial_that_lost_its_node_goes_on_from_its_checkpoint(hurt: Target, fault: str) -> None:
    begun(hurt, fault)
    assert INJURIES[fault](hurt, random.Random(0), fault)
    trial = ended(hurt, fault).trials[0]
    assert trial.state == "complete"
    assert [failure["kind"] for failure in trial.failures] == ["host_lost"]
    assert trial.attempts[1]["restored"] is not None


def test_a_trial_that_is_given_notice_saves_at_once(hurt: Target) -> None:
    begun(hurt, "notice")
    facts = INJURIES["notice"](hurt, random.Random(0), "notice")
    assert facts and facts["left"] == 0 and facts["saved"] < 30
    assert ended(hurt, "notice").trials[0].state == "complete"


def test_a_full_disk_ends_the_search_with_one_sentence_and_a_resume_finishes_it(
    hurt: Target,
) -> None:
    if not hurt.has_disk:
        pytest.skip("a disk of its own is mounted as root")
    begun(hurt, "full")
    INJURIES["disk"](hurt, random.Random(0), "full")
    view = ended(hurt, "full")
    assert view.state == "stopped"
    assert view.reason.startswith("no space is left on the disk; make some, and resume: ")
    hurt.drive("resume", "full")
    assert ended(hurt, "full").trials[0].state == "complete"
