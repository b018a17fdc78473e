"""Programs as configurations: names, values, digests, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysearch import Program, trainable
from raysearch.errors import BadSetting, UnknownName
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.program import ROOTS, original
from raysearch.sweeps.program_config import ProgramConfig
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric, sweep

METRIC = Metric("val/acc", "maximize")
train = Program("python train.py")


def other(config: dict[str, Any]) -> None:
    """A function that a trial could import."""


def read_back(config: ProgramConfig) -> ProgramConfig:
    return type(config).read(json.loads(json.dumps(config.to_json())))


def test_a_configuration_survives_json() -> None:
    config = train({"optimizer.lr": np.float64(0.1)}, layers=2, sizes=(1, 2), root=Path("/a"))
    assert read_back(config) == config
    assert config.values == {"optimizer.lr": 0.1, "layers": 2, "sizes": [1, 2], "root": "/a"}
    assert config.value_at("optimizer.lr") == 0.1 and config.seed == 0
    assert type(config).paths() >= {"optimizer.lr", "layers", "sizes", "seed"}


def test_the_digest_is_of_what_changes_a_run() -> None:
    same = [Program("python train.py", folder=folder, python=python)(a=1)
            for folder, python in (("/a", None), ("/b", "python3"))]  # fmt: skip
    assert same[0].digest() == same[1].digest() == same[0].with_seed(5).digest()
    different = [
        *(train(a=2), train(a=1.0), train(b=1), Program("python other.py")(a=1)),
        Program("python train.py", environment={"A": "1"})(a=1),
    ]
    assert len({config.digest() for config in [same[0], *different]}) == 6


def test_only_names_that_it_has_are_changed() -> None:
    config = train(lr=0.1, layers=2)
    assert config.with_values({"lr": 0.2, "seed": 3}).values == {"lr": 0.2, "layers": 2}
    with pytest.raises(UnknownName, match=r"'layer' is no value of program\.train; did you mean"):
        config.with_values({"layer": 3})


def test_the_seed_is_given_to_a_program_that_is_called_with_one() -> None:
    assert train(lr=1, seed=4).seed == 4
    assert train(lr=1, seed=4).to_json()["program"]["seed"] == "seed"
    assert train(lr=1).with_seed(4).to_json()["program"]["seed"] is None
    assert Program("x", seed="random_state")(lr=1).to_json()["program"]["seed"] == "random_state"


def test_a_sweep_over_a_program_passes_every_check() -> None:
    def function(trial: Any) -> ProgramConfig:
        kind = trial.suggest_categorical("optimizer", ["sgd", "adam"])
        more = {"momentum": trial.suggest_float("momentum", 0, 1)} if kind == "sgd" else {}
        return train(more, optimizer=kind, lr=trial.suggest_float("lr", 1e-5, 1e-1, log=True), k=3)

    declared = sweep(metrics=[METRIC])(function)
    check_space(Space(declared))
    check_space(Space(declared, {"k": 5, "optimizer": "adam"}))
    with pytest.raises(UnknownName, match="'lrr' is no path of the configurations"):
        check_space(Space(declared, {"lrr": 5}))


def test_defaults_that_lie_in_the_space_are_its_first_point() -> None:
    program = Program("python train.py", defaults={"lr": 0.5, "layers": 3})

    def function(trial: Any) -> ProgramConfig:
        return program(lr=trial.suggest_float("lr", 0, 1), layers=3)

    default = Space(sweep(metrics=[METRIC])(function)).default()
    assert default is not None and default.params == {"lr": 0.5}


def test_a_function_is_a_configuration_too() -> None:
    config = trainable(other)(lr=0.1)
    assert config.name == "function.other" and read_back(config) == config
    assert Program(other)(lr=0.1).to_json() == config.to_json()
    assert config.experiment == "raysearch.programs.function:run"
    with pytest.raises(BadSetting, match="must be a function with a name at the top of its module"):
        trainable(lambda config: None)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"command": "python 'a"}, 'command must be a command line, got "python \'a"'),
        ({"command": []}, "command must be a command line or a list of words"),
        ({"command": "a | b"}, "command is read by no shell and cannot use '\\|'"),
        ({"command": "python train.py; rm x"}, "cannot use ';', got .* sh -c 'python train.py"),
        ({"command": "a&&b"}, "cannot use '&&'"),
        ({"command": "a >log"}, "cannot use '>'"),
        ({"command": "a $HOME/x"}, "cannot use '\\$HOME'"),
        ({"command": ["a", "|", "b"]}, "cannot use '\\|'"),
        ({"command": "FOO=1 python t.py"}, "got 'FOO=1': variables are given by `env FOO=1 …`"),
        ({"arguments": "argparser"}, "arguments must be one of .* did you mean 'argparse'"),
        ({"booleans": "yes"}, "booleans must be one of flag, no-flag, word, got 'yes'"),
        ({"resume": "--resume"}, "resume must have a place {checkpoint}, got '--resume'"),
        ({"read": "(acc"}, "read must be a regular expression, got '\\(acc'"),
        ({"read": r"epoch (?P<step>\d+)"}, "read must have a named group for each metric"),
        ({"checkpoints": "/a/*.pt"}, "checkpoints must be a path below the folder"),
        ({"keep": "../out"}, "keep must be a path below the folder of the program"),
        ({"again_on": [0]}, "again_on must be exit codes from 1 to 255, got 0"),
        ({"grace": -1}, "grace must be at least 0 seconds, got -1"),
        ({"defaults": {"a b": 1}}, "the name of a value must be such as lr"),
    ],
)
def test_what_cannot_be_is_refused(stated: dict[str, Any], words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        declare: Any = Program
        declare(**{"command": "python train.py", **stated})


@pytest.mark.parametrize(
    "values", [{"program": 1}, {"a=b": 1}, {"": 1}, {"x": "a\0b"}, {"x": {1j}}]
)
def test_what_cannot_be_given_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadSetting):
        train(values)


def test_each_place_has_a_value() -> None:
    with pytest.raises(BadSetting, match=r"a place \{lr\} without a value; did you mean 'lr_'"):
        Program("a {lr}")(lr_=1)
    with pytest.raises(BadSetting, match=r"must have a place \{b\}, .* its places are a"):
        Program("x {a}", arguments="places")(a=1, b=2)


def test_what_is_not_there_is_said_before_any_trial(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    assert Program("python train.py", folder=tmp_path)().missing() is None
    wrong = Program("python tran.py", folder=tmp_path)()
    assert wrong.missing() == f"there is no file 'tran.py' in {tmp_path}; did you mean 'train.py'?"
    linked = Program("python train.py", folder=tmp_path, links=["data"])()
    assert linked.missing() == f"links names 'data', which is not in {tmp_path}"
    absent = Program("python train.py", folder=tmp_path, python="nothing-here")()
    assert absent.missing() == "python names 'nothing-here', which cannot be started here"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("nosuchbinary --lr {lr}", "command must name a program that can be started here, got "),
        ("python -u trian.py", "there is no file 'trian.py' in"),
        ("python -W ignore -u trian.py", "there is no file 'trian.py' in"),
        ("env A=1 python trian.py", "there is no file 'trian.py' in"),
        ("env -C sub python inner.py", None),
        ("env A=1 --chdir=sub python inner.py", None),
        ("env -C sub python train.py", r"no file 'train.py' in .*sub; did you mean 'inner.py'"),
        ("env -C {script} python inner.py", None),
        ("bash -e jbo.sh", "there is no file 'jbo.sh' in .* did you mean 'job.sh'"),
        ("torchrun --nproc-per-node 2 trian.py", "there is no file 'trian.py' in"),
        ("job.sh", "write './job.sh'"),
        ("./job.sh", "command must name a program that may be executed, got './job.sh'"),
        ("./none", "command must name a program that is there, got './none'"),
        ("python -u train.py --out new.py", None),
        ("python -m package.train new.py", None),
        ("python {script}.py", None),
        ("sh -c 'python trian.py; rm x'", None),
        ("bash job.sh 'a;b' a\\;b", None),
        ("{binary} train.py", None),
    ],
)
def test_a_command_names_what_can_be_started(
    command: str, words: str | None, tmp_path: Path
) -> None:
    for name in ("train.py", "job.sh"):
        (tmp_path / name).touch(0o644)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/inner.py").touch()
    values = {"script": "x", "binary": "x", "lr": 1}
    said = Program(command, folder=tmp_path)(values).missing()
    assert said is None if words is None else said and re.search(words, said)


def test_the_folder_of_unpacked_code_is_that_where_its_data_lies(tmp_path: Path) -> None:
    lay, unpacked = tmp_path / "project", tmp_path / "kept/0/sub"
    (lay / "sub").mkdir(parents=True)
    unpacked.mkdir(parents=True)
    (tmp_path / "kept" / ROOTS).write_text(json.dumps([str(lay)]))
    assert Program("x", folder=unpacked)().to_json()["program"]["folder"] == str(lay / "sub")
    assert original(tmp_path / "kept/0/other") == tmp_path / "kept/0/other"
