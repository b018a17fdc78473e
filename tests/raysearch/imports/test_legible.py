"""What no reader takes is said in a sentence: other encodings, endless nesting, numbers, cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysearch.errors import BadSetting
from raysearch.imports.fields import Fields
from raysearch.imports.hydra_line import read_hydra
from raysearch.imports.wandb_sweep import read_wandb
from raysearch.study.known_trials import read_known
from raysearch.sweeps.space import Space
from tests.raysearch.toys import Toy, swept
from trainables.ssl.config import Supervised

NESTED, DIGITS = b"[" * 100_000, b"9" * 5_000


def toy(trial: Any) -> Toy:
    return Toy(depth=trial.suggest_int("depth", 1, 4))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("known.csv", "depth,m\n1,ä\n".encode("latin-1"), "must be text in UTF-8, and byte 10 is"),
        ("known.csv", "depth,m\n1,1\n".encode("utf-16"), "must be text in UTF-8, and byte 0 is"),
        ("known.csv", b"depth,m\n1," + b"a" * 200_000, "cannot be read: field larger than"),
        ("known.csv", b"depth,m,depth \n1,1,2\n", "columns that differ, got 'depth' twice"),
        ("known.json", NESTED, "must not be nested so deeply"),
        ("known.json", b'[{"depth": ' + DIGITS + b"}]", "cannot be read: Exceeds the limit"),
        ("known.json", b'[{"depth": 1, "valid/score": 1' + b"0" * 400 + b"}]", "a finite number"),
    ],
)
def test_a_file_of_past_results(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadSetting) as error:
        read_known(tmp_path / name, Space(swept(toy)))
    assert f"--known {name}" in str(error.value) and words in str(error.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name: ä".encode("latin-1"), "sweep.yaml must be text in UTF-8, and byte 6 is none"),
        (b"method: [grid]", "method must be grid, random, bayes, got ['grid']"),
        (b"method: grid\nparameters: " + NESTED[:3_000], "must not be nested so deeply"),
        (b"method: grid\nparameters: &p {x: {parameters: *p}}", "nor within itself"),
        (b"method: grid\nparameters: {model.layers: {value: " + DIGITS + b"}}", "cannot be read"),
        (
            b"method: grid\nparameters: {data.name: {value: 2020-01-01}}",
            "data.name must have texts, numbers, truth values or null, got a date; put 2020-01-01",
        ),
    ],
)
def test_a_sweep_of_wandb(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_bytes(content)
    with pytest.raises(BadSetting) as error:
        read_wandb(tmp_path / "sweep.yaml", Fields(Supervised))
    assert words in str(error.value)


def test_a_line_of_hydra() -> None:
    with pytest.raises(BadSetting, match="--hydra must not be nested so deeply"):
        read_hydra("model.layers=" + "[" * 3_000, Fields(Supervised))
