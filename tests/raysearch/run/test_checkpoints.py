"""Which checkpoints are kept: the last and the best, compared with a search over all of them."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from raysearch.run.checkpoints import Keeper, Kept, remove


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_is_the_last_and_the_earliest_best(direction: str, seed: int) -> None:
    draw = random.Random(seed)
    values = [draw.choice([0.1, 0.2, 0.3, math.nan, None]) for _ in range(20)]
    checkpoints = [Kept(step, f"{step}.pt", value) for step, value in enumerate(values)]
    keeper, left = Keeper(direction), set[str]()
    for checkpoint in checkpoints:
        left = (left | {checkpoint.path}) - set(keeper.add(checkpoint))
    finite = [one for one in checkpoints if one.value is not None and math.isfinite(one.value)]
    sign = 1 if direction == "maximize" else -1
    best = max(finite, key=lambda one: (sign * (one.value or 0), -one.step))
    assert left == {checkpoints[-1].path, best.path}
    assert keeper.best == best


def test_a_keeper_fed_with_what_another_kept_decides_like_it() -> None:
    one = Keeper("maximize")
    for step, value in enumerate([0.5, 0.9, 0.7, 0.8]):
        one.add(Kept(step, f"{step}.pt", value))
    other = Keeper("maximize", one.kept())
    following = Kept(9, "9.pt", 0.85)
    assert one.add(following) == other.add(following) == ["3.pt"]
    assert one.best == other.best


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.pt", tmp_path / "b"
    file.touch()
    folder.mkdir()
    remove([file, folder, tmp_path / "never"])
    assert list(tmp_path.iterdir()) == []
