"""An experiment that `raysearch new experiment` has written: it runs, and overwrites nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Sweep
from raysearch.templates.writing import write_experiment
from raysearch.trial.session import PRELOAD
from tests.raysearch.command import ENVIRONMENT, NOWHERE, raysearch, view_of
from trainables.core.checkpoint import read
from trainables.core.session import LocalSession

VALUES = {"training.epochs": 2}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the experiment `shapes`, which can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    write_experiment("shapes", tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "shapes"]:
        del sys.modules[name]


def test_its_sweep_is_a_space_that_can_be_searched(folder: Path) -> None:
    found = importlib.import_module("shapes.sweeps").first
    assert isinstance(found, Sweep)
    check_space(Space(found))


def test_it_learns_and_goes_on_where_it_was(folder: Path) -> None:
    config = importlib.import_module("shapes.config").ShapesConfig().with_values(VALUES)
    experiment = importlib.import_module("shapes.experiment").Shapes
    whole = LocalSession(folder / "whole")
    experiment.run(config.to_json(), whole)
    first, last = sorted(whole.checkpoints)
    resumed = LocalSession(folder / "resumed", whole.checkpoints[first])
    experiment.run(config.to_json(), resumed)
    one, other = (read(each.checkpoints[last]).model for each in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.reports[last]["val/accuracy"] > 0.8
    assert config.unreported("val/accuracy") is None and config.unreported("val/loss") is None


def test_the_command_names_what_it_wrote_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrote = CliRunner().invoke(app, ["new", "experiment", "shape_bias"])
    assert wrote.exit_code == 0
    assert "raysearch search shape_bias.sweeps:first" in wrote.output
    before = (tmp_path / "shape_bias/config.py").read_text()
    again = CliRunner().invoke(app, ["new", "experiment", "shape_bias"])
    assert again.exit_code == 2 and "is there already" in again.output
    assert (tmp_path / "shape_bias/config.py").read_text() == before


@pytest.mark.parametrize(
    ("name", "rule"),
    [("Shapes", "small letters"), ("class", "small letters"), ("torch", "no other module")],
)
def test_a_name_that_no_package_may_have_is_refused(tmp_path: Path, name: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        write_experiment(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_is_searched_as_it_was_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ENVIRONMENT, PRELOAD)  # once for the trial and its test
    options = ("--trials", "1", "training.epochs=1")
    done = raysearch(folder, "search", "shapes.sweeps:first", *options, *NOWHERE)
    assert done.returncode == 0, done.stderr
    (trial,) = view_of(folder, "first-1").trials.values()
    assert trial.state == "complete" and trial.tested["metrics"]["test/accuracy"] > 0.5
