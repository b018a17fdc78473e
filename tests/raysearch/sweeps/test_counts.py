"""Counts are kept while nothing that they rest on changes, and never wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SWEEPS = """
import json, os
from pathlib import Path
from raysearch.sweeps.sweep import Metric, sweep
from mine.config import CHOICES, Toy

CALLS = []
MORE = json.loads((Path(__file__).parent / "more.json").read_text())

@sweep(metrics=[Metric("loss", "minimize")], sampler="grid")
def toy(trial):
    CALLS.append(1)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    if kind == "b":
        return Toy(kind=kind, number=trial.suggest_categorical("number[b]", CHOICES + MORE))
    if kind == "c":
        return Toy(kind=kind, number=trial.suggest_int("number[c]", 1, int(os.environ["MOST"])))
    return Toy(kind=kind)
"""
CONFIG = """
from trainables.core.training import ExperimentConfig
CHOICES = [1, 2]

class Toy(ExperimentConfig):
    experiment = "mine:run"
    name = "mine.toy"
    kind: str = "a"
    number: int = 0
"""
ASKS = """
import json
from raysearch.cli.spaces import declared
found = declared(["mine"])
from mine.sweeps import CALLS
print(json.dumps([found[0]["points"], found[0]["distinct"], len(CALLS)]))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with a sweep of 1 + 3 + 2 points: of two branches no sample sees both."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "sweeps.py").write_text(SWEEPS)
    (folder / "config.py").write_text(CONFIG)
    (folder / "more.json").write_text("[3]")
    return folder


def asked(package: Path, **environment: str) -> tuple[int, bool]:
    """How many points there are, and whether they were counted: a sample alone is one call."""
    home = {"XDG_CACHE_HOME": str(package.parent / "cache"), "MOST": "2"}
    done = subprocess.run(
        [sys.executable, "-c", ASKS], cwd=package.parent, capture_output=True, text=True,
        check=False, env={**os.environ, **home, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    points, distinct, calls = json.loads(done.stdout)
    assert points == distinct
    return points, calls > 1


def kept(package: Path) -> list[Path]:
    return list(package.parent.glob("cache/raysearch/counts/*"))


def test_what_was_counted_is_not_counted_again(package: Path) -> None:
    assert [asked(package) for _ in range(3)] == [(6, True), (6, False), (6, False)]
    (file,) = kept(package)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def _sweep(package: Path) -> dict[str, str]:
    (package / "sweeps.py").write_text(SWEEPS.replace("CHOICES + MORE", "CHOICES + MORE + [7]"))
    return {}


def _config(package: Path) -> dict[str, str]:
    (package / "config.py").write_text(CONFIG.replace("[1, 2]", "[1, 2, 9]"))
    return {}


def _file(package: Path) -> dict[str, str]:
    (package / "more.json").write_text("[3, 4]")
    return {}


def _variable(package: Path) -> dict[str, str]:
    return {"MOST": "3"}


@pytest.mark.parametrize("change", [_sweep, _config, _file, _variable])
def test_a_change_of_whatever_decides_it_is_counted(
    package: Path, change: Callable[[Path], dict[str, str]]
) -> None:
    asked(package)
    environment = change(package)
    assert [asked(package, **environment) for _ in range(2)] == [(7, True), (7, False)]


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _other_number(file: Path) -> None:
    file.write_text(file.read_text().replace("[6, 6", "[5, 5"))


def _other_json(file: Path) -> None:
    file.write_text('["counts"]')


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [_cut, _emptied, _other_number, _other_json, _folder])
def test_a_damaged_file_is_as_none(package: Path, damage: Callable[[Path], None]) -> None:
    asked(package)
    (file,) = kept(package)
    before = file.read_bytes()
    damage(file)
    assert not file.is_file() or file.read_bytes() != before
    assert asked(package) == (6, True)


def test_where_nothing_can_be_written_all_is_counted(package: Path) -> None:
    (package.parent / "cache").write_text("a file")
    assert [asked(package) for _ in range(2)] == [(6, True), (6, True)]
    assert asked(package, XDG_CACHE_HOME="/proc/nowhere") == (6, True)


def test_a_file_that_changes_while_the_program_runs_keeps_nothing(package: Path) -> None:
    later = time.time() + 3600
    os.utime(package / "config.py", (later, later))
    assert [asked(package) for _ in range(2)] == [(6, True), (6, True)]
    assert kept(package) == []


def test_old_files_are_forgotten(package: Path) -> None:
    asked(package)
    (newest,) = kept(package)
    for number in range(12):
        old = newest.with_name(f"{number}.json")
        old.write_text("{}")
        os.utime(old, (number, number))
    _file(package)
    asked(package)
    assert len(kept(package)) == 8 and newest in kept(package)


def test_what_was_loaded_before_is_counted(package: Path) -> None:
    """It may have read files, or been changed: nobody looked."""
    asked(package)
    again = ["from raysearch.cli.spaces import declared\ndeclared(['mine'])", ASKS]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(again)], cwd=package.parent, capture_output=True,
        text=True, check=True,
        env={**os.environ, "XDG_CACHE_HOME": str(package.parent / "cache"), "MOST": "2"},
    )  # fmt: skip
    assert json.loads(done.stdout)[2] > 2


def test_the_sweeps_that_ship_are_counted_as_ever(tmp_path: Path) -> None:
    environment: Any = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}

    def listed() -> str:
        command = [sys.executable, "-m", "raysearch.cli", "spaces", "--json"]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment
        ).stdout

    assert listed() == listed()
