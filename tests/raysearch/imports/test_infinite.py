"""What is infinite, no number, too long or not nested as W&B wants it is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysearch.errors import BadSetting
from raysearch.imports.fields import Fields
from raysearch.imports.hydra_line import read_hydra
from raysearch.imports.wandb_sweep import read_wandb
from trainables.ssl.config import Supervised

LR = "optimizer.lr"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("inf,1", "optimizer.lr must have finite values, got inf"),
        ("nan", "optimizer.lr must have finite values, got nan"),
        ("choice(1.0,-inf)", "optimizer.lr must have finite values, got -inf"),
        ("1e999,1", "optimizer.lr must have finite values, got inf"),
        ("interval(0,inf)", "interval must have finite numbers, got inf"),
        ("range(0,inf)", "range must have finite numbers, got inf"),
        ("range(0,1,nan)", "range must have finite numbers, got nan"),
        ("range(0,1e9,1e-3)", "range must have at most 1,000,000 values"),
        ("int(inf)", "cannot convert float infinity to integer"),
        ("float(abc)", "could not convert string to float: 'abc'"),
    ],
)
def test_a_line_of_hydra_holds_finite_numbers(value: str, words: str) -> None:
    with pytest.raises(BadSetting) as error:
        read_hydra(f"train.py -m {LR}={value}", Fields(Supervised))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("  optimizer.lr: {values: [.inf, 1.0]}", "optimizer.lr must have finite values, got inf"),
        ("  optimizer.lr: {values: [1.0, '1e999']}", "must have finite values, got inf"),
        ("  optimizer.lr: {value: .nan}", "optimizer.lr must have finite values, got nan"),
        ("  optimizer.lr: {min: 0.0, max: .inf}", "max must be a number, got inf"),
        ("  optimizer: {lr: {values: [1.0]}}", "optimizer must state lr below a `parameters:`"),
        ("  model:\n    layers: {min: 1, max: 2}\n    width: {value: 8}", "state layers, width"),
    ],
)
def test_a_sweep_of_wandb_holds_finite_numbers(parameters: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(f"method: random\nparameters:\n{parameters}\n")
    with pytest.raises(BadSetting) as error:
        read_wandb(tmp_path / "s.yaml", Fields(Supervised))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method: grid\noptimizer.lr: {value: 1}\n", "states 'optimizer.lr'"),
        ("method: grid\nname: a\n", "must state its parameters by name below `parameters:`"),
        ("method: grid\nparameters: [a]\n", "parameters must be a mapping of names"),
    ],
)
def test_a_sweep_without_parameters_is_said_to_be_one(
    text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises((BadSetting, LookupError)) as error:
        read_wandb(tmp_path / "s.yaml", Fields(Supervised))
    assert words in str(error.value)


@pytest.mark.parametrize("key", ["min_iter", "max_iter", "eta"])
def test_a_pruner_counts_in_finite_numbers(key: str, tmp_path: Path) -> None:
    early = {"type": "hyperband", "min_iter": 1, key: ".inf"}
    if key == "max_iter":
        early["s"] = 2
    stated = ", ".join(f"{name}: {value}" for name, value in early.items())
    (tmp_path / "s.yaml").write_text(
        f"method: random\nearly_terminate: {{{stated}}}\nparameters: {{{LR}: {{value: 1.0}}}}\n"
    )
    with pytest.raises(BadSetting, match=key):
        read_wandb(tmp_path / "s.yaml", Fields(Supervised))
