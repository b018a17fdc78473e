"""Values on command lines: each program reads back what was given, and executes none of it."""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from raysearch.errors import BadSetting
from raysearch.programs.command_line import (
    CommandLine,
    command_line,
    environment,
    hydra_value,
    interpreted,
    nested,
)
from raysearch.sweeps.program import Program

NASTY = [
    "$(touch gone)",
    "`id`",
    "a; b",
    "'",
    '"',
    "\\",
    "a\\'b",
    "${oc.env:HOME}",
    "x y",
    "é",
    "-",
]


def line(program: Program, values: dict[str, Any], checkpoint: str | None = None) -> CommandLine:
    config = program(values)
    facts = config.to_json()["program"]
    path = None if checkpoint is None else Path(checkpoint)
    file = Path("values.json")
    return command_line(config.values, config.seed, facts, checkpoint=path, config=file)


def test_argparse_reads_back_what_was_given() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--offset", type=float)
    parser.add_argument("-b", type=int)
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--text")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--none", default=7)
    given = {"lr": 1e-5, "offset": -1e-5, "b": 32, "sizes": [1, 2], "text": "--x y", "fast": True}
    words = line(Program("prog"), {**given, "slow": False, "none": None}).words
    assert vars(parser.parse_args(words[1:])) == {**given, "slow": False, "none": 7}


@pytest.mark.parametrize(
    ("booleans", "words"),
    [
        ("flag", ["--yes"]),
        ("no-flag", ["--yes", "--no-no"]),
        ("word", ["--yes=True", "--no=False"]),
    ],
)
def test_truth_is_given_as_the_program_takes_it(booleans: Any, words: list[str]) -> None:
    program = Program("prog", booleans=booleans)
    assert line(program, {"yes": True, "no": False}).words[1:] == words


@pytest.mark.parametrize(
    "value",
    [
        *NASTY,
        r"\${a}",
        r"\\${a} b\ ${c}\\",
        "true",
        "null",
        "1e3",
        "",
        "a/b.c",
        True,
        None,
        3,
        -2.5e-7,
        [1, "a b", [True]],
    ],
)
def test_hydra_reads_back_what_was_given(value: Any) -> None:
    (word,) = line(Program("prog", arguments="hydra"), {"model.x": value}).words[1:]
    (override,) = OverridesParser.create().parse_overrides([word])
    made = OmegaConf.create({"x": override.value()})
    assert override.key_or_group == "model.x"
    assert OmegaConf.to_container(made, resolve=True) == {"x": value}


def test_a_mapping_is_one_for_hydra() -> None:
    (override,) = OverridesParser.create().parse_overrides([f"x={hydra_value({'a': [1, 'b c']})}"])
    assert override.value() == {"a": [1, "b c"]}
    with pytest.raises(BadSetting, match="a key of a mapping must be a name for Hydra, got 'a b'"):
        hydra_value({"a b": 1})


def test_places_take_their_values_and_the_rest_is_added() -> None:
    program = Program("prog --lr {lr} run-{seed}-{lr} {{x}} {config}")
    words = line(program, {"lr": 0.1, "layers": 2, "seed": 5}).words
    assert words == ["prog", "--lr", "0.1", "run-5-0.1", "{x}", "values.json", "--layers=2"]


def test_a_file_and_the_environment_have_the_values() -> None:
    file = line(Program("prog", arguments="json file", option="--cfg"), {"a.b": 1})
    assert file.words == ["prog", "--cfg=values.json"]
    assert nested({"a.b": 1, "a.c": 2, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}
    with pytest.raises(BadSetting, match=r"a\.b must not lie below a value of its own, a"):
        nested({"a": 1, "a.b": 2})
    program = Program("prog", arguments="environment", environment={"MODE": "fast"})
    assert line(program, {"optimizer.lr": 0.1, "on": True}).variables == {
        "MODE": "fast",
        "OPTIMIZER_LR": "0.1",
        "ON": "True",
    }


def test_the_checkpoint_is_given_where_there_is_one() -> None:
    program = Program("prog", resume="--resume {checkpoint}")
    assert line(program, {}).words == ["prog"]
    assert line(program, {}, "/a b/c.pt").words == ["prog", "--resume", "/a b/c.pt"]


@pytest.mark.parametrize("quotes", ["{text}", '"{text}"', "'{text}'"])
@pytest.mark.parametrize("value", NASTY)
def test_a_shell_executes_no_value(value: str, quotes: str, tmp_path: Path) -> None:
    command = f"printf %s {quotes} | cat && printf '|'"
    words = line(Program(command, shell=True), {"text": value, "more": value}).words
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not (tmp_path / "gone").exists() and "uid=" not in done.stdout
    if quotes == "{text}":
        assert done.stdout.startswith(f"{value}|")


def test_a_shell_has_a_place_for_what_resumes() -> None:
    program = Program("prog {resume} > out", shell=True, resume="--from {checkpoint}")
    done = line(program, {}, "/a b.pt").words
    assert done == ["/bin/sh", "-c", 'prog "${1}" "${2}" > out', "sh", "--from", "/a b.pt"]
    with pytest.raises(BadSetting, match=r"command must have a place \{resume\}"):
        Program("prog > out", shell=True, resume="--from {checkpoint}")


def test_the_interpreter_is_the_one_that_is_meant() -> None:
    assert interpreted(["python3", "a.py"], ["/x/python"]) == ["/x/python", "a.py"]
    assert interpreted(["a.py"], ["/x/python"]) == ["/x/python", "a.py"]
    conda = ["conda", "run", "-n", "env", "python"]
    assert interpreted(["python", "a.py"], conda) == [*conda, "a.py"]
    assert interpreted(["torchrun", "a.py"], conda) == [
        "conda",
        "run",
        "-n",
        "env",
        "torchrun",
        "a.py",
    ]
    assert interpreted(["./run"], ["/x/python"]) == ["./run"]


def test_nothing_of_our_own_environment_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSAFEPATH"):
        monkeypatch.setenv(name, "ours")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    program = Program("prog", environment={"PYTHONPATH": "src"})
    facts = program({}).to_json()["program"]
    found = environment(line(program, {}), facts, tmp_path, tmp_path / "path")
    assert found["PYTHONPATH"] == f"{tmp_path / 'path'}{os.pathsep}src"
    assert found["CUDA_VISIBLE_DEVICES"] == "1" and found["PYTHONUNBUFFERED"] == "1"
    assert not {"PYTHONHOME", "VIRTUAL_ENV", "PYTHONSAFEPATH"} & set(found)
