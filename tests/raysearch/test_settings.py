"""Where things lie: an option goes before the environment, that before a file and a default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.client import Client
from raysearch.errors import BadSetting
from raysearch.events.log import Store
from raysearch.settings import KEYS, Settings
from tests.raysearch.events import streams
from tests.raysearch.specs import make_spec


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in another, and nothing said in the environment."""
    inner = tmp_path / "project/inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    for name in KEYS.values():
        monkeypatch.delenv(name, raising=False)
    return inner


def test_by_default_all_lies_under_runs(folder: Path) -> None:
    found = Settings.locate()
    assert found.runs == folder / "runs"
    assert found.store == f"sqlite:///{folder}/runs/raysearch.db"
    assert found.tracking_uri == f"sqlite:///{folder}/runs/mlflow.db"


def test_a_file_above_says_where_from_where_it_lies(folder: Path) -> None:
    file = folder.parent / "raysearch.toml"
    file.write_text('runs = "kept"\nstore = "sqlite:///all.db"\ntracking_uri = "http://x:5000"\n')
    found = Settings.locate()
    assert found.runs == folder.parent / "kept"
    assert found.store == f"sqlite:///{folder.parent}/all.db"
    assert found.tracking_uri == "http://x:5000" and not found.tracking_given
    (folder / "raysearch.toml").write_text('runs = "nearer"\n')
    assert Settings.locate().runs == folder / "nearer", "the nearest file alone is read"


def test_options_go_before_the_environment_and_that_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "raysearch.toml").write_text('runs = "file"\ntracking_uri = "http://file"\n')
    monkeypatch.setenv("RAYSEARCH_RUNS", "environment")
    assert Settings.locate().runs == folder / "environment"
    assert Settings.locate().tracking_uri == "http://file"
    assert Settings.locate("option").runs == folder / "option"
    assert Settings.locate(tracking_uri="none").tracking_uri == "none"
    assert Client().settings.runs == folder / "environment"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('rnus = "a"', ["'rnus'", "did you mean 'runs'", "runs, store, tracking_uri"]),
        ("runs = 3", ["runs", "text in quotes", "3"]),
        ('store = ""', ["store", "text in quotes", "''"]),
        ("runs = ", ["TOML"]),
        ("\xff", ["TOML"]),
    ],
)
def test_a_wrong_file_is_one_sentence(folder: Path, text: str, words: list[str]) -> None:
    file = folder / "raysearch.toml"
    file.write_bytes(text.encode("latin-1"))
    for command in (["list"], ["resume", "one"], ["sync", "one"]):
        said = CliRunner().invoke(app, command)
        assert said.exit_code == 2
        assert all(word in said.stderr for word in (*words, str(file)))
    with pytest.raises(BadSetting):
        Settings.locate()


def test_a_search_keeps_the_tracking_address_that_it_began_with(folder: Path) -> None:
    (folder / "raysearch.toml").write_text('tracking_uri = "postgresql://me:secret@host/db"\n')
    there = Settings.locate()
    assert there.tracking_of(make_spec()).tracking_uri == f"sqlite:///{folder}/runs/mlflow.db"
    assert there.tracking_of(make_spec(tracking_uri="http://y")).tracking_uri == "http://y"
    pinned = there.pinned_tracking
    assert pinned is not None and "secret" not in pinned
    assert there.tracking_of(make_spec(tracking_uri=pinned)) == there, "with its password"
    given = replace(there, tracking_given=True)
    assert given.tracking_of(make_spec(tracking_uri="http://y")) == given


def test_commands_look_where_the_file_says(folder: Path) -> None:
    (folder / "raysearch.toml").write_text('runs = "elsewhere"\n')
    store = Store(f"sqlite:///{folder}/elsewhere/raysearch.db")
    streams.search(store, "one", folder / "elsewhere/one")
    assert "one" in CliRunner().invoke(app, ["list"]).stdout
    said = CliRunner().invoke(app, ["status", "one"])
    assert said.exit_code == 0 and "--runs" not in said.stdout


def test_the_version_is_said() -> None:
    from importlib.metadata import version

    said = CliRunner().invoke(app, ["--version"])
    assert said.stdout == f"raysearch {version('raysearch')}\n" and said.exit_code == 0


def test_searching_and_looking_stand_first_in_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(app, ["--help"]).stdout
    panels = ["Options", "Search", "Look", "Keep", "Data and imports", "Cluster"]
    places = [text.index(f"─ {panel} ─") for panel in panels]
    assert places == sorted(places)


def test_a_shell_completes_the_names_of_searches(folder: Path) -> None:
    store = Store(f"sqlite:///{folder}/runs/raysearch.db")
    for name in ("digits-1", "digits-2", "other"):
        store.create(name, streams.spec())
    typed = {"_RAYSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": "raysearch status dig"}
    said = CliRunner().invoke(app, env={**typed, "COMP_CWORD": "2"}, prog_name="raysearch")
    assert said.stdout.split() == ["digits-1", "digits-2"]
