"""A search gets another name everywhere, and is the same search."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysearch import verbs
from raysearch.cli.application import app
from raysearch.client import Client
from raysearch.errors import BadSetting, UnknownName, WrongState
from raysearch.events.locks import SearchIsRunning
from raysearch.events.log import Store
from raysearch.results.opening import view_of
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.tracking.consumer import links, sync
from raysearch.tracking.findings import audit
from raysearch.tracking.mlflow.address import client_of
from raysearch.tracking.mlflow.views import TAG
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact


def made(settings: Settings, *names: str) -> Store:
    store = Store(settings.store)
    for name in names:
        streams.search(store, name, settings.folder(name))
    return store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings.locate(tmp_path / "runs", tracking_uri="none")
    made(found, "one", "two").request("one", {"action": "stop"})
    return found


def facts(view: SearchView) -> list[tuple[object, ...]]:
    return [(t.number, t.state, t.values, t.params, t.reports) for t in view.trials.values()]


def test_the_search_is_the_same_under_its_new_name(settings: Settings) -> None:
    store, before = view_of("one", settings)
    files = {path.relative_to(settings.folder("one")): path.read_bytes()
             for path in settings.folder("one").rglob("*") if path.is_file()}  # fmt: skip
    assert verbs.rename("one", "new", settings) == ""
    _, view = view_of("new", settings)
    assert (view.search, view.spec.search, view.state) == ("new", "new", "finished")
    assert facts(view) == facts(before) and view.identity == before.identity
    assert view.seconds() == before.seconds()
    assert store.searches() == ["new", "two"] and len(store.requests("new")) == 1
    assert not settings.folder("one").exists()
    assert view.spec.folder == str(settings.folder("new"))
    for path, content in files.items():
        assert path.name == "lock" or (settings.folder("new") / path).read_bytes() == content
    checkpoint = Client(settings.runs, tracking_uri="none").best("new")["checkpoint"]
    assert Path(checkpoint).is_file()
    verbs.rename("new", "one", settings)
    assert view_of("one", settings)[1].identity == before.identity
    streams.search(store, "new", settings.folder("new"))


def test_one_that_is_driven_is_not_renamed(settings: Settings) -> None:
    store = Store(settings.store)
    with store.lock("one", settings.folder("one")), pytest.raises(SearchIsRunning):
        verbs.rename("one", "new", settings)
    assert store.searches() == ["one", "two"] and settings.folder("one").exists()


def test_names_that_cannot_be_are_refused_and_nothing_is_changed(settings: Settings) -> None:
    settings.folder("taken").mkdir()
    for name, new, words in (
        ("one", "two", "'two' is the name of a search or a folder already"),
        ("one", "one", "'one' is called that already"),
        ("one", "comparisons", "the new name must be none of"),
        ("one", "taken", "'taken' is the name of a search or a folder already"),
        ("one", "a/b", "must begin with a letter or digit"),
        ("onne", "new", "no search is named 'onne'"),
    ):
        with pytest.raises((BadSetting, UnknownName), match=words):
            verbs.rename(name, new, settings)
    assert Store(settings.store).searches() == ["one", "two"]
    assert not settings.folder("new").exists()


def test_one_whose_trials_another_evaluates_keeps_its_name(settings: Settings) -> None:
    store = Store(settings.store)
    trained = {"search": "one", "config": {}, "distributions": {}, "checkpoint": "a.pt"}
    trials = [{**trained, "params": {}, "trial": 5}]
    evaluates = {"search": "one", "trials": trials}
    store.create("look", streams.spec(search="look", evaluates=evaluates))
    with pytest.raises(BadSetting, match="'look' evaluates its trials"):
        verbs.rename("one", "new", settings)


def test_one_of_an_earlier_version_keeps_its_name(settings: Settings) -> None:
    Store(settings.store).create("old", streams.spec(search=""))
    with pytest.raises(WrongState, match="an earlier version began it"):
        verbs.rename("old", "new", settings)


def test_what_was_killed_in_between_is_completed(settings: Settings) -> None:
    settings.folder("one").rename(settings.folder("new"))
    verbs.rename("one", "new", settings)
    view = view_of("new", settings)[1]
    assert view.spec.folder == str(settings.folder("new"))
    assert not settings.folder("one").exists()


def test_a_store_that_refuses_puts_the_folder_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise WrongState("no space is left on the disk")

    monkeypatch.setattr(Store, "rename", full)
    with pytest.raises(WrongState, match="no space"):
        verbs.rename("one", "new", settings)
    assert settings.folder("one").is_dir() and not settings.folder("new").exists()


def test_the_command_says_it(settings: Settings) -> None:
    runs = ["--runs", str(settings.runs), "--tracking-uri", "none"]
    said = CliRunner().invoke(app, ["rename", "one", "new", *runs])
    assert said.stdout == "one is new now\n", said.output
    listed = CliRunner().invoke(app, ["list", "--json", "--runs", str(settings.runs)]).stdout
    assert [row["name"] for row in json.loads(listed)] == ["new", "two"]


@pytest.mark.slow
def test_mlflow_has_the_new_name_and_check_finds_nothing_wrong(
    tmp_path: Path, tracking: str
) -> None:
    settings = Settings.locate(tmp_path, tracking_uri=tracking)
    store, client = made(settings, "one", "two"), client_of(tracking)
    for name in ("one", "two"):
        sync(store, name, tracking, settings.folder(name))

    def runs(name: str) -> list[str]:
        found = client.search_runs([experiment], f"tags.`raysearch.search` = '{name}'")
        return sorted(run.info.run_id for run in found)

    (experiment,) = [one.experiment_id for one in client.search_experiments()
                     if one.name == "ssl/by_hand"]  # fmt: skip
    before, others = runs("one"), runs("two")
    assert verbs.rename("one", "new", settings) == ""
    assert runs("new") == before and runs("one") == [] and runs("two") == others
    (parent,) = [client.get_run(run) for run in before
                 if client.get_run(run).data.tags["raysearch.role"] == "search"]  # fmt: skip
    assert parent.info.run_name == "new"
    saved = [tag for tag in client.get_experiment(experiment).tags if tag.startswith(TAG)]
    assert sorted(tag.removeprefix(f"{TAG}raysearch-")[:3] for tag in saved) == ["new", "two"]
    found = audit(store, "new", settings.folder("new"), tracking, [])
    assert [str(one) for one in found if one.where != "study"] == []
    assert links(store, "new", tracking, "http://here")
    assert verbs.sync("new", settings) == 0
    assert verbs.delete("new", settings) == [] and runs("new") == []


@pytest.mark.slow
def test_on_a_server_the_lock_of_the_former_name_is_enough(on_server: str, tmp_path: Path) -> None:
    store, folder = Store(on_server), tmp_path / "one"
    streams.search(store, "one", folder)
    with store.lock("one", folder):
        store.rename("one", "new", tmp_path / "new")
        with pytest.raises(BadSetting, match="'new' already"):
            store.rename("one", "new", folder)
    assert "new" in store.searches() and not store.exists("one")
    with store.lock("new", folder):
        store.log("new").append(fact("noted", notes="goes on"), commit=True)
    assert SearchView.read(store, "new").spec.notes == "goes on"
