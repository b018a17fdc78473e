"""Programs of W&B sweeps and Hydra lines: the commands that W&B's agent and Hydra would run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from raysearch.errors import BadSetting, UnknownName
from raysearch.imports.layout import quoted
from raysearch.imports.sweeps import Imported, Wanted, import_sweep
from raysearch.programs.command_line import CommandLine, command_line
from raysearch.settings import Settings
from raysearch.sweeps.program_config import split
from raysearch.sweeps.space import Space
from tests.raysearch.command import NOWHERE, raysearch
from tests.raysearch.imports.trials import last_reports

RUFF = Path(sys.executable).parent / "ruff"
SWEEP = """
method: grid
metric: {name: val/loss}
parameters:
  lr: {values: [0.1, 0.00001]}
  kind: {value: "a b"}
  fast: {values: [true, false]}
"""
SCRIPT = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--kind")
parser.add_argument("--fast")
args = parser.parse_args()
for epoch in range(1, 4):
    print(f"epoch {epoch}: val/loss {args.lr / epoch + (args.fast == 'True'):.6f}", flush=True)
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DATA", "/my data")


def imported(sweep: str, **wanted: Any) -> Imported:
    Path("sweep.yaml").write_text(sweep)
    wanted.setdefault("out", Path("mine.py"))
    return import_sweep(Wanted(Path("sweep.yaml"), **wanted), Settings.locate())


def runs(found: Imported) -> list[tuple[dict[str, Any], CommandLine]]:
    """The values of each point, and how its program is started."""
    lines: list[tuple[dict[str, Any], CommandLine]] = []
    for point in Space(found.sweep).points():
        values, seed, facts = split(point.config.to_json())
        line = command_line(values, seed, facts, checkpoint=None, config=Path("values.json"))
        lines.append((values, line))
    return lines


def of_wandb(command: list[str], values: dict[str, Any]) -> list[str]:
    """The words that W&B's agent would start."""
    words: list[str] = []
    known: dict[str, Any] = create_sweep_command_args(
        {"args": {name: {"value": value} for name, value in values.items()}}
    )
    known |= {"interpreter": [sys.executable], "program": ["train.py"], "env": []}
    known["args_json_file"] = ["values.json"]
    for word in create_sweep_command(list(command)):
        is_macro = word.startswith("${") and word.endswith("}")
        words += known[word[2:-1]] if is_macro else [word]
    return words


COMMANDS = [
    ["${env}", "${interpreter}", "${program}", "${args}"],
    ["${interpreter}", "${program}", "train", "${args}", "--tail", "a {b}"],
    ["${interpreter}", "${program}", "--data=${envvar:DATA}/x", "${envvar:DATA}", "${args}"],
    ["${interpreter}", "${program}", "${envvar:NOT_THERE}", "${args_no_hyphens}"],
    ["${interpreter}", "${program}", "${args_no_boolean_flags}"],
    ["${interpreter}", "${program}", "${args_no_equals}"],
    ["${interpreter}", "${program}", "${args_append_hydra}", "x=1"],
    ["${interpreter}", "${program}", "${args_override_hydra}"],
    ["${interpreter}", "${program}", "--config", "${args_json_file}"],
]


@pytest.mark.parametrize(
    ("more", "note"),
    [
        (
            'program: train.py\ncommand: ["python", "${args}"]\n',
            "command: it has no ${program}, so train.py is not run; add it to the command",
        ),
        (
            'command: ["${env}", "python", "-u", "${args}"]\n',
            "command: it has no ${program} and names no script; add what is to be run",
        ),
        ('command: ["python", "-m", "train", "${args}"]\n', None),
        ('program: train.py\ncommand: ["python", "train.py", "${args}"]\n', None),
    ],
)
def test_a_command_without_its_program_is_said(more: str, note: str | None) -> None:
    notes = imported(f"{SWEEP}{more}").imported.notes
    assert [each for each in notes if "${program}" in each] == ([note] if note else [])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_has_the_words_of_wandb(command: list[str]) -> None:
    found = imported(f"{SWEEP}program: train.py\ncommand: {json.dumps(command)}\n")
    lines = runs(found)
    assert len(lines) == 4
    for values, line in lines:
        assert line.words == of_wandb(command, values)
        assert line.variables == {}


def test_without_a_command_it_is_the_one_of_wandb() -> None:
    for values, line in runs(imported(f"{SWEEP}program: train.py\n")):
        assert line.words == of_wandb(COMMANDS[0], values)


def test_values_as_one_word_of_json() -> None:
    script = "import json, sys; print(json.dumps([sys.argv[1:-1], json.loads(sys.argv[-1])]))"
    Path("train.py").write_text(script)
    command = '["${interpreter}", "${program}", "a b", "${args_json}"]'
    for values, line in runs(imported(f"{SWEEP}program: train.py\ncommand: {command}\n")):
        Path("values.json").write_text(json.dumps(values))
        done = subprocess.run(line.words, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == [["a b"], values]


def test_a_script_that_asks_wandb_has_variables() -> None:
    command = '["${interpreter}", "${program}"]'
    found = imported(f"{SWEEP}program: train.py\ncommand: {command}\n")
    assert "command: it has no ${args}" in " ".join(found.imported.notes)
    assert runs(found)[0][1].variables == {"LR": "0.1", "KIND": "a b", "FAST": "True"}


def test_a_seed_of_a_grid_becomes_repeats() -> None:
    found = imported(f"{SWEEP}  random_seed: {{values: [3, 4]}}\nprogram: train.py\n")
    assert (found.sweep.repeats, found.imported.points) == (2, 8)
    words = [line.words for _, line in runs(found)]
    assert len(words) == 4 and all("--random_seed=3" in each for each in words)


def test_the_folder_of_the_script_is_found() -> None:
    Path("code").mkdir()
    Path("code", "train.py").write_text(SCRIPT)
    Path("code", "sweep.yaml").write_text(f"{SWEEP}program: train.py\n")
    wanted = Wanted(Path("code", "sweep.yaml"), out=Path("mine.py"))
    found = import_sweep(wanted, Settings.locate())
    [config, *_] = [point.config for point in Space(found.sweep).points()]
    assert split(config.to_json())[2]["folder"] == str(Path.cwd() / "code")
    assert [note for note in found.imported.notes if "no such file" in note] == []


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ('command: ["${program}", "${arg}"]', UnknownName, "${arg}, which W&B does not; did you"),
        ('command: ["${args}", "${args_json}"]', BadSetting, "one of W&B's ${args…} at most"),
        ("command: 3", BadSetting, "command must be a list of words, got 3"),
    ],
)
def test_a_command_that_cannot_be_is_refused(more: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        imported(f"{SWEEP}program: train.py\n{more}\n")
    assert words in str(caught.value) and not Path("mine.py").exists()


def test_with_an_experiment_the_program_is_left_out() -> None:
    sweep = SWEEP.replace("lr:", "optimizer.lr:").partition("  kind")[0]
    found = imported(f"{sweep}program: train.py\n", experiment="ssl.supervised")
    assert found.imported.program is None
    assert "program: left out, the experiment is run here" in " ".join(found.imported.notes)


def hydra(line: str, **wanted: Any) -> Imported:
    wanted.setdefault("out", Path("mine.py"))
    return import_sweep(Wanted(line=line, **wanted), Settings.locate())


def test_a_line_of_hydra_keeps_its_program() -> None:
    Path("train.py").write_text('self.log("val_acc", 0.5)\n')
    line = (
        "CUDA_VISIBLE_DEVICES=0 MODE=x python train.py --config-name small -m max_epochs=3 "
        "'name={a:1}' +opt.lr=0.1,0.01 model=vit,resnet seed=0,1 hydra/launcher=joblib"
    )
    found = hydra(line)
    assert [metric.name for metric in found.sweep.metrics] == ["val_acc"]
    assert (found.sweep.repeats, found.imported.points) == (2, 8)
    started = [each for _, each in runs(found)]
    fixed = "train.py --config-name small max_epochs=3 name={a:1}"
    assert [shlex.join(each.words[1:]).replace("'", "") for each in started] == [
        f"{fixed} +opt.lr={lr} model={model} seed=0"
        for lr in (0.1, 0.01)
        for model in ("vit", "resnet")
    ]
    assert all(each.variables == {"MODE": "x"} for each in started)
    notes = " ".join(found.imported.notes)
    assert "CUDA_VISIBLE_DEVICES: left out" in notes and "hydra/launcher: left out" in notes


def test_a_module_is_a_program_too() -> None:
    wanted: Any = {"metric": None}
    with pytest.raises(BadSetting, match="--metric must be given: a Hydra command line states"):
        hydra("python -m reader.main -m depth=1,2", **wanted)


def test_a_line_without_a_program_has_an_experiment() -> None:
    with pytest.raises(BadSetting, match="--experiment must be given"):
        hydra("-m depth=1,2")


def test_a_line_in_which_nothing_varies_is_none() -> None:
    with pytest.raises(BadSetting, match="at least one override that varies"):
        hydra("python train.py -m depth=1")


@pytest.mark.slow
def test_programs_are_laid_out_as_ruff_would() -> None:
    for place, command in enumerate([*COMMANDS, ["python", "train.py", 'a "b"', "${args_json}"]]):
        sweep = f"{SWEEP}program: a_long_folder/of_some_project/train.py\n"
        imported(f"{sweep}command: {json.dumps(command)}\n", out=Path(f"from_{place}.py"))
    settings = ["--isolated", "--line-length", "100"]
    for arguments in (
        ["format", "--check", *settings],
        ["check", *settings, "--select", "E,F,I,UP,B,N,D1"],
    ):
        done = subprocess.run([RUFF, *arguments, "."], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text", ["a", 'a "b"', "it's", "both ' and \"", "\\'\"", "\n\t", "é\\"])
def test_a_text_is_what_its_source_says(text: str) -> None:
    assert eval(quoted(text)) == text


@pytest.mark.slow
def test_trials_of_a_sweep_of_wandb_run_as_it_is_written(tmp_path: Path) -> None:
    Path("train.py").write_text(SCRIPT)
    sweep = imported(f"{SWEEP}program: train.py\n").sweep
    configs = [point.config for point in Space(sweep).points()]
    values = [split(config.to_json())[0] for config in configs]
    reports = last_reports(sweep, configs, tmp_path / "search")
    losses = [metrics["val/loss"] for metrics in reports]
    assert len(losses) == 4
    assert losses == pytest.approx([each["lr"] / 3 + each["fast"] for each in values], abs=1e-6)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.search
def test_a_sweep_of_wandb_runs_as_it_is_written() -> None:
    Path("train.py").write_text(SCRIPT)
    found = imported(f"{SWEEP}program: train.py\n")
    command = ("search", found.sweep.reference, "fast=false", "--name", "one", *NOWHERE)
    done = raysearch(Path(), *command)
    assert done.returncode == 0, done.stderr
    rows = json.loads(raysearch(Path(), "results", "one", "--json").stdout)
    assert sorted((row["state"], row["lr"]) for row in rows) == [
        ("complete", 0.00001),
        ("complete", 0.1),
    ]
    for row in rows:
        assert row["val/loss"] == pytest.approx(row["lr"] / 3, abs=1e-6)
