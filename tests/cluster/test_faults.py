"""Everything of a cluster is hurt under load, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.faults import Campaign, lines, summary
from tests.raysearch.events.postgres import programs

pytestmark = [pytest.mark.cluster, pytest.mark.kill, pytest.mark.slow]


def survived(folder: Path, seed: int, kills: int, *fixed: str) -> None:
    programs()  # skips where there is no PostgreSQL
    Campaign(seed, kills, folder, *fixed).run()
    print(summary(folder))
    rounds = lines(folder / "rounds.jsonl")
    assert [line["wrong"] for line in rounds] == [[]] * len(rounds)
    assert len(lines(folder / "log.jsonl")) == kills


@pytest.mark.timeout(1800)
def test_four_injuries_of_a_cluster_lose_nothing(tmp_path: Path) -> None:
    """A driver that dies while a checkpoint is saved and one at a named moment, a full disk, and a
    node that is wanted back.
    """
    survived(tmp_path, 0, 4, "model.dropout=0.2", "training.steps=240")  # two trials


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_a_hundred_kills_of_a_cluster_lose_nothing(tmp_path: Path) -> None:
    survived(tmp_path, seed=1, kills=100)
