"""Everything of a cluster is hurt under load, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.faults import Campaign, lines, summary
from tests.raysearch.record.postgres import programs

pytestmark = [pytest.mark.cluster, pytest.mark.kill, pytest.mark.slow]


def survived(folder: Path, seed: int, kills: int) -> None:
    programs()  # skips where there is no PostgreSQL
    Campaign(seed, kills, folder).run()
    print(summary(folder))
    rounds = lines(folder / "rounds.jsonl")
    assert [line["wrong"] for line in rounds] == [[]] * len(rounds)
    assert len(lines(folder / "log.jsonl")) == kills


@pytest.mark.timeout(1800)
def test_five_kills_of_a_cluster_lose_nothing(tmp_path: Path) -> None:
    survived(tmp_path, seed=0, kills=5)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_a_hundred_kills_of_a_cluster_lose_nothing(tmp_path: Path) -> None:
    survived(tmp_path, seed=1, kills=100)
