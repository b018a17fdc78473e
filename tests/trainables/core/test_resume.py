"""A resumed run equals an uninterrupted one bit for bit, wherever it was ended."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from pathlib import Path

import pytest

from tests.trainables import runs
from tests.trainables.runs import EVERYTHING, Asked, Ending, Killed
from trainables.core import checkpoint
from trainables.core.session import LocalSession
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment

VARIANTS = {
    "everything": EVERYTHING,
    "sgd": EVERYTHING.with_values(
        {"optimizer.kind": "sgd", "optimizer.momentum": 0.9, "optimizer.nesterov": True}
    ),
    "lars": EVERYTHING.with_values({"optimizer.kind": "lars"}),
    "sam": EVERYTHING.with_values({"optimizer.kind": "sam"}),
    "sam around sgd": EVERYTHING.with_values(
        {"optimizer.kind": "sam", "optimizer.base": "sgd", "training.precision": "bfloat16"}
    ),
    "exponential": EVERYTHING.with_values({"schedule.kind": "exponential"}),
    "bfloat16": EVERYTHING.with_values({"training.precision": "bfloat16"}),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> LocalSession:
    return runs.run(EVERYTHING, tmp_path_factory.mktemp("whole"))


def resumed_equals(whole: LocalSession, killed: LocalSession, config: Supervised) -> None:
    """Goes on from the last checkpoint on record and compares all that is left behind."""
    rest = runs.run(config, killed.folder / "again", runs.last(killed))
    for step in killed.reports.keys() & rest.reports.keys():
        assert killed.reports[step] == rest.reports[step]
    assert rest.reports | killed.reports == whole.reports
    ends = runs.last(rest) or runs.last(killed), runs.last(whole)
    assert len({checkpoint.fingerprint(end) for end in ends if end}) == 1


@pytest.mark.parametrize("recorded", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 8))
def test_ended_in_a_report(tmp_path: Path, whole: LocalSession, step: int, recorded: bool) -> None:
    killed = Ending(tmp_path / "killed", step, recorded=recorded)
    with pytest.raises(Killed):
        SupervisedExperiment.run(EVERYTHING.to_json(), killed)
    resumed_equals(whole, killed, EVERYTHING)


SELDOM = EVERYTHING.with_values(
    {f"training.{name}_every": 4 for name in ("log", "evaluate", "save")}
)


@pytest.mark.parametrize("step", range(1, 7))
def test_told_to_stop_it_saves_after_that_step_and_goes_on_as_if_nothing_was(
    tmp_path: Path, step: int
) -> None:
    told = Asked(tmp_path / "told", step)
    SupervisedExperiment.run(SELDOM.to_json(), told)
    assert list(told.reports) == [4][: step // 4] and max(told.checkpoints) == step
    resumed_equals(runs.run(SELDOM, tmp_path / "whole"), told, SELDOM)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_every_optimiser_and_precision(tmp_path: Path, config: Supervised) -> None:
    killed = Ending(tmp_path / "killed", 5, recorded=True)
    with pytest.raises(Killed):
        SupervisedExperiment.run(config.to_json(), killed)
    resumed_equals(runs.run(config, tmp_path / "whole"), killed, config)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_ended_while_a_checkpoint_is_written(
    tmp_path: Path,
    whole: LocalSession,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    nth: int,
) -> None:
    real, calls = getattr(os, moment), iter(range(1, 100))
    per_save = 2 if moment == "fsync" else 1

    def end(*arguments: object) -> None:
        if next(calls) == per_save * (nth - 1) + 1:
            raise Killed
        real(*arguments)

    monkeypatch.setattr(os, moment, end)
    killed = LocalSession(tmp_path / "killed")
    with pytest.raises(Killed):
        SupervisedExperiment.run(EVERYTHING.to_json(), killed)
    monkeypatch.undo()
    resumed_equals(whole, killed, EVERYTHING)


def test_a_run_that_had_only_its_end_to_say_does_nothing_more(
    tmp_path: Path, whole: LocalSession
) -> None:
    assert runs.run(EVERYTHING, tmp_path, runs.last(whole)).reports == {}


@pytest.mark.kill
@pytest.mark.slow
def test_killed_twenty_times_at_random_moments_and_while_saving(tmp_path: Path) -> None:
    config = EVERYTHING.with_values({"training.steps": 1000, "training.save_every": 5})
    whole = runs.run(config, tmp_path / "whole")
    context, draw = multiprocessing.get_context("forkserver"), random.Random(0)
    context.set_forkserver_preload(["tests.trainables.runs", "torch._dynamo"])
    known: dict[int, dict[str, float]] = {}
    saved: Path | None = None
    kills = 0
    while True:
        folder = tmp_path / str(kills)
        fatal_save = draw.randint(1, 3) if kills < 20 and kills % 4 == 0 else 0
        arguments = (config.to_json(), folder, saved, fatal_save)
        process = context.Process(target=runs.run_in_process, args=arguments)
        process.start()
        process.join(draw.uniform(0.05, 0.4) if kills < 20 else None)
        process.kill()
        process.join()
        for step, metrics, path in runs.read_reports(folder):
            assert known.setdefault(step, metrics) == metrics
            saved = Path(path) if path else saved
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert kills >= 20 and known == whole.reports
    final = runs.last(whole)
    assert saved and final and checkpoint.fingerprint(saved) == checkpoint.fingerprint(final)
