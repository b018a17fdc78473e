"""Names lead to sweeps and experiments, and a wrong one to what is on offer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import raysearch.declare.sweep as former
import raysearch.sweeps.sweep as current
from raysearch.errors import BadSetting
from raysearch.sweeps.catalog import experiments, find_experiment, find_sweep, sweeps

SWEEPS = """
from raysearch.sweeps.sweep import Metric, sweep
from corner_things.one.config import One

@sweep(metrics=[Metric("loss", "minimize")])
def narrow(trial):
    return One()

@sweep(metrics=[Metric("loss", "minimize")], name="{name}")
def wide(trial):
    return One()

not_a_sweep = 3
"""
CONFIG = """
class Base:
    experiment: str

class One(Base):
    experiment = "corner_things.one.experiment:Run"
    name = "one.run"
"""


@pytest.fixture(autouse=True)
def corner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with packages of somebody else's, which is the current one."""
    files = {
        "corner_spaces/__init__.py": "",
        "corner_spaces/first.py": SWEEPS.format(name="first.B.1"),
        "corner_spaces/second.py": SWEEPS.format(name="wide_too"),
        "corner_things/__init__.py": "",
        "corner_things/one/__init__.py": "raise RuntimeError('only its config is needed')"[:0],
        "corner_things/one/config.py": CONFIG,
        "corner_things/two/__init__.py": "",
        "corner_broken.py": "import a_module_that_nobody_has",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield
    for name in [name for name in sys.modules if name.startswith("corner_")]:
        del sys.modules[name]


SPACES = ["corner_spaces"]


def test_sweeps_are_named_by_module_and_function_unless_they_have_a_name() -> None:
    names = ["first.narrow", "first.B.1", "second.narrow", "wide_too"]
    assert list(sweeps(SPACES)) == names


@pytest.mark.parametrize(
    "name", "Config Direction Fidelity Incomplete Metric Resources Sweep Trial sweep".split()
)
def test_the_former_place_of_a_name_has_the_same_one(name: str) -> None:
    assert getattr(former, name) is getattr(current, name)


def test_a_sweep_that_imports_from_the_former_place_is_found(tmp_path: Path) -> None:
    text = SWEEPS.format(name="former").replace("raysearch.sweeps.sweep", "raysearch.declare.sweep")
    (tmp_path / "corner_former.py").write_text(text)
    assert find_sweep("corner_former:wide", SPACES).name == "former"


@pytest.mark.parametrize("is_package", [True, False])
def test_a_folder_of_the_same_name_adds_its_sweeps(
    is_package: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "elsewhere" / "corner_spaces"
    own.mkdir(parents=True)
    (own / "mine.py").write_text(SWEEPS.format(name="mine.wide"))
    if is_package:
        (own / "__init__.py").write_text("")
    monkeypatch.chdir(own.parent)
    assert find_sweep("corner_spaces.mine:narrow", []).name == "mine.narrow"
    names = ["first.narrow", "first.B.1", "mine.narrow", "mine.wide", "second.narrow", "wide_too"]
    assert list(sweeps(SPACES)) == names
    assert find_sweep("corner_spaces.second:narrow", []).name == "second.narrow"


def test_a_sweep_is_found_by_name_last_part_or_reference() -> None:
    full = find_sweep("first.B.1", SPACES)
    assert find_sweep("1", SPACES) is full
    assert find_sweep("corner_spaces.first:wide", SPACES) is full
    assert find_sweep("corner_spaces.first:wide", []) is full


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("first.narow", "no sweep is named 'first.narow'; did you mean 'first.narrow'?"),
        ("narrow", "several sweeps are named 'narrow': first.narrow, second.narrow"),
        ("q", "no sweep is named 'q'; there are "),
        ("corner_spaces.first:narow", "has no 'narow'; did you mean 'narrow'?"),
        ("corner_spaces.third:narrow", "no module is named 'corner_spaces.third'"),
        ("corner_spaces.first:not_a_sweep", "is no sweep but an int; put @sweep"),
        (":narrow", "must have the form module:attribute"),
    ],
)
def test_a_name_that_is_not_there_says_what_is(name: str, text: str) -> None:
    with pytest.raises(LookupError) as caught:
        find_sweep(name, SPACES)
    assert text in str(caught.value)


def test_a_module_that_misses_another_one_says_so_itself() -> None:
    said = r"corner_broken raised ModuleNotFoundError: .*a_module_that_nobody_has.* \(.*py:1\)"
    with pytest.raises(BadSetting, match=said):
        find_sweep("corner_broken:sweep", [])


def test_two_sweeps_of_one_name_are_an_error() -> None:
    Path("corner_spaces/third.py").write_text(SWEEPS.format(name="first.B.1"))
    with pytest.raises(
        ValueError, match="'first.B.1' must be that of one sweep, got corner_spaces"
    ):
        sweeps(SPACES)


def test_experiments_are_found_in_the_folders_configs() -> None:
    found = experiments(["corner_things"])
    assert list(found) == ["one.run"]
    for name in (
        "one.run",
        "run",
        "corner_things.one.experiment:Run",
        "corner_things.one.config:One",
    ):
        assert find_experiment(name, ["corner_things"]) is found["one.run"]
    assert find_experiment("corner_things.one.config:One", []) is not None


def test_an_experiment_that_is_not_there_says_what_is() -> None:
    with pytest.raises(
        LookupError, match="no experiment is named 'one.rum'; did you mean 'one.run'"
    ):
        find_experiment("one.rum", ["corner_things"])
    with pytest.raises(LookupError, match="is no class of configurations but a module"):
        find_experiment("corner_things.one:config", ["corner_things"])


def test_declaring_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from raysearch.sweeps import catalog, checks, conditions, space, sweep, walk\n"
        "heavy = {'torch', 'optuna', 'ray', 'mlflow', 'numpy', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
