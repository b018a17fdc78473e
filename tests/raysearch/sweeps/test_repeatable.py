"""The same values give the same configuration, in this process and in a fresh one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from raysearch.errors import BadSetting
from raysearch.settings import SWEEPS
from raysearch.sweeps.catalog import find_sweep
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.fresh_process import Elsewhere
from raysearch.sweeps.space import Space
from tests.raysearch.toys import Toy, swept
from trainables.core.run import RunConfig

COUNTER = itertools.count(1)


class Tagged(RunConfig):
    experiment = "tests:none"
    name = "tests.tagged"
    x: float = 0.0
    tag: str = ""


def counted(trial: Any) -> Tagged:
    return Tagged(x=trial.suggest_float("x", 0, 1), tag=f"run-{next(COUNTER)}")


def seeded(trial: Any) -> Tagged:
    return Tagged(x=trial.suggest_float("x", 0, 1), seed=next(COUNTER))


def bounded(trial: Any) -> Tagged:
    return Tagged(x=trial.suggest_float("x", 0, next(COUNTER)))


def branching(trial: Any) -> Any:
    name = "depth" if next(COUNTER) % 2 else "width"
    return Toy(**{name: trial.suggest_categorical(name, [4, 8])})


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (counted, "got tag='run-"),
        (seeded, "got seed="),
        (bounded, "got x.high="),
        (branching, "must ask for the same parameters each time"),
    ],
)
def test_what_differs_the_second_time_is_named(function: Any, words: str) -> None:
    with pytest.raises(BadSetting) as error:
        check_space(Space(swept(function)))
    assert words in str(error.value) and "leave time, chance" in str(error.value)


MODULE = """
import os, random, time
from datetime import date, datetime
from time import strftime
from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.run import RunConfig


class Tagged(RunConfig):
    experiment = "tests:none"
    name = "tests.tagged"
    x: float = 0.0
    tag: str = ""


ONCE = random.random()
STAMP = datetime.fromtimestamp(0)
AT = datetime.now().strftime("%Y-%m-%d")
WAYS = {
    "sound": lambda: (
        f"{datetime(2020, 1, 1)} {date(2020, 1, 1)} {random.Random(3).random()} "
        f"{bool([time.time(), datetime.now(), random.random()])} {isinstance(STAMP, date)}"
    ),
    "day": lambda: date.today().isoformat(),
    "minute": lambda: datetime.now().strftime("%H:%M"),
    "year": lambda: strftime("%Y"),
    "local": lambda: str(time.localtime().tm_hour),
    "imported": lambda: AT,
    "drawn": lambda: str(ONCE),
    "process": lambda: str(os.getpid()),
    "identity": lambda: str(id(AT)),
}


def made(way):
    @sweep(name=f"timed.{way}", metrics=[Metric("val/loss", "minimize")])
    def one(trial):
        return Tagged(x=trial.suggest_float("x", 0, 1), tag=WAYS[way]())
    one.function.__qualname__ = way
    return one


globals().update({way: made(way) for way in WAYS})
"""
ORDERED = MODULE.replace("str(os.getpid())", '",".join({"one", "two", "three", "four", "five"})')
UNSOUND = ["day", "minute", "year", "local", "imported", "drawn", "process", "identity"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timed")
    (folder / "timed.py").write_text(MODULE)
    (folder / "ordered.py").write_text(ORDERED)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["timed:sound", *(f"timed:{way}" for way in UNSOUND), "ordered:process"]
)
def test_a_fresh_process_tells_time_and_chance_from_what_is_sound(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    space = Space(find_sweep(name, ()))
    check_space(space)
    if name.endswith(":sound"):
        with Elsewhere(space):
            return
    with pytest.raises(BadSetting, match="got tag=.* and, in another process at another time"):
        with Elsewhere(space):
            pass


def test_a_module_that_cannot_be_imported_there_is_no_evidence() -> None:
    def nowhere(trial: Any) -> Tagged:
        return Tagged(x=trial.suggest_float("x", 0, 1))

    nowhere.__module__ = "no_such_module"
    with Elsewhere(Space(swept(nowhere))) as asked:
        asked.compare()


@pytest.mark.slow
def test_the_sweeps_that_are_installed_say_the_same_in_a_fresh_process() -> None:
    for name in ("ssl.digits_vit", "slots.clevr6_paper_small"):
        with Elsewhere(Space(find_sweep(name, SWEEPS))):
            pass
