"""First sweeps of scripts: what is understood of each kind, and that what is written is right."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.errors import BadSetting
from raysearch.imports.first_sweep import FirstSweep, init_sweep
from raysearch.imports.ranges import first_range, reason_to_leave
from raysearch.imports.setting import Setting
from raysearch.sweeps.distributions import Choice
from raysearch.sweeps.space import Space
from tests.raysearch.command import NOWHERE, raysearch
from tests.raysearch.imports.trials import last_reports

RUFF = Path(sys.executable).parent / "ruff"
LAYOUT = ["--isolated", "--line-length", "100"]
RULES = ["--select", "E,F,I,UP,B,N,D1"]

ARGPARSE = """
import argparse
import sys

sys.exit("this script must not be run")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", "--learning-rate", type=float, default=1e-3)
    parser.add_argument("-b", "--batch-size", default=64, type=int)
    parser.add_argument("--num-layers", type=int, default=2 * 2)
    parser.add_argument("--dropout", type=float, default=0.6)
    parser.add_argument("--wd", type=float, default="0")
    parser.add_argument("--opt", choices=["sgd", "adam"], default="adam")
    parser.add_argument("--nesterov", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--random-seed", type=int, default=1)
    parser.add_argument("--resume", type=str, default="")
    parser.add_argument("--out-dir", default="runs")
    parser.add_argument("--no-cuda", action="store_true")
    parser.add_argument("--frobnication", type=float, default=0.25)
    parser.add_argument("--milestones", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    for epoch in range(args.epochs):
        print("Train Epoch: {} [{}/{}]\\tLoss: {:.6f}".format(epoch, 1, 2, loss.item()))
        print(f"epoch {epoch + 1}: val acc {100.0 * correct / total:.2f}%")


EPOCHS = 5
"""
CLICK = """
import click
import wandb


@click.command()
@click.option("--lr", "-l", default=1e-3)
@click.option("--heads", type=int, default=4)
@click.option("--kind", type=click.Choice(["a", "b"]), default="a")
@click.option("--bias/--no-bias", default=True)
@click.option("--temperature", type=float)
def main(lr, heads, kind, bias, temperature):
    wandb.log({"train/loss": 1.0, "val/loss": 2.0, "epoch": 1})
"""
TYPER = """
from enum import Enum
from typing import Annotated, Literal

import typer

app = typer.Typer()


class Opt(str, Enum):
    sgd = "sgd"
    adam = "adam"


@app.command()
def main(
    data: str,
    learning_rate: float = 3e-4,
    opt: Opt = Opt.adam,
    norm: Literal["bn", "ln"] = "bn",
    depth: Annotated[int, typer.Option("--n-layers")] = 6,
    drop_rate: float = typer.Option(0.1),
    amsgrad: bool = False,
):
    writer.add_scalar("val/f1", 0.5, 1)
"""
HYDRA = """
import hydra


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config):
    self.log("val_acc", 0.5)
"""
STRUCTURED = """
from dataclasses import dataclass, field

import hydra
from hydra.core.config_store import ConfigStore


@dataclass
class Optimizer:
    lr: float = 0.1
    momentum: float = 0.9


@dataclass
class Settings:
    optimizer: Optimizer = field(default_factory=Optimizer)
    depth: int = 3


ConfigStore.instance().store(name="settings", node=Settings)


@hydra.main(version_base=None, config_name="settings")
def main(config):
    mlflow.log_metric("loss", 1.0)
"""
CONSTANTS = """
LR = 1e-3
BATCH_SIZE = 64
NAME = "mine"
config = {"dropout": 0.3}
metrics = {}
metrics["valid_auc"] = 0.5
run.log(metrics)
"""
ENVIRONMENT = """
import os

lr = float(os.environ.get("LR", "0.01"))
layers = int(os.getenv("LAYERS", 3))
print("step %d loss %.3f" % (step, lr))
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def first(text: str) -> FirstSweep:
    Path("train.py").write_text(text)
    return init_sweep(Path("train.py"))


def default(found: FirstSweep) -> Any:
    """The configuration of trial 0."""
    point = Space(found.sweep).default()
    assert point is not None
    return point.config


def configurations() -> None:
    files = {
        "config.yaml": "defaults:\n  - opt: adam\n  - _self_\nseed: 1\nmodel: {depth: 4}\n"
        "max_epochs: 9\nroot: ${oc.env:HOME}\n",
        "opt/adam.yaml": "lr: 1e-3\nweight_decay: 0.01\n",
        "opt/sgd.yaml": "lr: 0.1\nmomentum: 0.9\n",
    }
    for name, text in files.items():
        path = Path("conf", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


SCRIPTS = [
    (
        ARGPARSE,
        "argparse",
        "maximize val_acc",
        {
            "lr": "1e-05 … 0.01 (log)",
            "batch-size": "32 | 64 | 128 | 256",
            "num-layers": "2 … 8",
            "dropout": "0 … 0.6",
            "wd": "0 … 0.1",
            "opt": "'sgd' | 'adam'",
            "nesterov": "False | True",
            "epochs": "5",
        },
        "verbose resume out-dir no-cuda frobnication milestones",
    ),
    (
        CLICK,
        "click",
        "minimize val/loss",
        {
            "lr": "1e-05 … 0.01 (log)",
            "heads": "2 | 4 | 8",
            "kind": "'a' | 'b'",
            "bias": "False | True",
        },
        "temperature",
    ),
    (
        TYPER,
        "typer",
        "maximize val/f1",
        {
            "learning-rate": "3e-06 … 0.003 (log)",
            "opt": "'sgd' | 'adam'",
            "norm": "'bn' | 'ln'",
            "n-layers": "3 … 12",
            "drop-rate": "0 … 0.5",
            "amsgrad": "False | True",
        },
        "data",
    ),
    (
        HYDRA,
        "hydra",
        "maximize val_acc",
        {
            "opt": "'adam' | 'sgd'",
            "opt.lr": "1e-05 … 0.01 (log)",
            "model.depth": "2 … 8",
            "max_epochs": "9",
            "opt.weight_decay": "0.0001 … 0.1 (log)",
            "opt.momentum": "0.8 … 0.99",
        },
        "root",
    ),
    (
        STRUCTURED,
        "hydra",
        "minimize loss",
        {
            "optimizer.lr": "0.001 … 1 (log)",
            "optimizer.momentum": "0.8 … 0.99",
            "depth": "1 … 6",
        },
        "",
    ),
    (
        CONSTANTS,
        "constants",
        "maximize valid_auc",
        {"LR": "1e-05 … 0.01 (log)", "BATCH_SIZE": "32 | 64 | 128 | 256", "dropout": "0 … 0.5"},
        "",
    ),
    (
        ENVIRONMENT,
        "environment",
        "minimize loss",
        {"LR": "0.0001 … 0.1 (log)", "LAYERS": "1 … 6"},
        "",
    ),
]
NAMES = ["argparse", "click", "typer", "hydra", "structured", "constants", "environment"]


@pytest.mark.parametrize(("text", "style", "metric", "searched", "left"), SCRIPTS, ids=NAMES)
def test_what_a_script_takes_is_searched_over(
    text: str, style: str, metric: str, searched: dict[str, str], left: str
) -> None:
    configurations()
    found = first(text)
    assert found.style == style
    [measured] = found.sweep.metrics
    assert f"{measured.direction} {measured.name}" == metric
    assert found.searched == searched
    assert " ".join(name for name, _ in found.left) == left


DEFAULTS: list[dict[str, object]] = [
    {"lr": 1e-3, "batch-size": 64, "num-layers": 4, "wd": 0.0, "opt": "adam", "epochs": 5},
    {"lr": 1e-3, "heads": 4, "kind": "a", "bias": True},
    {"learning-rate": 3e-4, "opt": "adam", "norm": "bn", "n-layers": 6, "amsgrad": False},
    {"opt": "adam", "opt.lr": 1e-3, "opt.weight_decay": 0.01, "model.depth": 4, "max_epochs": 9},
    {"optimizer.lr": 0.1, "optimizer.momentum": 0.9, "depth": 3},
    {"LR": 1e-3, "BATCH_SIZE": 64, "dropout": 0.3},
    {"LR": 0.01, "LAYERS": 3},
]


@pytest.mark.parametrize(
    ("text", "values"), list(zip([each[0] for each in SCRIPTS], DEFAULTS, strict=True)), ids=NAMES
)
def test_trial_0_is_the_script_as_it_is(text: str, values: dict[str, object]) -> None:
    configurations()
    found = default(first(text)).values
    assert {name: found[name] for name in values} == values


@pytest.mark.slow
def test_what_is_written_is_laid_out_as_ruff_would() -> None:
    configurations()
    for name, (text, *_) in zip(NAMES, SCRIPTS, strict=True):
        Path(f"{name}_script.py").write_text(text)
        init_sweep(Path(f"{name}_script.py"), Path(f"first_{name}.py"))
    for arguments in (["format", "--check", *LAYOUT], ["check", *LAYOUT, *RULES]):
        files = [f"first_{name}.py" for name in NAMES]
        done = subprocess.run([RUFF, *arguments, *files], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_a_seed_is_the_seed_of_a_trial() -> None:
    config = default(first(ARGPARSE)).with_seed(7)
    assert config.to_json()["program"]["seed"] == "random-seed" and config.seed == 7


def test_settings_of_parts_are_asked_for_with_their_part() -> None:
    configurations()
    space = Space(first(HYDRA).sweep)
    for seed in range(8):
        config: Any = space.sample(random.Random(seed)).config
        values = config.values
        assert ("opt.momentum" in values) == (values["opt"] == "sgd")


def test_what_it_cannot_do_without_is_said() -> None:
    assert first(TYPER).to_do == ("command: add what the script cannot do without: data",)


def test_constants_must_be_read_from_the_environment() -> None:
    said = first(CONSTANTS).to_do
    assert said[1] == 'train.py, line 2: LR is to be float(os.environ.get("LR", 0.001))'
    assert "all trials are alike" in said[0] and len(said) == 4


def test_all_constants_that_a_trial_sets_must_be_read() -> None:
    found = first("SEED = 3\nLAYERS, DROPOUT = 2, 0\nLR = 0.1\nlr = LR\nBN = False\n")
    assert list(found.searched) == ["LAYERS", "DROPOUT", "LR", "BN"]
    assert [line.partition(": ")[2] for line in found.to_do[1:6]] == [
        'SEED is to be int(os.environ.get("SEED", 3))',
        'LAYERS is to be int(os.environ.get("LAYERS", 2))',
        'DROPOUT is to be float(os.environ.get("DROPOUT", 0))',
        'LR is to be float(os.environ.get("LR", 0.1))',
        'BN is to be os.environ.get("BN", "False") == "True"',
    ]
    assert found.left == (("lr", "0.1,  # LR and lr would both be LR"),)
    assert default(found).to_json()["program"]["seed"] == "SEED"


def test_a_truth_value_of_the_environment_is_left() -> None:
    found = first(ENVIRONMENT + 'bn = bool(os.environ.get("BN", False))\n')
    assert "BN" not in found.searched
    assert found.left == (("BN", 'False,  # a variable is a text, and any, even "False", is true'),)


def test_settings_that_a_script_imports_are_read_too() -> None:
    Path("options.py").write_text(ARGPARSE.replace("sys.exit", "print"))
    found = first("from options import main\nargs = main()\n")
    assert found.style == "argparse" and "lr" in found.searched


def test_groups_of_the_machine_and_of_data_are_left() -> None:
    configurations()
    for name in ("trainer/cpu", "trainer/gpu", "data/one", "data/two"):
        path = Path("conf", f"{name}.yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text("batch_size: 8\n")
    config = Path("conf", "config.yaml")
    config.write_text(config.read_text().replace("- _self_", "- trainer: cpu\n  - data: one"))
    found = first(HYDRA)
    assert not {"trainer", "data"} & set(found.searched)
    assert {"trainer.batch_size", "data.batch_size", "opt"} <= set(found.searched)


def test_what_a_configurator_sets_are_options() -> None:
    found = first('learning_rate = 6e-4\nbias = False\nexec(open("configurator.py").read())\n')
    assert (found.style, list(found.searched)) == ("argparse", ["learning_rate", "bias"])
    facts = default(found).to_json()["program"]
    assert (facts["arguments"], facts["booleans"]) == ("argparse", "word")


def test_what_imported_files_log_is_found() -> None:
    Path("models").mkdir()
    Path("models", "net.py").write_text('self.log("val/iou", 1)\nprint(f"test acc {acc}")\n')
    Path("task.py").write_text("from models.net import Net\nimport task\n")
    found = first("import task\n\nLR = 0.1\n")
    assert [metric.name for metric in found.sweep.metrics] == ["val/iou"]
    assert found.metric_from == "self.log, in models/net.py"


def test_what_hydra_makes_for_a_script_is_imported() -> None:
    configurations()
    Path("src", "models").mkdir(parents=True)
    Path("src", "models", "net.py").write_text('self.log("val/iou", 1)\n')
    config = Path("conf", "config.yaml")
    config.write_text(f"{config.read_text()}net:\n  _target_: src.models.net.Net\n")
    found = first(HYDRA.replace("self.log", "print"))
    assert found.metric_from == "self.log, in src/models/net.py"


def test_what_is_not_imported_is_of_another_program() -> None:
    Path("other.py").write_text('wandb.log({"val/iou": 1})\n')
    found = first("LR = 0.1\n")
    assert found.metric_from == "a guess: nothing that it logs or prints was understood"


ONE_OPTION = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument({})
print("val_loss", 1)
"""


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ('"--bn", type=bool, default=False', "type=bool: any word, even False, is true"),
        (
            '"--bn", type=lambda text: text == "1", default=False',
            "type=lambda text: text == '1': which words it takes for true is not known",
        ),
        (
            '"--bn", type=yes, default=True',
            "type=yes: which words it takes for true is not known",
        ),
        ('"--bn", action="store_true", default=True', "it is always true"),
        ('"--clip", type=int, default=1', "type=int: its usual range is of fractions"),
    ],
)
def test_what_words_of_a_range_do_not_set_is_left(option: str, why: str) -> None:
    found = first(ONE_OPTION.format(option))
    assert list(found.searched) == ["lr"]
    [(name, left)] = found.left
    assert f'"--{name}"' in option and left.endswith(f",  # {why}")


@pytest.mark.parametrize("kind", ["str2bool", "lambda x: bool(strtobool(x))", "eval"])
def test_a_truth_value_that_words_set_is_searched_over(kind: str) -> None:
    found = first(ONE_OPTION.format(f'"--bn", type={kind}, default=False'))
    assert found.searched["bn"] == "False | True"


@pytest.mark.parametrize("name", ["temp", "lr", "dropout", "momentum", "wd", "clip", "layers"])
@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_a_default_that_no_range_has_is_left(name: str, value: float) -> None:
    assert first_range(Setting(name, value, float)) is None


@pytest.mark.parametrize(
    ("name", "plain", "value"),
    [
        ("learningRate", "learning_rate", 1e-3),
        ("maxLR", "max_lr", 1e-3),
        ("batchSize", "batch_size", 64),
        ("weightDecay", "weight_decay", 1e-4),
        ("optim.labelSmoothing", "optim.label_smoothing", 0.1),
        ("numLayers", "num_layers", 2),
        ("dModel", "d_model", 64),
        ("NUM_HEADS", "num_heads", 4),
    ],
)
def test_words_set_apart_by_capitals_are_known_as_well(name: str, plain: str, value: Any) -> None:
    found = first_range(Setting(name, value))
    assert found is not None and found == first_range(Setting(plain, value))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("manualSeed", "the seed of a trial"),
        ("numEpochs", "how long it trains"),
        ("numWorkers", "of the machine"),
        ("noCuda", "of the machine"),
        ("outDir", "a file or folder"),
    ],
)
def test_so_is_what_is_left(name: str, why: str) -> None:
    assert reason_to_leave(Setting(name, "")) == why


def test_a_default_that_is_no_choice_is_left() -> None:
    found = first(ONE_OPTION.format('"--opt", choices=["a", "b"], default="none"'))
    assert list(found.searched) == ["lr"] and default(found).values["lr"] == 0.1


SUB_COMMANDS = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--momentum", type=float, default=0.9)
commands = parser.add_subparsers()
sub = commands.add_parser("test")
sub.add_argument("--dropout", type=float, default=0.1)
sub = commands.add_parser("train")
group = sub.add_argument_group("of training")
group.add_argument("--lr", type=float, default=0.1)
sub.add_argument("--layers", type=int, default=2)
sub.set_defaults(layers=3)
"""


def test_options_of_one_sub_command_are_searched_over() -> None:
    found = first(SUB_COMMANDS)
    assert found.searched == {"lr": "0.001 … 1 (log)", "layers": "1 … 6"}
    assert found.left == (("momentum", "0.9,  # it may be of another sub-command"),)
    assert found.notes == ("its sub-command train is meant; there are also test",)
    assert default(found).to_json()["program"]["command"] == ["python", "train.py", "train"]


def test_sub_commands_without_names_are_not_understood() -> None:
    text = SUB_COMMANDS.replace('"test"', "name").replace('"train"', "name")
    found = first(text)
    assert (found.style, found.searched) == (None, {})
    assert found.notes == (
        "its sub-commands were not understood; add the one that trains to the command",
    )


def test_the_command_of_click_with_most_that_is_known_is_meant() -> None:
    other = '@click.command("make-data")\n@click.option("--out")\ndef other(out): ...\n'
    head, _, tail = CLICK.partition("@click.command()")
    found = first(f"{head}{other}\n\n@click.command(){tail}")
    assert found.notes == ("its command main is meant; there are also make-data",)


def test_a_script_in_a_folder_is_run_from_here() -> None:
    Path("code").mkdir()
    Path("code", "fit.py").write_text(ENVIRONMENT)
    found = init_sweep(Path("code", "fit.py"), Path("fits.py"))
    facts = default(found).to_json()["program"]
    assert facts["command"] == ["python", "code/fit.py"] and facts["folder"] == str(Path.cwd())
    assert found.sweep.name == "fits.fit"


@pytest.mark.parametrize("text", ["def helper():\n    pass\n", "x: int = 'not of interest'\n"])
def test_where_nothing_is_understood_there_is_a_template(text: str) -> None:
    Path("train.py").write_text(text)
    result = CliRunner().invoke(app, ["init", "train.py"])
    assert result.exit_code == 0
    assert result.stdout.startswith("train.py takes no settings that are known here (argparse, ")
    assert 'Program("python train.py", arguments=' in Path("sweep.py").read_text()


def test_the_command_says_what_it_understood_and_what_is_next() -> None:
    Path("train.py").write_text(ARGPARSE)
    lines = (
        CliRunner().invoke(app, ["init", "train.py", "--out", "understood.py"]).stdout.splitlines()
    )
    assert lines[0] == "written    understood.py"
    assert "varies     lr  1e-05 … 0.01 (log)" in lines
    assert lines[-1] == "run it     raysearch search understood:train"
    plan = CliRunner().invoke(app, ["plan", "understood:train"])
    assert "trials     20, tpe, pruner median" in plan.stdout


@pytest.mark.parametrize(
    ("text", "out", "words"),
    [
        ("def (:\n", "sweep.py", "train.py must be Python that can be read at line 1"),
        (ARGPARSE, "train.py", "--out 'train.py' exists; choose another name"),
        (ARGPARSE, "a-b.py", "--out must be a Python file such as mine.py, got 'a-b.py'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(text: str, out: str, words: str) -> None:
    Path("train.py").write_text(text)
    with pytest.raises(BadSetting) as error:
        init_sweep(Path("train.py"), Path(out))
    assert words in str(error.value) and [each.name for each in Path().iterdir()] == ["train.py"]


@pytest.mark.parametrize("default", [1e-6, 3e-4, 0.0025, 0.1, 7.0])
@pytest.mark.parametrize("name", ["lr", "weight-decay", "dropout", "momentum", "tau", "clip"])
def test_a_range_holds_the_default(name: str, default: float) -> None:
    found: Any = first_range(Setting(name, default, float))
    assert found.low <= default <= found.high and found.low < found.high


@pytest.mark.parametrize("default", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("name", ["layers", "n-heads", "batch_size", "hidden_dim"])
def test_a_range_of_whole_numbers_holds_the_default(name: str, default: int) -> None:
    found: Any = first_range(Setting(name, default, int))
    if isinstance(found, Choice):
        assert default in found.choices and len(found.choices) > 1
    elif found is not None:  # a width of 1 is none
        assert found.low <= default <= found.high and found.low < found.high


def test_what_must_be_given_is_searched_over_without_a_default() -> None:
    assert first_range(Setting("lr", None, float)) is None
    found = first(CLICK.replace("type=float)", "type=float, required=True)"))
    assert found.searched["temperature"] == "0.05 … 1 (log)"
    assert found.to_do == ()


RUNS = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--nesterov", action="store_true")
args = parser.parse_args()
for epoch in range(1, args.epochs + 1):
    print(f"epoch {epoch}: val loss {args.lr / epoch + args.nesterov:.6f}", flush=True)
"""


@pytest.mark.slow
def test_trials_of_a_first_sweep_run_as_it_is_written(tmp_path: Path) -> None:
    found = first(RUNS)
    configs = [default(found), default(found).with_values({"lr": 0.5, "nesterov": True})]
    reports = last_reports(found.sweep, configs, tmp_path / "search")
    losses = [metrics["val_loss"] for metrics in reports]
    assert losses == pytest.approx([0.01 / 3, 0.5 / 3 + 1], abs=1e-6)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.search
def test_a_first_sweep_runs_as_it_is_written() -> None:
    reference = first(RUNS).sweep.reference
    done = raysearch(Path(), "search", reference, "--trials", "3", "--name", "one", *NOWHERE)
    assert done.returncode == 0, done.stderr
    rows = json.loads(raysearch(Path(), "results", "one", "--json").stdout)
    rows.sort(key=lambda row: row["trial"])
    assert [row["state"] for row in rows] == ["complete"] * 3
    for row in rows:
        assert row["val_loss"] == pytest.approx(row["lr"] / 3 + row["nesterov"], abs=1e-6)
    assert (rows[0]["lr"], rows[0]["nesterov"]) == (0.01, False)


def test_the_commands_of_a_written_file_are_words() -> None:
    Path("my script.py").write_text(ENVIRONMENT)
    found = init_sweep(Path("my script.py"))
    facts = default(found).to_json()["program"]
    assert shlex.join(facts["command"]) == "python 'my script.py'"
