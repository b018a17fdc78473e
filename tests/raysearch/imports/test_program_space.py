"""Spaces of programs as files state them, and the sweeps that are written of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.cli.programs import NAMES, sweep_meant
from raysearch.errors import BadSetting, UnknownName
from raysearch.imports.program_space import ProgramSweep, read_space, source, write
from raysearch.sweeps.catalog import find_sweep
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.distributions import Choice, Float, Int
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric

METRIC = Metric("val/acc", "maximize")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "train.py").touch()
    yield
    sys.modules.pop("train_sweep", None)


def ranges_of(text: str) -> list[Any]:
    Path("space.yaml").write_text(text)
    return read_space(Path("space.yaml"))[0]


def ranges(text: str, name: str = "space.yaml") -> dict[str, Any]:
    Path(name).write_text(text)
    found, _ = read_space(Path(name))
    return {one.path: one.value if one.range is None else one.range for one in found}


def test_plain_yaml_has_ranges_lists_and_values() -> None:
    text = """
lr: {low: 1e-5, high: 1e-1, log: true}
layers: {low: 2, high: 8}
width: {low: 16, high: 64, step: 16}
drop: {low: 0, high: 0.5, step: 0.1}
act: [relu, gelu]
epochs: 5
warmup: 1e-3
decay: [1e-3, 1e-4, 0, auto]
"""
    assert ranges(text) == {
        "lr": Float(1e-5, 1e-1, log=True),
        "layers": Int(2, 8),
        "width": Int(16, 64, step=16),
        "drop": Float(0, 0.5, step=0.1),
        "act": Choice(("relu", "gelu")),
        "epochs": 5,
        "warmup": 1e-3,
        "decay": Choice((1e-3, 1e-4, 0, "auto")),
    }


def test_parameters_of_wandb_are_read() -> None:
    text = "parameters:\n  lr: {min: 0.1, max: 0.2}\n  act: {values: [a, b]}\n  n: {value: 3}\n"
    assert ranges(text) == {"lr": Float(0.1, 0.2), "act": Choice(("a", "b")), "n": 3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr: {low: 1, hihg: 2}", "lr must have low, high and perhaps log or step, got 'hihg'"),
        ("lr: {low: 1}", "lr must have low and high"),
        ("lr: {low: 2, high: 1}", "lr must have low at most high"),
        ("lr: {low: 1, high: 2, log: 3}", "lr: log must be true or false, got 3"),
        ("day: 2020-01-01", "day must be a text, number, true, .*, got 2020-01-01, .* into quotes"),
        ("days: [2020-01-01]", "days must be a text"),
        ("a: .nan", "a must have finite numbers, got nan"),
        ("a: [1, .inf]", "a must have finite numbers, got inf"),
        ("on: 1", "the name of a value must be a text, got True; put it into quotes"),
        ("a: [[1, 2], [3]]", "a must have in its list a text, .*, got \\[1, 2\\]; write each as"),
        ("- 1", "space.yaml must have a range, a list or a value by name"),
        ("a: [", "space.yaml must be YAML"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        ranges(text)


def test_python_has_one_function_and_is_not_executed() -> None:
    Path("mine.py").write_text("raise SystemExit\ndef values(trial): ...\ndef _own(): ...\n")
    assert read_space(Path("mine.py")) == ([], "values")
    Path("mine.py").write_text("def a(t): ...\ndef b(t): ...\n")
    with pytest.raises(BadSetting, match=r"must have a function space\(trial\) .*, got a, b"):
        read_space(Path("mine.py"))
    with pytest.raises(UnknownName, match="--space must be a file that is there"):
        read_space(Path("none.yaml"))


def test_the_sweep_that_is_written_has_the_space_that_was_read() -> None:
    Path("space.yaml").write_text('lr: {low: 1e-5, high: 1e-1, log: true}\nact: [a, "b\'"]\nn: 5\n')
    found, _ = read_space(Path("space.yaml"))
    stated = {"read": [r"acc (?P<val_acc>[\d.]+)"], "resume": "--resume {checkpoint}"}
    sweep = ProgramSweep('python train.py --name "a b"', stated, METRIC, found)
    reference = write(sweep, "train")
    assert reference == "train_sweep:train" and write(sweep, "train") == reference
    space = Space(find_sweep(reference, []))
    check_space(space)
    assert dict(space.survey.distributions) == {one.path: one.range for one in found[:2]}
    config = next(iter(space.preview(1))).config.to_json()
    assert config["n"] == 5 and config["program"]["read"] == stated["read"]
    assert config["program"]["command"] == ["python", "train.py", "--name", "a b"]
    other = ProgramSweep("python train.py", {}, METRIC, found)
    assert write(other, "train") == "train_sweep_2:train"
    assert source(other, "train") == Path("train_sweep_2.py").read_text()


@pytest.mark.parametrize("stem", ["program", "sweep", "Metric", "space", "class", "3d", "a-b"])
def test_any_script_has_a_sweep_of_its_own_name(stem: str) -> None:
    sweep = ProgramSweep("python train.py", {}, METRIC, ranges_of("lr: [1, 2]"))
    reference = write(sweep, stem)
    assert write(sweep, stem) == reference
    space = Space(find_sweep(reference, []))
    assert dict(space.survey.distributions) == {"lr": Choice((1, 2))}
    assert not set(reference.partition(":")[2]) - set("abcdefghijklmnopqrstuvwxyzM_3")
    sys.modules.pop(reference.partition(":")[0], None)


def test_a_space_in_python_is_named_as_a_module() -> None:
    Path("class.py").write_text("def space(trial): ...\n")
    with pytest.raises(BadSetting, match=r"such as space\.py, got 'class\.py'"):
        read_space(Path("class.py"))


@pytest.mark.parametrize("end", ["kept", "refused"])
def test_a_sweep_stays_only_if_all_of_it_is_right(
    end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s.yaml").write_text("lr: [1, 2]")
    given = dict.fromkeys(NAMES) | {
        "command": "python train.py", "space_file": Path("s.yaml"), "metric": "a", "maximize": True
    }  # fmt: skip
    with suppress(BadSetting), sweep_meant(None, [], given) as (reference, _, checked):
        assert reference == "train_sweep:train" and Path("train_sweep.py").is_file()
        if end == "refused":
            raise BadSetting("--sampler")
        checked()
    assert Path("train_sweep.py").is_file() == (end == "kept")
    assert ("in train_sweep.py" in capsys.readouterr().out) == (end == "kept")
    Path("train_sweep.py").write_text("mine")
    with suppress(BadSetting), sweep_meant(None, [], given):
        raise BadSetting("--sampler")
    assert Path("train_sweep.py").read_text() == "mine" and len(list(Path().glob("*.py"))) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "a sweep must be named, or a program given by --command"),
        (["--read", "x"], "--read is for a program, which --command gives"),
        (["mine:a", "--command", "x"], "either a sweep or --command must be given, got 'mine:a'"),
        (["--command", "x", "--maximize"], "--metric must be given with --maximize or --minimize"),
        (["--command", "x", "--metric", "", "--minimize"], "--metric must be the name of what"),
        (
            ["--command", "", "--metric=a", "--minimize", "--space=s.yaml"],
            "--command must not be empty, got ''",
        ),
        (
            ["--command=python train.py", "--metric=a", "--minimize", "--space=s.yaml", "rl=1"],
            "'rl' is no path",
        ),
        (["--command", "x", "--metric", "a", "--minimize"], "--space must be given"),
        (
            ["--command", "python trian.py", "--metric=a", "--minimize", "--space=s.yaml"],
            "there is no file 'trian.py'",
        ),
        (
            [
                "--command",
                "a",
                "--metric=a",
                "--minimize",
                "--space=s.yaml",
                "--arguments=argprase",
            ],
            "did you mean 'argparse'",
        ),
        (
            ["--command", "a", "--metric=a", "--minimize", "--space=s.yaml", "--python=./none"],
            "--python must be an interpreter that is there, got './none'",
        ),
    ],
)
def test_what_the_command_line_cannot_mean_is_one_sentence(options: list[str], words: str) -> None:
    Path("s.yaml").write_text("lr: [1, 2]")
    result = CliRunner().invoke(app, ["search", *options])
    assert result.exit_code == 2 and words in " ".join(result.stderr.split())
    assert not list(Path().glob("*_sweep.py"))
