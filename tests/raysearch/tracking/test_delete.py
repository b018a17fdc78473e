"""A deleted search is gone in all places, nothing else is, and its name is free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from raysearch import verbs
from raysearch.events.database import CURSORS, EVENTS, REQUESTS
from raysearch.events.log import SearchIsRunning, Store
from raysearch.settings import Settings
from raysearch.sweeps.search_spec import UNKNOWN
from raysearch.tracking.consumer import sync
from raysearch.tracking.findings import audit
from raysearch.tracking.mlflow.address import client_of
from raysearch.tracking.mlflow.views import TAG
from tests.raysearch.events import streams


def counts(store: Store, search: str) -> list[int]:
    """How many events, requests and cursors there are of a search."""

    def work(connection: sa.Connection) -> list[int]:
        return [
            connection.scalar(
                sa.select(sa.func.count()).select_from(table).where(table.c.search == search)
            )
            or 0
            for table in (EVENTS, REQUESTS, CURSORS)
        ]

    return store._database.run(work)


def begin(store: Store, name: str) -> None:
    store.create(name, streams.spec(search=name))
    store.request(name, {"action": "stop"})
    store.set_cursor(name, "mlflow", 1)


def test_the_store_forgets_a_search_and_only_that(store: Store) -> None:
    begin(store, "one")
    begin(store, "two")
    store.delete("one")
    assert counts(store, "one") == [0, 0, 0] and counts(store, "two") == [1, 1, 1]
    assert store.searches() == ["two"]
    store.delete("one")
    begin(store, "one")
    assert counts(store, "one") == [1, 1, 1]


def test_a_driver_on_a_server_deletes_what_it_holds(on_server: str) -> None:
    store, folder = Store(on_server), Path("/nowhere")
    with store.lock("one", folder):
        begin(store, "one")
        store.delete("one")
        with pytest.raises(ValueError, match="was lost"):
            store.create("one", UNKNOWN)  # the lock went with it
    with store.lock("one", folder):
        begin(store, "one")


class Places:
    """Two searches of one sweep, in the store, in MLflow, and on disk."""

    def __init__(self, folder: Path, uri: str, *names: str) -> None:
        url = f"sqlite:///{folder / 'raysearch.db'}"
        self.settings = Settings.locate(folder, url, uri)
        self.store, self.uri, self.client = Store(url), uri, client_of(uri)
        for name in names:
            self.search(name)

    def search(self, name: str) -> None:
        streams.search(self.store, name, self.settings.folder(name))
        sync(self.store, name, self.uri, self.settings.folder(name))

    def runs(self) -> dict[str, int]:
        """How many runs there are of each search."""
        found: dict[str, int] = {}
        numbers = [one.experiment_id for one in self.client.search_experiments()]
        for run in self.client.search_runs(numbers):
            name = run.data.tags["raysearch.search"]
            found[name] = found.get(name, 0) + 1
        return found

    def views(self) -> list[str]:
        """The searches with a saved view."""
        experiment = self.client.get_experiment_by_name("ssl/by_hand")
        tags = experiment.tags if experiment is not None else {}
        return [name.removeprefix(f"{TAG}raysearch-")[:3] for name in tags if name.startswith(TAG)]

    def findings(self, name: str) -> list[str]:
        found = audit(self.store, name, self.settings.folder(name), self.uri, [])
        return [str(one) for one in found if one.where != "study"]


@pytest.fixture
def places(tmp_path: Path, tracking: str) -> Places:
    return Places(tmp_path, tracking, "one", "two")


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.mark.slow
def test_deleting_a_search_leaves_the_others_as_they_are(places: Places) -> None:
    artifacts = places.settings.runs / "mlartifacts"
    assert places.runs() == {"one": 7, "two": 7} and places.views() == ["one", "two"]
    before = files(artifacts)
    verbs.delete("one", places.settings)
    assert places.runs() == {"two": 7} and places.views() == ["two"]
    assert files(artifacts) == before / 2 and len(list(artifacts.iterdir())) == 3
    assert places.store.searches() == ["two"] and places.findings("two") == []
    assert not places.settings.folder("one").exists() and places.settings.folder("two").exists()


@pytest.mark.slow
def test_a_later_search_of_that_name_meets_nothing_of_the_old_one(places: Places) -> None:
    for name in ("one", "two"):
        verbs.delete(name, places.settings)
    assert places.runs() == {} and places.client.get_experiment_by_name("ssl/by_hand") is None
    assert list((places.settings.runs / "mlartifacts").iterdir()) == []
    places.search("one")
    assert places.runs() == {"one": 7} and places.findings("one") == []


@pytest.mark.slow
def test_what_was_deleted_in_part_is_deleted_by_the_next_call(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[str]()
    delete_run = type(places.client).delete_run

    def fragile(self: Any, run: str) -> None:
        calls.append(run)
        if len(calls) == 4:
            raise ConnectionError("nobody answers")
        delete_run(self, run)

    monkeypatch.setattr(type(places.client), "delete_run", fragile)
    with pytest.raises(ConnectionError, match="cannot be reached: nobody answers"):
        verbs.delete("one", places.settings)
    assert places.runs() == {"one": 4, "two": 7} and places.store.exists("one")
    verbs.delete("one", places.settings)
    assert places.runs() == {"two": 7} and places.store.searches() == ["two"]


@pytest.mark.slow
def test_nothing_is_deleted_where_mlflow_cannot_be_reached(
    tmp_path: Path, tracking: str, unused_port: int
) -> None:
    places = Places(tmp_path, tracking, "one")
    uri = f"http://me:hush@127.0.0.1:{unused_port}"
    settings = Settings.locate(tmp_path, places.settings.store, uri)
    with pytest.raises(ConnectionError, match=r"me:\*\*\*@127.0.0.1") as caught:
        verbs.delete("one", settings)
    assert "hush" not in str(caught.value)
    assert places.store.exists("one") and places.settings.folder("one").exists()


def test_what_is_not_the_search_s_own_is_left_in_its_folder(tmp_path: Path) -> None:
    """As in a folder that was there before, with a name that was taken by mistake."""
    settings = Settings.locate(tmp_path, f"sqlite:///{tmp_path / 'raysearch.db'}", "none")
    folder, disk = settings.folder("one"), tmp_path / "disk"
    streams.search(Store(settings.store), "one", folder)
    for mine in (disk / "model.pt", folder / "notes.txt", folder / "1/ab12/artifacts/model.pt"):
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text("mine")
    (folder / "0001/attempt-1/more").symlink_to(disk)
    assert [path.name for path in verbs.delete("one", settings)] == ["1", "notes.txt"]
    assert files(folder) == 2 and (disk / "model.pt").exists()


def test_a_folder_on_another_disk_goes_with_its_search(tmp_path: Path) -> None:
    settings = Settings.locate(tmp_path, f"sqlite:///{tmp_path / 'raysearch.db'}", "none")
    (tmp_path / "disk").mkdir()
    settings.folder("one").symlink_to(tmp_path / "disk")
    streams.search(Store(settings.store), "one", settings.folder("one"))
    assert verbs.delete("one", settings) == []
    assert not settings.folder("one").is_symlink() and not (tmp_path / "disk").exists()


@pytest.mark.parametrize("name", ["..", "../other", "a/b", "/etc"])
def test_a_name_that_leads_elsewhere_deletes_nothing(tmp_path: Path, name: str) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    settings = Settings.locate(runs, f"sqlite:///{runs / 'raysearch.db'}", "none")
    begin(Store(settings.store), name)
    with pytest.raises(ValueError, match="has no folder of its own"):
        verbs.delete(name, settings)
    assert runs.exists() and Store(settings.store).exists(name)


def test_a_search_that_is_driven_is_not_deleted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'raysearch.db'}"
    settings, store = Settings.locate(tmp_path, url, "none"), Store(url)
    begin(store, "one")
    with store.lock("one", settings.folder("one")), pytest.raises(SearchIsRunning, match="'one'"):
        verbs.delete("one", settings)
    verbs.delete("one", settings)
    assert store.searches() == []
