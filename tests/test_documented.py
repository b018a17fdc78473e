"""What README and the site show works: commands are understood, Python runs, links lead on."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.client import Client
from raysearch.errors import KINDS as ERRORS
from raysearch.events.log import Store
from raysearch.extras import PACKAGES
from raysearch.study.failures import KINDS
from raysearch.study.pruners import check_pruner
from raysearch.study.samplers.named import check_sampler
from raysearch.sweeps.catalog import find_sweep
from raysearch.sweeps.pruners import PRUNERS
from raysearch.sweeps.samplers import SAMPLERS
from raysearch.sweeps.space import Space
from raysearch.tracking.consumer import sync
from raysearch.trial.session import entry_point
from tests.raysearch.events import streams
from tests.raysearch.searches.sweeps import broken
from trainables.core.session import LocalSession

ROOT = Path(__file__).parents[1]
FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in FILES}
COMMANDS = sorted(
    {
        line.strip().partition("  #")[0].strip()
        for page in PAGES.values()
        for line in page.splitlines()
        if line.startswith("    raysearch ")
    }
    | {command for page in PAGES.values() for command in re.findall(r"`(raysearch [^`]+)`", page)}
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
OF_OTHERS = ("docs/slurm.md", "docs/cluster.md", "docs/imports.md")
"""Pages that name options of other programs too."""
OPTIONS = sorted(
    {
        option
        for name, page in PAGES.items()
        if name not in OF_OTHERS
        for option in re.findall(r"`(--[a-z-]+)", page)
    }
)
LINKS = sorted(
    {
        (name, link.partition("#")[0])
        for name, page in PAGES.items()
        for link in re.findall(r"\]\(([^)\s]+)\)", page)
        if "://" not in link
    }
)


def blocks(page: str) -> dict[str, str]:
    """The files of a page, by the name in the first line of each block: `# own.py`."""
    found = re.findall(r"```(?:python|yaml)\n(.*?)```", PAGES[page], re.DOTALL)
    named = {re.sub(r"^# ", "", text.partition("\n")[0]): text for text in found}
    assert len(named) == len(found), f"two blocks of {page} have one name"
    return named


ALL_BLOCKS = [(page, name) for page in PAGES for name in blocks(page)]
SWEEPS = [
    (page, name, sweep)
    for page, name in ALL_BLOCKS
    for sweep in re.findall(r"^@sweep\(.*?^def (\w+)", blocks(page)[name], re.DOTALL | re.MULTILINE)
]
PROGRAMS = ("optuna_study.py", "train.py", "tune_run.py", "compare.py")
"""Blocks that are run as programs: two at once, two as searches of Ray."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder from which modules are imported, and forgotten at the end."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, page: str) -> dict[str, str]:
    """Writes the files of a page; a module of that name that another test left is forgotten."""
    found = blocks(page)
    for name, text in found.items():
        sys.modules.pop(Path(name).stem, None)
        (folder / name).write_text(text)
    return found


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
    inside = [one for group in commands.values() for one in getattr(group, "commands", {}).values()]
    known = {
        one for command in [*commands.values(), *inside] for p in command.params for one in p.opts
    }
    known |= {"--help", "--install-completion", "--version"}
    assert option in known


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda each: each)
def test_a_documented_page_exists(page: str, link: str) -> None:
    assert (ROOT / page).parent.joinpath(link).exists() or link == ""


def test_every_command_is_documented() -> None:
    commands = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
    shown = {shlex.split(line)[1] for line in COMMANDS}
    assert set(commands) - shown == set()


def test_readme_is_a_screen_and_a_half() -> None:
    assert PAGES["README.md"].count("\n") <= 90


@pytest.mark.parametrize(("page", "name"), ALL_BLOCKS, ids=lambda each: each)
def test_every_block_is_a_file_that_a_test_uses(page: str, name: str) -> None:
    declared = {(where, each) for where, each, _ in SWEEPS}
    assert (page, name) in declared or name in PROGRAMS or name in ("sweep.yaml", "parts.py")


@pytest.mark.parametrize(("page", "name", "sweep"), SWEEPS, ids=lambda each: each)
def test_a_documented_sweep_passes_its_checks(
    page: str, name: str, sweep: str, folder: Path
) -> None:
    write(folder, page)
    result = CliRunner().invoke(app, ["plan", f"{name.removesuffix('.py')}:{sweep}"])
    assert result.exit_code == 0, result.stderr
    assert f"sweep      {name.removesuffix('.py')}.{sweep}" in result.stdout


def test_the_documented_sweep_has_conditions(folder: Path) -> None:
    write(folder, "docs/tutorials/own_sweep.md")
    result = CliRunner().invoke(app, ["plan", "mine:optimisers"])
    assert "optimizer[sgd].lr: 0.001 … 1 (log)   if optimizer.kind = sgd" in result.stdout


OWN = "docs/tutorials/own_experiment.md"


def test_the_documented_experiment_runs_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    own: dict[str, Any] = {"__name__": "own"}
    exec(blocks(OWN)["own.py"], own)
    whole, told = LocalSession(tmp_path / "whole"), LocalSession(tmp_path / "told")
    own["run"](own["Valley"](x=2.0).to_json(), whole)
    told.stop = True
    own["run"](own["Valley"](x=2.0).to_json(), told)
    rest = LocalSession(tmp_path / "rest", told.checkpoints[1])
    own["run"](own["Valley"](x=2.0).to_json(), rest)
    assert len(whole.reports) == 10 and told.reports | rest.reports == whole.reports


def test_the_documented_experiment_is_tested_from_its_checkpoint(tmp_path: Path) -> None:
    own: dict[str, Any] = {"__name__": "own"}
    exec(blocks(OWN)["own.py"], own)
    config, session = own["Valley"](x=2.0).to_json(), LocalSession(tmp_path)
    assert config == {"seed": 0, "x": 2.0}
    own["run"](config, session)
    tested = LocalSession(tmp_path, session.checkpoints[10])
    entry_point(own["run"], "test")(config, tested)
    assert [list(metrics) for metrics in tested.reports.values()] == [["test/loss"]]


def test_the_documented_methods_of_the_client_exist() -> None:
    named = re.findall(r"\bclient\.(\w+)\(", blocks("docs/python.md")["compare.py"])
    assert len(named) >= 4 and [name for name in named if not hasattr(Client, name)] == []


def program(folder: Path, *command: str) -> str:
    """What a program of a page prints, which must end well."""
    environment = {**os.environ, "RAYSEARCH_PRELOAD": "", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.search
def test_the_documented_script_finds_and_reports_the_best_trial(tmp_path: Path) -> None:
    write(tmp_path, OWN)
    write(tmp_path, "docs/python.md")
    shown = "print(name, len(client.results(name)), client.best(name)['trial'])\n"
    (tmp_path / "compare.py").write_text(blocks("docs/python.md")["compare.py"] + shown)
    [said] = re.findall(r"^valley-1 8 (\d)$", program(tmp_path, "compare.py"), re.MULTILINE)
    assert int(said) < 8
    assert (tmp_path / "runs" / "valley-1" / "report" / "index.html").is_file()


def test_the_documented_program_runs_outside_of_a_search(tmp_path: Path) -> None:
    write(tmp_path, "docs/programs.md")
    assert program(tmp_path, "train.py", "--lr", "0.01") == ""
    saved = (tmp_path / "last.json").read_text()
    program(tmp_path, "train.py", "--resume", "last.json")
    assert '"epoch": 5' in saved and saved == (tmp_path / "last.json").read_text()


MIGRATION = "docs/migration.md"


def test_one_sweep_of_all_tools_is_one_space(folder: Path) -> None:
    """Imported as the page says, the sweeps of W&B and Hydra have the points of ours."""
    write(folder, MIGRATION)
    lines = [
        line for line in COMMANDS if line.startswith("raysearch import") and "mine:Fit" in line
    ]
    assert len(lines) == 2
    for line in lines:
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, result.stderr
    ours, brought, lines_of_hydra = (
        dict(Space(find_sweep(name, ["search_spaces"])).survey.distributions)
        for name in ("mine:rates", "brought:sweep_sweep", "lines:multirun")
    )
    assert set(ours) == {"lr", "layers"} and ours == brought == lines_of_hydra


def test_the_documented_script_gets_the_documented_sweep(folder: Path) -> None:
    shown = write(folder, "docs/imports.md")["first.py"]
    (folder / "first.py").unlink()
    [line] = [line for line in COMMANDS if line.startswith("raysearch init train.py --out")]
    assert CliRunner().invoke(app, shlex.split(line)[1:]).exit_code == 0
    assert (folder / "first.py").read_text() == shown.removeprefix("# first.py\n")


@pytest.mark.slow
def test_the_same_sweep_of_optuna_runs(tmp_path: Path) -> None:
    write(tmp_path, MIGRATION)
    assert "Trial 19" in program(tmp_path, "optuna_study.py")


@pytest.mark.slow
def test_the_same_sweep_of_hydra_runs(tmp_path: Path) -> None:
    pytest.importorskip("hydra")
    write(tmp_path, MIGRATION)
    program(tmp_path, "train.py", "-m", "lr=0.1,0.01", "layers=2")
    assert len(list(tmp_path.glob("multirun/*/*/[01]"))) == 2


@pytest.mark.slow
def test_the_same_sweep_of_tune_is_accepted(tmp_path: Path) -> None:
    write(tmp_path, MIGRATION)
    program(tmp_path, "tune_run.py")


@pytest.mark.long
@pytest.mark.search
def test_the_same_sweep_of_tune_runs(tmp_path: Path) -> None:
    text = write(tmp_path, MIGRATION)["tune_run.py"]
    fewer = text.replace("num_samples=20", "num_samples=2").replace("# tuner.fit()", "ends()")
    ends = "def ends():\n    assert len([one for one in tuner.fit() if not one.error]) == 2\n\n\n"
    (tmp_path / "tune_run.py").write_text(fewer.replace("space = {", ends + "space = {"))
    program(tmp_path, "tune_run.py")


def test_the_documented_parts_are_taken(folder: Path) -> None:
    write(folder, "docs/extending.md")
    check_pruner("parts:Late:after=2", broken)
    check_sampler("parts:Wide", broken, Space(broken))
    store, log = Store(f"sqlite:///{folder / 'events.db'}"), folder / "one"
    last = streams.search(store, "one", log).last
    assert sync(store, "one", "none", log, track="mlflow,parts:Lines") == last
    assert len((log / "lines.txt").read_text().splitlines()) == last


def rows(page: str, head: str) -> list[str]:
    """What stands in backticks in the first cells of a table, by the first cell of its head."""
    table = PAGES[page].partition(f"| {head} |")[2].partition("\n\n")[0]
    return re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^\| ([^|]+)\|", table, re.MULTILINE)))


def test_each_kind_of_failure_and_error_has_its_row() -> None:
    page = "docs/troubleshooting.md"
    assert sorted(rows(page, "kind")) == sorted(KINDS)
    assert sorted(rows(page, "exception")) == sorted([*ERRORS, "NoRay"])


def test_each_extra_has_its_row() -> None:
    assert sorted(rows("docs/installation.md", "extra")) == sorted([*PACKAGES, "all"])


@pytest.mark.parametrize(("option", "named"), [("sampler", SAMPLERS), ("pruner", PRUNERS)])
def test_each_sampler_and_pruner_is_documented(option: str, named: dict[str, Any]) -> None:
    [row] = re.findall(rf"^\| `--{option}` \|.*$", PAGES["docs/commands.md"], re.MULTILINE)
    assert [name for name in named if f"`{name}`" not in row] == []


def test_each_file_that_contributing_names_exists() -> None:
    named = re.findall(r"`([a-z_]+/[a-z_/.]+|[\w]+\.(?:md|txt|toml))`", PAGES["CONTRIBUTING.md"])
    assert len(named) > 30 and [path for path in named if not (ROOT / path).exists()] == []
