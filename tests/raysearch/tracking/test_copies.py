"""A copied or moved folder of runs is its own: nothing in it leads back to where it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from raysearch import verbs
from raysearch.errors import BadSetting
from raysearch.events.locks import claim
from raysearch.events.log import Store
from raysearch.results import opening
from raysearch.settings import Settings
from raysearch.tracking.findings import audit
from raysearch.tracking.mlflow.address import client_of
from tests.raysearch.events import streams

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(tmp_path: Path, migrated: Path) -> Path:
    """A folder of runs with two searches, all of it written to MLflow."""
    folder = tmp_path / "what?" / "runs"
    folder.mkdir(parents=True)
    shutil.copy(migrated, folder / "mlflow.db")
    for name in ("one", "two"):
        search(Settings.locate(folder), name)
    return folder


def search(settings: Settings, name: str, uri: str | None = None) -> None:
    store, folder = Store(settings.store), settings.folder(name)
    claim(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(streams.SPEC, "tracking_uri", uri)
        streams.search(store, name, folder)
    verbs.sync(name, settings)


def findings(folder: Path, name: str = "one") -> list[str]:
    settings = Settings.locate(folder)
    store = opening.store_of(settings)
    found = audit(store, name, settings.folder(name), settings.tracking_uri, [])
    return [str(one) for one in found if one.where != "study"]


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): path.read_bytes() for path in found if ".db" not in path.suffix}


def test_a_copy_is_whole_and_what_is_done_to_it_does_not_touch_the_first(
    runs: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy" / "runs"
    shutil.copytree(runs, copy)
    before = files(runs)
    assert findings(copy) == [] and len(before) > 20
    verbs.note(["two"], "in the copy", Settings.locate(copy))
    assert verbs.delete("one", Settings.locate(copy)) == []
    assert findings(copy, "two") == [] and not (copy / "one").exists()
    assert files(runs) == before and findings(runs) == [] and findings(runs, "two") == []
    shutil.rmtree(runs.parent)
    assert findings(copy, "two") == []


def test_a_moved_folder_goes_on_where_it_is(runs: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    runs.rename(moved)
    settings = Settings.locate(moved)
    assert findings(moved) == [] and verbs.sync("one", settings) == 0
    search(settings, "three")
    assert findings(moved, "three") == [] and not runs.exists()
    places = [path.name for path in moved.iterdir() if "mlflow" not in path.name]
    assert {"mlartifacts", "one", "two", "three", "raysearch.db"} <= set(places)


def test_a_copy_of_the_events_alone_is_written_to_mlflow_again(runs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(runs / "raysearch.db", copy)
    shutil.copytree(runs / "one", copy / "one")
    assert ["its runs are not in this MLflow" in line for line in findings(copy)] == [True]
    assert verbs.sync("one", Settings.locate(copy)) > 30
    assert findings(copy) == [] and verbs.sync("one", Settings.locate(copy)) == 0


def test_what_an_older_mlflow_lacks_is_written_again(runs: Path, tmp_path: Path) -> None:
    settings = Settings.locate(runs)
    older = (runs / "mlflow.db").read_bytes()
    verbs.note(["one"], "later", settings)
    store = Store(settings.store)
    with store.lock("one", settings.folder("one")):
        streams.trial(store.log("one"), 7, settings.folder("one"), "pruned")
    assert verbs.sync("one", settings) > 5 and findings(runs) == []
    copy = tmp_path / "copy"
    shutil.copytree(runs, copy)
    (copy / "mlflow.db").write_bytes(older)
    assert verbs.sync("one", Settings.locate(copy)) > 5 and findings(copy) == []


def test_a_run_that_was_deleted_is_written_again(runs: Path) -> None:
    settings = Settings.locate(runs)
    client = client_of(settings.tracking_uri)
    found = client.search_runs(["1"], "tags.`raysearch.trial` = '2'")
    client.delete_run(found[0].info.run_id)
    assert verbs.sync("one", settings) + verbs.sync("two", settings) > 30
    assert findings(runs) == [] and findings(runs, "two") == []


def test_a_copy_whose_runs_are_on_a_server_says_so_before_it_deletes(
    runs: Path, tmp_path: Path
) -> None:
    uri = Settings.locate(runs).tracking_uri
    first, copy = tmp_path / "first", tmp_path / "copy"
    search(Settings.locate(first, None, uri), "three", uri)
    shutil.copytree(first, copy)
    with pytest.raises(BadSetting, match="'three' began in .* may be those of another copy"):
        verbs.delete("three", Settings.locate(copy))
    verbs.delete("three", Settings.locate(copy, None, "none"))
    found = audit(Store(Settings.locate(first).store), "three", first / "three", uri, [])
    assert [str(one) for one in found if one.where != "study"] == []
    verbs.delete("three", Settings.locate(first))
    assert len(client_of(uri).search_runs(["1"], "tags.`raysearch.search` = 'three'")) == 0


def test_deleting_leaves_what_is_none_of_the_searchs(runs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "years.txt").write_text("of work")
    (runs / "one" / "notes.txt").write_text("mine")
    shutil.rmtree(runs / "one/0003")
    (runs / "one/0003").symlink_to(outside)
    (runs / "one/0001/attempt-1/link").symlink_to(outside)
    left = verbs.delete("one", Settings.locate(runs))
    assert [path.name for path in left] == ["notes.txt"]
    assert os.listdir(runs / "one") == ["notes.txt"] and os.listdir(outside) == ["years.txt"]
