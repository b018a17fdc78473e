"""Searches whose MLflow is a server, which keeps their files: one server for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch import verbs
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.tracking.consumer import delete
from tests.raysearch.events import servers
from tests.raysearch.tracking.test_aside import check_all, odd_search
from tests.raysearch.tracking.test_delete import Places, files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its files."""
    return tmp_path_factory.mktemp("server") / "artifacts"


@pytest.fixture(scope="module")
def address(artifacts: Path, migrated: Path) -> Iterator[str]:
    """The address of a server; each test deletes what it wrote."""
    shutil.copy(migrated, artifacts.with_name("mlflow.db"))
    port = servers.free_port()
    server = servers.serve(artifacts.parent, port)
    servers.wait_for(port)
    yield f"http://127.0.0.1:{port}"
    servers.end(server)


def test_what_mlflow_will_never_take_costs_itself(tmp_path: Path, address: str) -> None:
    settings = Settings.locate(tmp_path / "runs", None, address)
    check_all(odd_search(settings), settings)
    assert verbs.delete("one", settings) == []


def test_files_that_a_server_keeps_are_deleted_too(
    tmp_path: Path, address: str, artifacts: Path
) -> None:
    places = Places(tmp_path, address, "one", "two")
    assert files(artifacts) > 0
    delete(SearchView.read(places.store, "one"), places.uri)
    assert places.runs() == {"two": 7} and places.findings("two") == []
    delete(SearchView.read(places.store, "two"), places.uri)
    assert places.runs() == {} and files(artifacts) == 0
