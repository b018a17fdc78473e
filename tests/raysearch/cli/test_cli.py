"""Bad input is one sentence that names field, value and what is allowed; nothing is begun."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import raysearch.cli
from raysearch.cli.application import app
from raysearch.cli.options import plainly
from raysearch.driver.plan import parse_memory, parse_overrides, parse_time
from raysearch.errors import BadSetting
from raysearch.events.locks import FileLock
from raysearch.events.log import Store
from tests.raysearch.events import streams

SWEEPS = "tests.raysearch.searches.sweeps"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "ssl.digit_vit"], ["'ssl.digit_vit'", "'ssl.digits_vit'"]),
        (["search", "nothing.like:this"], ["'nothing.like'"]),
        (["search", f"{SWEEPS}:chian"], ["'chian'", "'chain'"]),
        (["search", "ssl.digits_vit", "model.leyers=2"], ["model.leyers", "model.layers"]),
        (["search", "ssl.digits_vit", "model.layers=two"], ["model.layers", "two"]),
        (["search", "ssl.digits_vit", "model.patch_size=3"], ["model.patch_size", "3"]),
        (["search", "ssl.digits_vit", "model.layers"], ["'model.layers'", "path=value"]),
        (["search", "ssl.digits_vit", "--sampler", "tpee"], ["sampler", "tpee", "tpe"]),
        (["search", "ssl.digits_vit", "--sampler", "grid"], ["model.dropout", "finite"]),
        (["search", "ssl.digits_vit", "--pruner", "medain"], ["pruner", "medain", "median"]),
        (["search", "ssl.digits_vit", "--pruner", "median:warm=2"], ["warm", "warmup"]),
        (["search", "ssl.digits_vit", "--trials", "0"], ["--trials", "0", "at least 1"]),
        (["search", "ssl.digits_vit", "--time", "soon"], ["--time", "soon", "15m"]),
        (["search", "ssl.digits_vit", "--memory", "lots"], ["--memory", "lots", "2G"]),
        (["search", "ssl.digits_vit", "--memory", "1"], ["--memory", "16M", "1 bytes"]),
        (["search", "ssl.digits_vit", "--seed", "-1"], ["--seed", "from 0 to 9223372036854775807"]),
        (["search", "ssl.digits_vit", "--seed", "9" * 23], ["--seed must be from 0", "9" * 23]),
        (["search", "ssl.digits_vit", "--name", ""], ["--name", "''", "80 letters"]),
        (["note", "one", "-m", " "], ["note", "at least one letter", "' '"]),
        (["compare", "one", "--csv", "--json"], ["--json or --csv", "both"]),
        (["search", "ssl.digits_vit", "--concurrent", "999"], ["--concurrent", "999", "CPUs"]),
        (["search", "ssl.digits_vit", "--name", "a/b"], ["--name", "'a/b'"]),
        (["search", "ssl.digits_vit", "--store", "nonsense"], ["--store", "nonsense"]),
        (["search", "ssl.digits_vit", "--store", "sqlite:////proc/no/a.db"], ["/proc/no/a.db"]),
        (["search", "ssl.digits_vit", "--tracking-uri", "ftp://x"], ["--tracking-uri", "ftp://x"]),
        (
            ["search", "ssl.digits_vit", "--tracking-uri", "sqlite:////proc/no/m.db"],
            ["--tracking-uri", "/proc/no"],
        ),
        (["search", f"{SWEEPS}:hungry"], ["cpus", "4096", "exist"]),
        (["search", f"{SWEEPS}:greedy"], ["gpus", "64", "exist"]),
        (["search", f"{SWEEPS}:slow", "--workers", "4096"], ["resources.workers", "4096", "exist"]),
        (["search", f"{SWEEPS}:slow", "--gpus", "1.5"], ["resources.gpus", "whole", "1.5"]),
        (["plan", "ssl.digits_vti"], ["'ssl.digits_vti'", "'ssl.digits_vit'"]),
        (["train", "ssl.supervized"], ["'ssl.supervized'", "'ssl.supervised'"]),
        (["train", "ssl.supervised", "model.width=30", "model.heads=4"], ["heads", "30", "4"]),
        (["status", "never"], ["no search yet"]),
        (["best", "never"], ["no search yet"]),
        (["stop", "never"], ["no search yet"]),
        (["resume", "never"], ["no search yet"]),
        (["check", "never"], ["no search yet"]),
        (["sync", "never"], ["no search yet"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence_and_begins_nothing(
    arguments: list[str], words: list[str]
) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output + result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]
    assert not list(Path(".").rglob("lock")), "no search was begun"
    assert not list(Path(".").rglob("attempt-*"))


def test_a_fresh_folder_has_no_searches() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    assert f"no search yet in {Path.cwd() / 'runs'}" in result.stdout
    assert os.listdir() == []


def test_the_plan_of_a_grid_counts_its_cells() -> None:
    result = CliRunner().invoke(app, ["plan", "ssl.digits_grid", "model.layers=2"])
    assert result.exit_code == 0
    assert "points     6" in result.stdout and "not asked" not in result.stdout


def test_a_plan_says_that_it_does_not_look_for_time_and_chance() -> None:
    result = CliRunner().invoke(app, ["plan", f"{SWEEPS}:chain"])
    assert "not asked  whether time or chance changes it" in result.stdout


@pytest.mark.parametrize(
    ("text", "size"), [("800M", 800 << 20), ("2G", 2 << 30), ("2GiB", 2 << 30), ("1024", 1024)]
)
def test_sizes_are_read_in_powers_of_1024(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["9" * 400, "9" * 20, "0.5", "0", "1e5"])
def test_a_size_that_can_be_none_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="--memory must be a positive size"):
        parse_memory(text)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5h", 5400), ("2d", 172800)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


def test_what_is_nested_too_deeply_for_json_is_a_word() -> None:
    deep = "[" * 20_000
    assert parse_overrides([f"a={deep}"]) == {"a": deep}


def test_values_are_json_or_words() -> None:
    assert parse_overrides(["a.b=1e-3", "c=true", "d=adamw", "e=null", "f=3"]) == {
        "a.b": 1e-3,
        "c": True,
        "d": "adamw",
        "e": None,
        "f": 3,
    }


def test_a_search_that_nobody_drives_any_more_is_called_killed(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    store = Store(f"sqlite:///{folder / 'raysearch.db'}")
    streams.search(store, "one", folder / "one", ends=False).flush()
    result = CliRunner().invoke(app, ["status", "one"])
    assert result.exit_code == 0
    assert result.stdout.startswith("one: killed\n")
    assert "go on with: raysearch resume one" in result.stdout
    with FileLock(folder / "one"):
        assert CliRunner().invoke(app, ["status", "one"]).stdout.startswith("one: running\n")


def test_results_and_best_are_what_the_events_say(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'runs/raysearch.db'}")
    streams.search(store, "one", tmp_path / "runs/one")
    rows = CliRunner().invoke(app, ["results", "one", "--csv"]).stdout.splitlines()
    assert rows[0].startswith(
        "trial,state,val/accuracy,epochs,step,seconds,optimizer.lr,model.layers"
    )
    assert [row.partition(",")[0] for row in rows[1:]] == ["5", "1", "0", "2", "3", "4"]
    best = json.loads(CliRunner().invoke(app, ["best", "one", "--json"]).stdout)
    assert best["trial"] == 5 and best["test"] == {"test/accuracy": 0.61}
    assert Path(best["checkpoint"]).exists()
    missing = CliRunner().invoke(app, ["logs", "one", "9"])
    assert missing.exit_code == 2 and "has no trial 9" in missing.stderr


def test_a_full_disk_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(typer.Exit) as ended,
        plainly(),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err.startswith("error: no space is left on the disk: make some")


def test_a_script_of_an_earlier_installation_still_starts_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        raysearch.cli.main(["stop", "--help"])  # what such a script imports
    assert ended.value.code == 0 and " stop [OPTIONS]" in capsys.readouterr().out


def test_the_help_of_serve_names_what_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(app, ["serve", "--help"]).stdout
    assert "RAYSEARCH_DATABASE" in said and "RAY_ADDRESS" in said
    assert "…" not in said and "no-only" not in said
