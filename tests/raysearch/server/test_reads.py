"""The gateway answers from the events itself what the commands print as JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from raysearch.cli.application import app
from raysearch.events.log import Store
from tests.raysearch.events import streams
from tests.raysearch.server.test_gateway import client, service

__all__ = ["client"]


@pytest.fixture(autouse=True)
def no_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """None of it starts a process."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    yield


def printed(folder: Path, *words: str) -> object:
    done = CliRunner().invoke(app, [*words, "--json", "--runs", str(folder / "runs")])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_they_are_what_the_commands_print(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/searches").json() == printed(tmp_path, "list")
    assert client.get("/searches/one/trials").json() == printed(tmp_path, "results", "one")
    status = printed(tmp_path, "status", "one")
    assert isinstance(status, dict)
    found = client.get("/searches/one").json()
    assert {name: found[name] for name in status if name != "trials"} == {
        name: value for name, value in status.items() if name != "trials"
    }


def test_searches_and_trials_are_chosen(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/searches", params={"group": "none"}).json() == []
    fits = {"tag": ["data=digits", "data"], "text": "BY HAND", "group": "rates"}
    assert [row["name"] for row in client.get("/searches", params=fits).json()] == ["one"]
    asked = {"where": "model.layers > 2", "sort": "-seconds"}
    options = ["--where", asked["where"], "--sort", asked["sort"]]
    found = client.get("/searches/one/trials", params=asked).json()
    assert found == printed(tmp_path, "results", "one", *options) and 0 < len(found) < 6
    grouped = client.get("/searches/one/trials", params={"group_by": "state"}).json()
    assert grouped == printed(tmp_path, "results", "one", "--group-by", "state")


def test_reports_are_those_of_the_trial(client: TestClient) -> None:
    found = client.get("/searches/one/trials/5/reports").json()
    assert [row["step"] for row in found] == [1, 2, 3, 4]
    assert [row["metrics"]["val/accuracy"] for row in found] == [
        0.7 * (1 - 0.5**step) for step in range(1, 5)
    ]


def test_what_is_not_finite_is_null(client: TestClient, tmp_path: Path) -> None:
    store = Store(service(tmp_path).store)
    log = store.create("odd", streams.spec(search="odd"))
    streams.ask(log, 0)
    streams.begin(log, 0, tmp_path / "runs/odd")
    streams.report(log, 0, 1, float("nan"), float("inf"), tmp_path / "runs/odd")
    (row,) = client.get("/searches/odd/trials/0/reports").json()
    assert row["metrics"]["val/accuracy"] is None and row["values"] == [None]


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        ("/searches/two", 404, "no search is named 'two'"),
        ("/searches/one/trials/99/reports", 404, "has no trial 99; it has 7"),
        ("/searches/one/trials/x/reports", 404, "no trial is named 'x'"),
        ("/searches/one/trials?where=open('x')", 400, "--where may only have"),
        ("/searches/one/trials?where=rate", 404, "no column is named 'rate'"),
        ("/searches/one/trials?sort=lrr", 404, "--sort: no column is named 'lrr'"),
        ("/searches?group=%00", 422, "must not contain NUL"),
        ("/searches/one/trials?were=lr", 400, "'were' is no parameter of this address; did you"),
        ("/searches?limit=3", 400, "there are group, tag, text"),
        ("/searches/one/trials/0/reports?x=1", 400, "'x' is no parameter of this address; there"),
        ("/searches?group=a&group=b", 400, "group must be given once, got 2 of them"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    client: TestClient, place: str, status: int, words: str
) -> None:
    answer = client.get(place)
    assert answer.status_code == status and words in answer.json()["error"]


def test_the_page_names_every_place_and_asks_no_other_server(client: TestClient) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    assert "http" not in page.lower().replace("<!doctype html>", "")
