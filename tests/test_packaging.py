"""What is installed: bounds and the exact set agree, and the wheel works without the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
REQUIREMENTS = sorted(
    {*PROJECT["dependencies"], *(one for kind in EXTRAS.values() for one in kind)}
)
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
PACKAGES = ("raysearch", "search_spaces", "trainables")


def pinned(name: str) -> str:
    return PINS[re.sub(r"[-_.]+", "-", name).lower()]


@pytest.mark.parametrize("stated", [one for one in REQUIREMENTS if "raysearch[" not in one])
def test_the_exact_set_lies_within_the_bounds(stated: str) -> None:
    requirement = Requirement(stated)
    assert requirement.specifier.contains(pinned(requirement.name))


def test_the_tests_run_with_the_exact_set() -> None:
    """A package that is installed has the version of the exact set; `make` installs no other."""
    wrong = dict[str, tuple[str, str]]()
    for name, version in PINS.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if Version(installed) != Version(version):
            wrong[name] = (installed, version)
    assert wrong == {}


def test_all_extras_are_in_all() -> None:
    [everything] = EXTRAS["all"]
    assert Requirement(everything).extras == set(EXTRAS) - {"all", "dev"}


def test_the_citation_is_of_this_version_and_names_each_family() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    named = " ".join(one["notes"] for one in citation["references"])
    families = {path.parent.name for path in (ROOT / "trainables").glob("*/config.py")}
    assert set(re.findall(r"trainables/(\w+)", named)) == families - {"core"}


def test_the_licence_is_the_one_that_is_stated() -> None:
    text = (ROOT / PROJECT["license-files"][0]).read_text()
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert text.count("\n") == 202 and "END OF TERMS AND CONDITIONS" in text


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from copies: a build writes beside its sources."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=without)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(source))
    return next(built.glob("raysearch-*.whl"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, which sees packages but no repository."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    seen = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "seen.pth").write_text("".join(f"{path}\n" for path in seen))  # their .pth are not
    pip("--python", str(folder), "install", "--no-deps", "--no-index", str(wheel))
    return folder / "bin"


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, capture_output=True)


def said(programs: Path, folder: Path, *command: str) -> str:
    """What a program of the environment prints in a folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [programs / command[0], *command[1:]],
        cwd=folder,
        env=environment | {"RAYSEARCH_PRELOAD": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_has_all_files_of_the_packages(wheel: Path) -> None:
    there = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in files(ROOT / name)
        if "__pycache__" not in path.parts
    }
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == there and {f"{name}/py.typed" for name in PACKAGES} <= packed


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_the_wheel_lists_its_sweeps_without_the_repository(programs: Path, tmp_path: Path) -> None:
    code = "import raysearch, trainables; print(raysearch.__file__, trainables.__file__)"
    places = said(programs, tmp_path, "python", "-c", code).split()
    assert all(Path(place).is_relative_to(programs.parent) for place in places)
    listed = json.loads(said(programs, tmp_path, "raysearch", "spaces", "--json"))
    assert "ssl.digits_vit" in {each["name"] for each in listed}


OWN = """
from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.run import RunConfig


class Bowl(RunConfig):
    experiment = "own:run"
    name = "own.bowl"
    x: float = 0.0


def run(config, session):
    session.report(1, {"val/loss": config["x"] ** 2, "progress/epochs": 1.0})


@sweep(metrics=[Metric("val/loss", "minimize")], sampler="random", trials=5)
def bowl(trial):
    return Bowl(x=trial.suggest_float("x", -2.0, 2.0))
"""


@pytest.mark.slow
@pytest.mark.search
def test_the_wheel_runs_a_search_of_five_trials(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    command = ("search", "own:bowl", "--name", "five", "--tracking-uri", "none")
    said(programs, tmp_path, "raysearch", *command)
    trials = json.loads(said(programs, tmp_path, "raysearch", "results", "five", "--json"))
    assert [trial["state"] for trial in trials] == ["complete"] * 5
    assert all(trial["val/loss"] == trial["x"] ** 2 for trial in trials)
    said(programs, tmp_path, "raysearch", "report", "five")
    [page] = [path.read_text() for path in tmp_path.glob("runs/five/**/*.html")]
    assert "<style>" in page and "<script" in page
