"""The command `import`: readable Python that passes all checks, or one sentence and no file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.client import Client
from tests.raysearch.imports.tools import SWEEPS

pytestmark = pytest.mark.slow  # the checks of a sweep import Optuna
RUFF = Path(sys.executable).parent / "ruff"
OURS = ["--experiment", "ssl.supervised"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def written(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["import", *OURS, *arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(*arguments: str) -> str:
    before = sorted(Path().iterdir())
    result = CliRunner().invoke(app, ["import", *OURS, *arguments])
    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1 and sorted(Path().iterdir()) == before
    return result.stderr


def test_what_is_written_is_planned_and_laid_out_as_ruff_would() -> None:
    files = ["doubled", "nested", "many", "variants", "overrides", "hyperband", "capped"]
    for name in files:
        written(str(SWEEPS / f"{name}.yaml"), "--out", f"from_{name}.py")
    written("--hydra", "app.py -m model.layers=1,2 training.seed=0,1,2", "--out", "from_hydra.py")
    settings = ["--isolated", "--line-length", "100"]
    rules = ["--select", "E,F,I,UP,B,N,D1"]
    for arguments in (["format", "--check", *settings], ["check", *settings, *rules]):
        done = subprocess.run([RUFF, *arguments, "."], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    plan = CliRunner().invoke(app, ["plan", "from_variants:optimisers"])
    assert "points     9" in plan.stdout and "stated     12" in plan.stdout


def test_long_lists_and_questions_are_broken_as_ruff_would() -> None:
    text = f"""
method: grid
name: 2 long
description: {"Is it better to have many of them or is it not at all? " * 3}
metric: {{name: val/loss}}
parameters:
  optimizer.lr: {{values: [{", ".join(f"0.{place:012d}" for place in range(1, 8))}]}}
  optimizer.weight_decay: {{values: [{", ".join(f"0.{place:09d}" for place in range(1, 30))}]}}
  model.dropout: {{values: [0.0, 0.1]}}
"""
    Path("long.yaml").write_text(text)
    written("long.yaml", "--out", "from_long.py")
    command = [RUFF, "format", "--diff", "--isolated", "--line-length", "100", "from_long.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_points_of_both_stand_side_by_side() -> None:
    said = written(str(SWEEPS / "variants.yaml"), "model.layers=3", "--out", "a_few.py")
    assert "points     W&B 12, raysearch 9" in said
    assert "condition  optimizer.momentum only if optimizer.kind is sgd" in said
    assert '"model.layers": 3,' in Path("a_few.py").read_text()


def test_seeds_become_repeats() -> None:
    said = written("--hydra", "app.py -m model.layers=1,2 training.seed=0,1,2", "--out", "seeds.py")
    assert "points     Hydra 6, raysearch 2, each with 3 seeds" in said
    assert "repeats=3," in Path("seeds.py").read_text()
    assert "training.seed must be a constant, or integers of a grid" in refused(
        "--hydra", "app.py -m model.layers=1,2 training.seed=42,7"
    )


def test_a_metric_that_nobody_reports_is_said_and_can_be_mapped() -> None:
    Path("a.yaml").write_text(
        "method: random\nmetric: {name: val_acc, goal: maximize}\n"
        "parameters: {model.layers: {min: 1, max: 3}}\n"
    )
    assert "--map val_acc=val/accuracy" in written("a.yaml", "--out", "as_stated.py")
    assert "metric     maximize val/accuracy" in written(
        "a.yaml", "--map", "val_acc=val/accuracy", "--out", "as_mapped.py"
    )
    assert "metric     minimize val/loss  (from --metric)" in written(
        "a.yaml", "--metric", "minimize val/loss", "--out", "as_given.py"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method: grid\nparameters: {lr: {values: [1]}}", "'lr' (nearest: optimizer.lr)"),
        ("method: grd\nparameters: {}", "method must be grid, random, bayes, got 'grd'"),
        ("method: grid\nparametres: {}", "'parametres', which W&B does not; did you mean 'para"),
        ("method: grid\nparameters: {}", "parameters must be a mapping"),
        ("method: grid\nparameters: {model: {parameters: {}}}", "parameters of model must be"),
        ("method: grid\nparameters: {model.layers: 3}", "model.layers must be a mapping"),
        ("- 1", "must state method and parameters"),
        ("a: [", "must be YAML"),
        (
            "method: grid\nparameters: {optimizer.lr: {min: 0.0, max: 1.0}}",
            "optimizer.lr must be categorical, constant, int_uniform or q_uniform in a grid",
        ),
        (
            "method: random\nrun_cap: 0\nparameters: {model.layers: {values: [1]}}",
            "run_cap must be an integer from 1, got 0",
        ),
        (
            "method: random\nearly_terminate: {type: hyperband, min_iter: 1, eta: 1.5}\n"
            "parameters: {model.layers: {values: [1, 2]}}",
            "eta of early_terminate must be an integer from 2 here, got 1.5",
        ),
        (
            "method: random\nearly_terminate: {type: hyperband, max_iter: 2, s: 3}\n"
            "parameters: {model.layers: {values: [1, 2]}}",
            "max_iter of early_terminate must be at least eta (3), got 2",
        ),
        (
            "method: grid\nparameters: {model.width: {values: [30]}, model.heads: {values: [4]}}",
            "heads must divide width (30), got 4",
        ),
        (
            "method: random\nparameters: {model.layers: {min: 1.5, max: 3.5}}",
            "model.layers",
        ),
        (
            "method: random\nmetric: {name: a, goal: up}\nparameters: {model.layers: {value: 1}}",
            "goal of metric must be minimize or maximize, got 'up'",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(text: str, words: str) -> None:
    Path("bad.yaml").write_text(text)
    assert words in refused("bad.yaml")


def test_nothing_is_overwritten_and_no_module_hidden() -> None:
    file = str(SWEEPS / "variants.yaml")
    Path("here.py").write_text("")
    assert "--out 'here.py' exists" in refused(file, "--out", "here.py")
    assert "must not have the name of another module" in refused(file, "--out", "random.py")
    assert "must be a Python file such as mine.py" in refused(file, "--out", "a-b.py")
    assert "there is no file 'none.yaml'" in refused("none.yaml")
    assert "either a file or --hydra" in refused()
    assert "--map must have the form name=path" in refused(file, "--map", "lr")
    assert "--map rate=optimizer.lr: there is no 'rate'" in refused(
        file, "--map", "rate=optimizer.lr"
    )
    assert "--metric must be such as 'maximize val/accuracy'" in refused(file, "--metric", "loss")


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("class", "sweep_class"),
        ("sweep", "sweep_sweep"),
        ("2 rates", "sweep_2_rates"),
        ("Año 2", "ano_2"),
        ("學", "sweep_1"),
    ],
)
def test_any_name_becomes_a_function(name: str, function: str) -> None:
    Path("named.yaml").write_text(
        f"method: grid\nname: {name}\nparameters: {{model.layers: {{values: [1, 2]}}}}\n"
    )
    assert f":{function}\n" in written("named.yaml", "--out", "named_here.py")


def test_hyperband_from_the_top_begins_at_its_lowest_rung() -> None:
    Path("top.yaml").write_text(
        "method: random\nmetric: {name: val/loss}\nparameters: {model.layers: {min: 1, max: 4}}\n"
        "early_terminate: {type: hyperband, max_iter: 27, s: 2}\n"
    )
    said = written("top.yaml", "--out", "from_top.py")
    assert "pruner successive-halving:min=3,factor=3" in said
    assert "W&B's rungs are 3, 9" in said


def test_the_client_imports_too(tmp_path: Path) -> None:
    out = tmp_path / "by_client.py"
    found = Client(tmp_path).import_sweep(
        SWEEPS / "many.yaml", experiment="ssl.supervised", out=out
    )
    assert found == "by_client:many"
