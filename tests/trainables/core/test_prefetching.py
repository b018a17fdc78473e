"""Batches that are made ahead are the same, and their thread leaves nothing behind."""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables import groups, runs
from tests.trainables.group_configs import TWENTY_STEPS
from tests.trainables.runs import EVERYTHING, Asked, Ending, Killed
from trainables.core import checkpoint, loop
from trainables.core.experiment import Batch
from trainables.core.prefetching import ahead
from trainables.core.session import LocalSession
from trainables.ssl.experiment import SupervisedExperiment

AHEAD = EVERYTHING.with_values({"training.prefetch": 2})


def threads() -> list[str]:
    """The names of threads that live."""
    return [one.name for one in threading.enumerate()]


@pytest.mark.parametrize("values", [{}, {"optimizer.kind": "sam"}], ids=["adamw", "sam"])
def test_a_run_is_the_same_bit_for_bit(tmp_path: Path, values: dict[str, Any]) -> None:
    """With dropout, drop path, and MixUp or CutMix of each batch."""
    plain = runs.run(EVERYTHING.with_values(values), tmp_path / "plain")
    fetched = runs.run(AHEAD.with_values(values), tmp_path / "ahead")
    assert fetched.reports == plain.reports and len(plain.reports) == 7
    prints = [checkpoint.fingerprint(one.checkpoints[7]) for one in (plain, fetched)]
    assert prints[0] == prints[1]


def test_it_changes_no_digest() -> None:
    assert AHEAD.digest() == EVERYTHING.digest()
    assert "prefetch" not in AHEAD.canonical()["training"]


def test_a_resumed_run_makes_ahead_from_where_it_is(tmp_path: Path) -> None:
    whole = runs.run(AHEAD, tmp_path / "whole")
    rest = runs.run(AHEAD, tmp_path / "rest", whole.checkpoints[4])
    assert rest.reports == {step: whole.reports[step] for step in (5, 6, 7)}


def test_so_many_are_ready_and_no_more() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    with ahead(numbers(), 3) as ready:
        seen = []
        for number in ready:
            deadline = time.monotonic() + 5
            while len(made) < min(number + 4, 10) and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(0.005)
            assert len(made) == min(number + 4, 10)
            seen.append(number)
    assert seen == list(range(10)) and "batches" not in threads()


def test_without_it_there_is_no_thread() -> None:
    batches = iter([1, 2])
    with ahead(batches, 0) as ready:
        assert ready is batches and "batches" not in threads()


class Broken(SupervisedExperiment):
    """Cannot make the batch of step 4."""

    def batch(self, step: int) -> Batch:
        if step == 4:
            raise KeyError("no such picture")
        return super().batch(step)


def test_what_is_raised_in_the_thread_surfaces_in_its_step(tmp_path: Path) -> None:
    session = LocalSession(tmp_path)
    with pytest.raises(KeyError, match="no such picture") as error:
        Broken.run(AHEAD.to_json(), session)
    assert list(session.reports) == [1, 2, 3] and "batches" not in threads()
    names = [frame.name for frame in traceback.extract_tb(error.value.__traceback__)]
    assert names.index("train") < names.index("_next") < names.index("batch")


def test_the_thread_ends_with_a_run_that_raises_or_is_told_to_stop(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        SupervisedExperiment.run(AHEAD.to_json(), Ending(tmp_path / "a", 2, recorded=True))
    assert "batches" not in threads()
    told = Asked(tmp_path / "b", 3)
    SupervisedExperiment.run(AHEAD.to_json(), told)
    assert max(told.checkpoints) == 3 and "batches" not in threads()


class Looking(SupervisedExperiment):
    """Keeps how many threads compute where a batch is made, and which one makes it."""

    seen: set[tuple[str, int]]

    def batch(self, step: int) -> Batch:
        seen: set[tuple[str, int]] = vars(self).setdefault("seen", set())
        seen.add((threading.current_thread().name, torch.get_num_threads()))
        return super().batch(step)


def test_the_thread_computes_with_as_many_threads_and_changes_none(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    try:
        experiment = Looking.create(AHEAD.with_values({"training.steps": 2}).to_json())
        loop.train(experiment, LocalSession(tmp_path))
        assert experiment.seen == {("MainThread", 2), ("batches", 2)}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def drawing(generator: str) -> Iterator[float]:
    """Numbers from a global generator."""
    while True:
        if generator == "python":
            yield random.random()
        elif generator == "numpy":
            yield float(np.random.random_sample())
        else:
            yield float(torch.rand(()))


@pytest.mark.parametrize("generator", ["python", "numpy", "torch"])
def test_batches_from_a_global_generator_are_refused(generator: str) -> None:
    with pytest.raises(ValueError, match=r"training.prefetch must be 0 for an experiment whose"):
        with ahead(drawing(generator), 2):
            pass
    assert "batches" not in threads()


@pytest.mark.slow
def test_two_workers_make_their_shares_ahead(tmp_path: Path) -> None:
    found = []
    for count in (0, 2):
        data = TWENTY_STEPS.with_values({"training.prefetch": count}).to_json()
        work = partial(groups.run, "precise", data, None, 0)
        found.append(groups.together(2, tmp_path / str(count), work))
    assert found[0][0]["reports"] == found[1][0]["reports"]
    for one, other in zip(*found, strict=True):
        assert all(torch.equal(one["state"][name], other["state"][name]) for name in one["state"])
