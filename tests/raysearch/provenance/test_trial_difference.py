"""Two trials side by side: settings that differ, files that differ, results with their gaps."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.client import Client
from raysearch.errors import BadSetting, UnknownName
from raysearch.events.log import Store
from raysearch.provenance import snapshot
from raysearch.provenance.trial_difference import Difference, NamedTrial, compare_trials, in_words
from raysearch.settings import Settings
from raysearch.sweeps.search_spec import to_plain
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two searches whose code differs in one file; of the second one trial."""
    monkeypatch.chdir(tmp_path)
    here, found = tmp_path / "here", Settings.locate(tmp_path / "runs", tracking_uri="none")
    here.mkdir()
    subprocess.run(["git", "init", "-q", str(here)], check=True)
    store = Store(found.store)
    for name, rate in (("one", 1), ("two", 2)):
        (here / "mine.py").write_text(f"import shared\nrate = {rate}\n")
        (here / "shared.py").write_text("same = True\n")
        folder = found.folder(name)
        code = to_plain(snapshot.keep(folder, here, ["mine"], [found.runs], 1))
        log = store.create(name, streams.spec(search=name, folder=str(folder), code=code))
        for number in range(2):
            streams.trial(log, number, folder)
        metrics = {"test/accuracy": 0.25 * rate}
        log.append(fact("tested", role="winner", metrics=metrics, error=""), 1, commit=True)
    return found


def by_name(found: list[Difference], part: str) -> dict[str, tuple[Any, Any]]:
    return {row.name: (row.first, row.second) for row in found if row.part == part}


def test_in_one_search_settings_and_results_differ_and_code_does_not(settings: Settings) -> None:
    found = compare_trials(NamedTrial("one", 0), NamedTrial("one", 1), settings)
    trials = Client().view("one").trials
    configs = [trials[number].config for number in (0, 1)]
    assert by_name(found, "configuration") == {
        "optimizer.lr": tuple(config["optimizer"]["lr"] for config in configs),
        "model.layers": tuple(config["model"]["layers"] for config in configs),
    }
    assert by_name(found, "code") == {}
    gaps = {row.name: row.gap for row in found if row.part == "results"}
    first, second = ((trials[number].values or [0.0])[0] for number in (0, 1))
    assert gaps["val/accuracy"] == second - first and gaps["state"] is None
    assert by_name(found, "results")["test/accuracy"] == (None, 0.25)


def test_between_searches_the_file_is_named_that_differs(settings: Settings) -> None:
    found = compare_trials(NamedTrial("one", 1), NamedTrial("two", 1), settings)
    assert by_name(found, "configuration") == {}
    assert list(by_name(found, "code")) == ["mine.py"]
    assert by_name(found, "results")["test/accuracy"] == (0.25, 0.5)


def test_a_trial_equals_itself(settings: Settings) -> None:
    found = compare_trials(NamedTrial("one", 1), NamedTrial("one", 1), settings)
    assert {row.part for row in found} == {"results"}
    assert {row.gap for row in found if row.gap is not None} == {0}


def test_code_that_is_damaged_is_said(settings: Settings) -> None:
    (manifest,) = settings.folder("two").glob("code/*/manifest.json")
    manifest.write_text("{}")
    found = compare_trials(NamedTrial("one", 1), NamedTrial("two", 1), settings)
    assert "is damaged: manifest.json was changed" in by_name(found, "code")["snapshot"][1]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("one", "1", "SEARCH/NUMBER, got 'one'"),
        ("one/x", "1", "got 'one/x'"),
        ("one/0", "-1", "or a number of 'one', got '-1'"),
        ("one/0", "7", "search 'one' has no trial 7; it has 2, 0 to 1"),
        ("onne/0", "7", "no search is named 'onne'; did you mean 'one'?"),
    ],
)
def test_what_is_no_trial_is_one_sentence(
    settings: Settings, first: str, second: str, words: str
) -> None:
    with pytest.raises((BadSetting, UnknownName)) as error:
        one = NamedTrial.read(first)
        compare_trials(one, NamedTrial.read(second, one.search), settings)
    assert words in str(error.value)


def test_the_command_shows_parts_and_json_has_all(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(app, ["diff", "one/1", "two/1"])
    assert said.exit_code == 0, said.output
    assert "the configurations are the same; the code differs: mine.py" in said.stdout
    assert all(len(line) <= 80 for line in said.stdout.splitlines())
    rows = json.loads(CliRunner().invoke(app, ["diff", "one/0", "1", "--json"]).stdout)
    found = compare_trials(NamedTrial("one", 0), NamedTrial("one", 1), settings)
    assert [(row["part"], row["name"]) for row in rows] == [(row.part, row.name) for row in found]
    assert Client().diff("one/0", "1").loc["val/accuracy", "gap"] > 0


@pytest.mark.parametrize("width", [60, 80])
def test_two_trials_stand_beside_each_other_and_what_is_equal_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Also where the name of the search, a setting and the reason of a failure are long."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(width))
    search = "pretraining-on-small-channels-with-a-name-of-many-words-as-long-as-allowed"
    settings = Settings.locate(tmp_path / "runs", tracking_uri="none")
    folder = settings.folder(search)
    log = Store(settings.store).create(search, streams.spec(search=search, folder=str(folder)))
    for number in range(2):
        config = {"head": f"{'decoder.' * 9}{number}", "layers": number}
        streams.ask(log, number, config=config)
        streams.begin(log, number, folder)
        told = {"state": "failed", "values": None, "constraint": 0, "duplicate_of": None}
        told |= {"best_step": None, "best_checkpoint": None}
        reason = f"RuntimeError: {'out of memory ' * 20}on {number}"
        log.append(fact("told", **told, reason=reason), number, commit=True)
    scores = {f"test/precision/{n}": n / 32 for n in range(30)}
    log.append(fact("tested", role="winner", metrics=scores, error=""), 1, commit=True)
    said = CliRunner().invoke(app, ["diff", f"{search}/0", "1"]).stdout.splitlines()
    assert all(len(line) <= width for line in said)
    assert said[0] == "2 settings differ; the code is the same"
    assert len([line for line in said if line.split()[:4] == ["trial", "0", "trial", "1"]]) == 2
    assert any("equal in both: state" in line for line in said)
    text = " ".join(said)
    assert "27 more only of trial 1, such as test/precision/3" in text
    assert text.count("test/precision") == 4


def test_one_setting_differs() -> None:
    row = Difference("configuration", "lr", 1, 2)
    assert in_words([row]) == "1 setting differs; the code is the same"
