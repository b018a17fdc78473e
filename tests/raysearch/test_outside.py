"""What another package adds without a change here: pruner, sampler, tracker, data set."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.errors import BadSetting, UnknownName
from raysearch.study.pruners import check_pruner, make_pruner
from raysearch.study.samplers.named import check_sampler
from raysearch.sweeps.catalog import data_sets, find_data_set
from raysearch.sweeps.space import Space
from raysearch.tracking.registry import read_track
from tests.raysearch.command import ENVIRONMENT, ROOT, raysearch, view_of
from tests.raysearch.searches.sweeps import broken

PACKAGE = {
    "outside/__init__.py": "",
    "outside/parts.py": '''
from optuna.pruners import BasePruner
from optuna.samplers import RandomSampler

class Below(BasePruner):
    """Ends a trial whose last value is below a bound, from the second report on."""

    def __init__(self, bound=0.0):
        self.bound = bound

    def prune(self, study, trial):
        values = trial.intermediate_values
        return len(values) > 1 and values[trial.last_step] < self.bound

class Nearby(RandomSampler):
    """Draws at random."""

    def __init__(self, seed, width=1.0):
        assert 0 < width <= 1
        super().__init__(seed=seed)

def nothing():
    return None
''',
    "outside/lines.py": """
from raysearch.tracking.tracker import Tracker

class Lines(Tracker):
    def __init__(self, place):
        self.file = place.folder / "lines.txt"

    def apply(self, events, view):
        with self.file.open("a") as file:
            for event in events:
                print(event.seq, event.kind, event.trial, file=file)
""",
    "outside/numbers.py": '''
from pathlib import Path

class Numbers:
    """Ten numbers in a file."""

    name, what, source, licence, size = "numbers", "ten numbers", "made here", "CC0", 0

    def looked_for(self, root=None):
        return [Path(root or ".") / "numbers.txt"]

    def missing(self, root=None):
        return None if self.looked_for(root)[0].exists() else "run raysearch data get numbers"

    def get(self, root, given, say):
        self.looked_for(root)[0].write_text(" ".join(map(str, range(10))))
        say("numbers are there")

    def check(self, root=None):
        return []

NUMBERS = Numbers()
''',
    "outside/sweep.py": """
from typing import ClassVar

from outside.numbers import NUMBERS
from raysearch.sweeps.sweep import Metric, sweep
from trainables.core.training import ExperimentConfig

class Slope(ExperimentConfig):
    experiment: ClassVar[str] = "outside.train:run"
    name: ClassVar[str] = "outside.slope"
    slope: float = 0.5

    def missing(self):
        return NUMBERS.missing()

@sweep(metrics=[Metric("val/score", "maximize")], sampler="random", trials=8)
def slopes(trial):
    return Slope(slope=trial.suggest_float("slope", -1.0, 1.0))
""",
    "outside/train.py": """
from outside.numbers import NUMBERS

def run(config, session):
    numbers = NUMBERS.looked_for()[0].read_text().split()
    session.restored()
    for step, number in enumerate(numbers[1:], 1):
        score = config["slope"] * int(number)
        session.report(step, {"val/score": score, "progress/epochs": float(step)})
""",
    "outside-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: outside\nVersion: 1\n",
    "outside-1.dist-info/entry_points.txt": """
[raysearch.pruners]
below = outside.parts:Below

[raysearch.samplers]
nearby = outside.parts:Nearby

[raysearch.trackers]
lines = outside.lines:Lines

[raysearch.data_sets]
numbers = outside.numbers:NUMBERS
""",
}


def write(folder: Path) -> Path:
    for name, text in PACKAGE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that is installed for as long as a test goes."""
    monkeypatch.syspath_prepend(str(write(tmp_path / "installed")))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "outside"]:
        del sys.modules[name]


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    "pruner",
    ["below", "below:bound=0.5", "outside.parts:Below", "outside.parts:Below:bound=0.5"],
)
def test_a_pruner_has_a_name_or_a_place_and_arguments(pruner: str) -> None:
    check_pruner(pruner, broken)
    assert vars(vars(make_pruner(pruner))["_rule"])["bound"] == (0.5 if "bound" in pruner else 0.0)
    make_pruner(f"{pruner}+patient:patience=3")


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    ("pruner", "words"),
    [
        ("below:bond=1", "takes bound, got 'bond'; did you mean 'bound'?"),
        ("outside.parts:nothing", "must make a BasePruner of optuna, got a NoneType"),
        ("outside.parts:Belo", "'outside.parts' has no 'Belo'; did you mean 'Below'?"),
        ("outside.part:Below", "no module is named 'outside.part', needed for pruner"),
        ("belo", "pruner must be none, median, percentile"),
        ("below:bound", "no module is named 'below', needed for pruner"),
    ],
)
def test_a_pruner_that_is_none_is_refused_in_one_sentence(pruner: str, words: str) -> None:
    with pytest.raises((BadSetting, UnknownName)) as error:
        check_pruner(pruner, broken)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.usefixtures("outside")
def test_a_sampler_is_checked_with_its_arguments() -> None:
    space = Space(broken)
    for sampler in ("nearby", "nearby:width=0.5", "outside.parts:Nearby:width=0.5"):
        check_sampler(sampler, broken, space)
    with pytest.raises(BadSetting, match="sampler 'nearby' takes width, got 'wide'"):
        check_sampler("nearby:wide=1", broken, space)
    with pytest.raises(BadSetting, match=r"takes bound, got 'seed'"):
        check_sampler("outside.parts:Below", broken, space)
    with pytest.raises(BadSetting, match="AssertionError"):
        check_sampler("nearby:width=2", broken, space)


@pytest.mark.usefixtures("outside")
def test_data_sets_and_trackers_are_listed_with_ours() -> None:
    assert "numbers" in data_sets(["trainables"]) and "mnist" in data_sets(["trainables"])
    place = "outside.numbers:NUMBERS"
    assert find_data_set(place, ["trainables"]) is find_data_set("numbers", ["trainables"])
    with pytest.raises(BadSetting, match="must have name, what, source.* got an ABCMeta"):
        find_data_set("outside.parts:Below", ["trainables"])
    assert read_track("lines") == ("lines",)
    with pytest.raises(UnknownName, match="be none, mlflow, tensorboard, lines or a module"):
        read_track("line")


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("outside")
def test_a_search_uses_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", f"{ROOT}:{tmp_path / 'installed'}")
    monkeypatch.chdir(tmp_path)
    search = ["search", "outside.sweep:slopes", "--name", "one", "--pruner", "below:bound=0"]
    search += ["--sampler", "outside.parts:Nearby:width=0.5", "--track", "lines,tensorboard"]
    search += ["--concurrent", "1"]
    refused = CliRunner().invoke(app, search)
    assert refused.exit_code == 2 and "run raysearch data get numbers" in refused.stderr
    got = CliRunner().invoke(app, ["data", "get", "numbers", "--root", "."])
    assert got.exit_code == 0, got.stderr
    done = raysearch(tmp_path, *search)
    assert done.returncode == 0, done.stderr
    view = view_of(tmp_path, "one")
    states = {trial.state for trial in view.trials.values()}
    assert states == {"complete", "pruned"} and len(view.trials) == 8
    for trial in view.trials.values():
        is_below = trial.params["slope"] < 0
        assert trial.state == ("pruned" if is_below else "complete")
        assert len(trial.reports) == (2 if is_below else 9)
    lines = (tmp_path / "runs/one/lines.txt").read_text().splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, view.last + 1))
    assert f"open       tensorboard --logdir {tmp_path / 'runs/one/tensorboard'}" in done.stdout
    checked = CliRunner().invoke(app, ["check", "one"])
    assert checked.exit_code == 0, checked.output
