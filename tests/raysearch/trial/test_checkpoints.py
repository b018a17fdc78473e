"""Which checkpoints are kept: the last and the best, compared with a search over all of them."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from raysearch.trial.checkpoints import Kept, Retention, remove


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_is_the_last_and_the_earliest_best(direction: str, seed: int) -> None:
    draw = random.Random(seed)
    values = [draw.choice([0.1, 0.2, 0.3, math.nan, None]) for _ in range(20)]
    checkpoints = [Kept(step, f"{step}.pt", value) for step, value in enumerate(values)]
    retention, left = Retention(direction), set[str]()
    for checkpoint in checkpoints:
        left = (left | {checkpoint.path}) - set(retention.add(checkpoint))
    finite = [one for one in checkpoints if one.value is not None and math.isfinite(one.value)]
    sign = 1 if direction == "maximize" else -1
    best = max(finite, key=lambda one: (sign * (one.value or 0), -one.step))
    assert left == {checkpoints[-1].path, best.path}
    assert retention.best == best


def test_a_keeper_fed_with_what_another_kept_decides_like_it() -> None:
    one = Retention("maximize")
    for step, value in enumerate([0.5, 0.9, 0.7, 0.8]):
        one.add(Kept(step, f"{step}.pt", value))
    other = Retention("maximize", one.kept())
    following = Kept(9, "9.pt", 0.85)
    assert one.add(following) == other.add(following) == ["3.pt"]
    assert one.best == other.best


@pytest.mark.parametrize("reduce", ["last", "mean(3)"])
def test_the_best_is_the_last_with_a_value_where_the_last_values_count(reduce: str) -> None:
    retention = Retention("maximize", reduce=reduce)
    for step, value in enumerate([0.5, 0.9, 0.7, math.nan, None]):
        retention.add(Kept(step, f"{step}.pt", value))
    assert [kept.path for kept in retention.kept()] == ["2.pt", "4.pt"]
    assert retention.best is not None and retention.best.step == 2


def test_a_value_that_follows_its_checkpoint_counts_for_it() -> None:
    retention = Retention("maximize", [Kept(1, "1.pt", 0.5)])
    assert retention.add(Kept(2, "2.pt")) == []
    assert retention.learn(3, 0.9) == [] and retention.learn(2, 0.8) == ["1.pt"]
    assert retention.learn(2, 0.1) == [] and retention.best == Kept(2, "2.pt", 0.8)


def test_a_damaged_last_one_gives_way_to_the_best_and_a_damaged_best_to_its_equal() -> None:
    retention = Retention("maximize", [Kept(1, "1.pt", 0.9), Kept(2, "2.pt", 0.5)])
    retention.damaged("2.pt")
    assert retention.last == retention.best == Kept(1, "1.pt", 0.9)
    retention.damaged("1.pt")
    assert retention.last is None and retention.best == Kept(1, "1.pt", 0.9)
    assert retention.add(Kept(1, "again.pt", 0.8)) == []
    assert retention.add(Kept(1, "equal.pt", 0.9)) == ["1.pt", "again.pt"]


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.pt", tmp_path / "b"
    file.touch()
    folder.mkdir()
    remove([file, folder, tmp_path / "never"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_outside_a_folder_is_removed_whatever_the_path_says(tmp_path: Path) -> None:
    inside, outside = tmp_path / "runs/a", tmp_path / "mine"
    for place in (inside, outside):
        (place / "deep").mkdir(parents=True)
        (place / "deep/model.pt").write_text("weights")
    (inside / "far").symlink_to(outside)
    (inside / "near.pt").symlink_to(outside / "deep/model.pt")
    ways = ["../../mine", "deep/../../../mine/deep", ".", "", "far/deep", "near.pt", str(outside)]
    remove([inside / way for way in ways], inside)
    assert (outside / "deep/model.pt").read_text() == "weights"
    assert sorted(path.name for path in inside.iterdir()) == ["deep", "far"]
    remove([inside / "far", inside / "deep"], inside)
    assert (outside / "deep/model.pt").exists() and list(inside.iterdir()) == []
