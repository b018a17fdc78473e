"""What the README shows works: its commands are understood, its sweep passes the checks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.client import Client
from raysearch.trial.session import entry_point
from trainables.core.session import LocalSession

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [README, *(page.read_text() for page in sorted((ROOT / "docs").rglob("*.md")))]
COMMANDS = sorted(
    {
        line.strip().partition("  #")[0].strip()
        for page in PAGES
        for line in page.splitlines()
        if line.startswith("    raysearch ")
    }
    | {command for page in PAGES for command in re.findall(r"`(raysearch [^`]+)`", page)}
)
SPACES = [page.read_text() for page in sorted((ROOT / "search_spaces").glob("*.py"))]
COMMANDS_OF_SPACES = sorted(
    {
        " ".join(found.partition("  #")[0].replace("\\\n", " ").split())
        for page in SPACES
        for found in re.findall(r"^ *(raysearch (?:[^\n]*\\\n)*[^\n]*)", page, re.MULTILINE)
    }
    | {command for page in SPACES for command in re.findall(r"`(raysearch [^`\n]+)`", page)}
)
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
OPTIONS = sorted(set(re.findall(r"`(--[a-z-]+)", README)))
LINKS = sorted(set(re.findall(r"\]\(([^)]+)\)", "".join(PAGES))))


@pytest.mark.parametrize("line", [*COMMANDS, *COMMANDS_OF_SPACES])
def test_a_documented_command_is_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]  # pyright: ignore[reportAttributeAccessIssue]
    if not (arguments or name in ("spaces", "list", "ui")):
        return  # named in passing: `raysearch check`
    with command.make_context(name, arguments) as context:
        assert context.command is command


@pytest.mark.parametrize("option", OPTIONS)
def test_a_documented_option_exists(option: str) -> None:
    commands = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
    known = {one for command in commands.values() for p in command.params for one in p.opts}
    known.add("--help")
    assert option in known


@pytest.mark.parametrize("link", LINKS)
def test_a_documented_page_exists(link: str) -> None:
    assert any((ROOT / folder / link).exists() for folder in (".", "docs", "docs/findings"))


def test_the_documented_experiment_runs_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    [code] = [block for block in BLOCKS if "def run(" in block]
    own: dict[str, Any] = {"__name__": "own"}
    exec(code, own)
    whole, told = LocalSession(tmp_path / "whole"), LocalSession(tmp_path / "told")
    own["run"](own["Valley"](x=2.0).to_json(), whole)
    told.stop = True
    own["run"](own["Valley"](x=2.0).to_json(), told)
    rest = LocalSession(tmp_path / "rest", told.checkpoints[1])
    own["run"](own["Valley"](x=2.0).to_json(), rest)
    assert len(whole.reports) == 10 and told.reports | rest.reports == whole.reports


def test_the_documented_experiment_is_tested_from_its_checkpoint(tmp_path: Path) -> None:
    [code] = [block for block in BLOCKS if "def run(" in block]
    own: dict[str, Any] = {"__name__": "own"}
    exec(code, own)
    config, session = own["Valley"](x=2.0).to_json(), LocalSession(tmp_path)
    assert config == {"seed": 0, "x": 2.0}
    own["run"](config, session)
    tested = LocalSession(tmp_path, session.checkpoints[10])
    entry_point(own["run"], "test")(config, tested)
    assert [list(metrics) for metrics in tested.reports.values()] == [["test/loss"]]


def test_the_documented_experiment_passes_its_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = [block for block in BLOCKS if "def run(" in block]
    (tmp_path / "own.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    result = CliRunner().invoke(app, ["plan", "own:valley"])
    assert result.exit_code == 0, result.stderr
    assert "x: -2 … 2" in result.stdout


def test_the_documented_sweep_passes_its_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = [block for block in BLOCKS if "optimisers(trial)" in block]
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    result = CliRunner().invoke(app, ["plan", "mine:optimisers"])
    assert result.exit_code == 0, result.stderr
    assert "optimizer[sgd].lr: 0.001 … 1 (log)   if optimizer.kind = sgd" in result.stdout


def test_the_documented_methods_of_the_client_exist() -> None:
    [code] = [block for block in BLOCKS if "raysearch.Client(" in block]
    named = re.findall(r"\bclient\.(\w+)\(", code)
    assert len(named) >= 4 and [name for name in named if not hasattr(Client, name)] == []
