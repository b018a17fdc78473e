"""Formats of what is written: older ones become this one, newer ones are refused in a sentence."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from raysearch import verbs
from raysearch.errors import BadSetting, WrongState
from raysearch.events.formats import MIGRATIONS, migrated, spec_of
from raysearch.events.log import Store
from raysearch.events.schema import Created, Unknown
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.sqlite_files import sqlite_address
from raysearch.sweeps.search_spec import FORMAT, MetricSpec
from raysearch.version import version
from tests.raysearch.events import streams
from tests.raysearch.events.facts import some


def test_there_is_one_migration_from_each_earlier_format() -> None:
    assert sorted(MIGRATIONS) == list(range(1, FORMAT))
    assert all((each.__doc__ or "").startswith("Format ") for each in MIGRATIONS.values())


def test_migrations_follow_one_another_and_leave_the_body_as_it_was() -> None:
    body = {"a": 1}
    chain = {
        1: lambda body: {**body, "b": body["a"] + 1, "format": 2},
        2: lambda body: {"c": body["b"] * 10, "format": 3},
    }
    assert migrated(body, chain, 3) == {"c": 20, "format": 3}
    assert migrated({"b": 5, "format": 2}, chain, 3) == {"c": 50, "format": 3}
    assert migrated({"c": 1, "format": 3}, chain, 3) == {"c": 1, "format": 3}
    assert body == {"a": 1}


def test_what_the_first_version_did_not_write_changes_nothing() -> None:
    spec = spec_of("one", streams.SPEC)
    assert spec.metrics == (MetricSpec("val/accuracy", "maximize", "best"),)
    assert (spec.workers, spec.finalists, spec.incomplete, spec.priority) == (1, 0, "last", 0)
    assert spec.code is None and spec.known is None and spec.evaluates is None
    assert spec_of("one", spec.to_body()) == spec


@pytest.mark.parametrize("runs", ["/old/runs", "/a?b/runs"])
def test_the_default_tracking_address_was_written_down_once(runs: str) -> None:
    def kept(uri: str | None) -> str | None:
        return spec_of(
            "one", {**streams.SPEC, "folder": f"{runs}/one", "tracking_uri": uri}
        ).tracking_uri

    assert kept(f"sqlite:///{runs}/mlflow.db") is None
    assert kept(sqlite_address(Path(runs, "mlflow.db"))) is None
    assert kept("sqlite:////shared/mlflow.db") == "sqlite:////shared/mlflow.db"
    assert kept("none") == "none" and kept(None) is None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A folder of runs with a search `one`."""
    settings = Settings.locate(tmp_path / "runs", tracking_uri="none")
    streams.search(Store(settings.store), "one", settings.folder("one")).flush()
    return settings


def change(settings: Settings, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(settings.runs / "raysearch.db")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def test_a_store_states_the_format_and_the_version_that_wrote_it(settings: Settings) -> None:
    Store(settings.store).create("two", streams.spec(search="two"))
    connection = sqlite3.connect(settings.runs / "raysearch.db")
    assert connection.execute("SELECT * FROM formats").fetchall() == [(FORMAT, version())]
    connection.close()
    assert next(Store(settings.store).events("one")).body.plain()["format"] == FORMAT


@pytest.mark.parametrize("is_new", [True, False])
def test_a_store_of_a_newer_version_is_refused_by_a_sentence(
    settings: Settings, is_new: bool
) -> None:
    change(settings, "INSERT INTO formats VALUES (?, ?)", FORMAT + 1, "9.1.0")
    with pytest.raises(WrongState) as error:
        Store(settings.store, is_new=is_new)
    assert str(error.value) == (
        f"--store {settings.store!r} was written by raysearch 9.1.0, which writes format "
        f"{FORMAT + 1}, and this one, raysearch {version()}, reads formats up to {FORMAT}; install "
        f"that one or a later one, or name another store"
    )


def listed(settings: Settings) -> dict[str, tuple[str, str]]:
    return {view.search: (view.state, view.spec.notes) for view in verbs.searches(settings)}


def test_a_search_of_a_newer_version_is_named_and_others_are_listed(settings: Settings) -> None:
    newer = {**streams.SPEC, "format": FORMAT + 1, "packages": {"raysearch": "9.1.0"}}
    Store(settings.store).log("two").append(Created(newer), commit=True)
    found = listed(settings)
    assert found["one"] == ("finished", "by hand")
    assert found["two"] == (
        "newer",
        f"search 'two' was begun by raysearch 9.1.0, which writes format {FORMAT + 1}, and this "
        f"one, raysearch {version()}, reads formats up to {FORMAT}; install that one or a later "
        f"one to look at it",
    )


@pytest.mark.parametrize("number", [0, -1, "2", None, 1.0])
def test_a_format_that_is_none_is_damage(settings: Settings, number: object) -> None:
    said = {**streams.SPEC, "format": number}
    Store(settings.store).log("two").append(Created(said), commit=True)
    found = listed(settings)
    assert found["one"][0] == "finished" and found["two"][0] == "damaged"
    assert "format must be a whole number from 1" in found["two"][1]


@pytest.mark.parametrize(
    ("kind", "trial", "body", "words"),
    [
        ("told", 0, {"state": "complete", "values": [1.0]}, "it lacks 'reason'"),
        ("asked", 9, {"params": {}}, "it lacks 'distributions'"),
        ("noted", None, {}, "it lacks 'notes'"),
        ("recoded", None, {"code": {}}, "it lacks code.snapshot"),
    ],
)
def test_an_event_that_lacks_something_is_named_with_search_and_number(
    settings: Settings, kind: str, trial: int | None, body: dict[str, Any], words: str
) -> None:
    store = Store(settings.store)
    streams.search(store, "two", settings.folder("two")).flush()
    log = store.log("two")
    if kind == "told":
        streams.ask(log, 20)
        trial = 20
    seq = log.append(Unknown(kind, body), trial, commit=True).seq
    found = listed(settings)
    assert found["one"] == ("finished", "by hand") and found["two"][0] == "damaged"
    of = f"event {seq} ({kind}) of"
    why = {
        "recoded": f"search 'two' is damaged: {of} its store is not as it was written: {words}",
    }
    cannot = f"--store {settings.store!r} is damaged: {of} search 'two' cannot be read: {words}"
    assert found["two"][1] == why.get(kind, cannot)


def test_a_specification_that_lacks_something_is_named_too(settings: Settings) -> None:
    said = {name: value for name, value in streams.SPEC.items() if name != "sampler"}
    store = Store(settings.store)
    store.log("two").append(Created(said), commit=True)
    with pytest.raises(
        WrongState, match=r"search 'two' .* event 1 \(created\) .* it lacks sampler$"
    ):
        SearchView.read(store, "two")


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ({"metrics": {"a": 1.0}}, {"metrics": {"a": "x"}}, "metrics must be a mapping of which"),
        ({"values": [1.0, 2.0]}, {"values": [1.0, "x"]}, "values must be a list of which each"),
        ({"values": None}, {"values": "x"}, "values must be a list"),
        ({"step": 1}, {"step": 1.5}, "step must be a whole number, got 1.5"),
        ({"costs": {}}, {"costs": {"cost/a": True}}, "costs must be a mapping of which each"),
    ],
)
def test_an_event_like_one_before_is_looked_at_as_closely(
    good: dict[str, Any], bad: dict[str, Any], words: str
) -> None:
    for _ in range(2):
        some("report", **good)
        with pytest.raises(BadSetting, match=f"^{re.escape(words)}"):
            some("report", **bad)
    assert some("told", state="complete") != some("told", state="pruned")
    with pytest.raises(BadSetting, match="^state must be one of complete"):
        some("told", state="lost")
