"""A search whose trials say odd things goes on, and all of it is there to be read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.raysearch.command import COMMAND, ENVIRONMENT, raysearch

pytestmark = [pytest.mark.search, pytest.mark.slow]

OWN = """
import os
from raysearch.sweeps.sweep import Metric, sweep
from tests.raysearch.odd import ODD
from trainables.core.training import ExperimentConfig

NAMES = ["markup", "escape", "lines", "surrogate", "html", "formula"]


class Mute(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class Odd(ExperimentConfig):
    experiment = "own:run"
    name = "own.odd"
    step: int = 0
    text: str = ""


def run(config, session):
    text = ODD.get(config["text"], "")
    print("reading", text)
    if config["step"] == 1:
        raise FileNotFoundError(f"no images below {text} at all")
    if config["step"] == 2:
        raise Mute(text)
    session.report(1, {"val/loss": float(len(config["text"])), "progress/epochs": 1.0})


@sweep(metrics=[Metric("val/loss", "minimize")], sampler="grid", question=ODD["markup"], notes=ODD["html"])
def odd(trial):
    step = trial.suggest_categorical("step", [0, 1, 2])
    names = NAMES if step < 2 else NAMES[:1]
    return Odd(step=step, text=trial.suggest_categorical(f"text[{step}]", names))
"""  # noqa: E501


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of all that, with a terminal of ASCII whose reader leaves."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "own.py").write_text(OWN)
    line = 'set -o pipefail; "$@" | head -3'
    arguments = ["search", "own:odd", "--name", "odd", "--tracking-uri", "none"]
    done = subprocess.run(
        ["bash", "-c", line, "search", *COMMAND, *arguments], cwd=folder, capture_output=True,
        text=True, check=False, env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return folder


def test_every_trial_ended_as_it_should_and_keeps_what_it_said(folder: Path) -> None:
    rows = json.loads(raysearch(folder, "results", "odd", "--json").stdout)
    states = {(row["step"], row["text"]): row["state"] for row in rows}
    assert len(states) == 13
    assert all(state == ("failed" if step else "complete") for (step, _), state in states.items())
    reasons = {(row["step"], row["text"]): row["reason"] for row in rows}
    assert "no images below [/data/imagenet/train] [bold]" in reasons[1, "markup"]
    assert r"no images below caf\xe9 \xff" in reasons[1, "surrogate"]
    assert "no images below first second" in reasons[1, "lines"]
    assert "Mute('[/data/imagenet/train]" in reasons[2, "markup"]


@pytest.mark.parametrize("command", ["status", "results", "check", "report", "list", "best"])
def test_every_command_shows_it(folder: Path, command: str) -> None:
    arguments = [command] if command == "list" else [command, "odd"]
    done = raysearch(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout and "Traceback" not in done.stderr


def test_the_log_of_a_trial_is_there_to_the_letter(folder: Path) -> None:
    rows = json.loads(raysearch(folder, "results", "odd", "--json").stdout)
    trial = next(row for row in rows if (row["step"], row["text"]) == (1, "surrogate"))
    done = raysearch(folder, "logs", "odd", str(trial["trial"]))
    assert done.returncode == 0
    assert "FileNotFoundError: no images below" in done.stdout and "reading caf" in done.stdout
