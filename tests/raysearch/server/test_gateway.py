"""The HTTP address of the head: who may come in, what may be asked, and what is refused."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from raysearch.events.encoding import decode
from raysearch.events.log import Store
from raysearch.provenance.archive import digest
from raysearch.server.gateway import create_app
from raysearch.server.state import ServiceState
from raysearch.server.submissions import Submission, Submissions, keep_code, reserve
from raysearch.server.verbs import Forbidden, command_of, refuse_other_verbs
from raysearch.settings import Settings
from tests.raysearch.events import streams

TOKEN = "abc123"
PASSWORD = "hush/hush"


def service(folder: Path, **changes: Any) -> ServiceState:
    """What a service says of itself whose Ray does not answer."""
    said: dict[str, Any] = {
        "pid": os.getpid(),
        "address": "http://127.0.0.1:8267",
        "runs": str(folder / "runs"),
        "store": f"sqlite:///{folder / 'runs' / 'raysearch.db'}",
        "tracking_uri": "none",
        "tracking_user": "raysearch",
        "tracking_password": PASSWORD,
        "dashboard": "http://127.0.0.1:9",
        "parts": {"ray": {"state": "up"}},
    }
    return ServiceState(**{**said, **changes})


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Somebody who has the token, at a service with the search `one`."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    state = tmp_path / "state"
    state.mkdir()
    said = service(tmp_path)
    said.write(state)
    (tmp_path / "runs").mkdir()
    streams.search(Store(said.store), "one", tmp_path / "runs" / "one").flush()
    with TestClient(create_app(state, pause=60), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


def said(answer: Any) -> tuple[str, str, int]:
    messages = [json.loads(line) for line in answer.text.splitlines()]
    out, err = ("".join(one.get(where, "") for one in messages) for where in ("out", "err"))
    return out, err, messages[-1]["exit"]


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", TOKEN, f"Basic {TOKEN}"])
@pytest.mark.parametrize(
    "place", ["/cluster", "/events/one", "/holder/one", "/searches", "/docs", "/nowhere"]
)
def test_nobody_comes_in_without_the_token(client: TestClient, given: str, place: str) -> None:
    answer = client.get(place, headers={"Authorization": given})
    assert answer.status_code == 401
    assert "it is that of the head, in ~/.ray/auth_token" in answer.json()["error"]


def test_nobody_comes_in_where_there_is_no_token(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    assert client.get("/holder/one", headers={"Authorization": "Bearer "}).status_code == 401


@pytest.mark.parametrize("mode", ["disabled", "token", "", None])
def test_the_token_is_asked_for_whatever_ray_is_set_to(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, mode: str | None
) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    assert client.get("/holder/one", headers={"Authorization": ""}).status_code == 401
    assert client.get("/holder/one").status_code == 200


@pytest.mark.parametrize("mode", ["disabled", "token", "", None])
@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, "token"), ({"ray_token": True}, "token"), ({"ray_token": False}, "disabled")],
)
def test_ray_is_asked_as_the_service_was_told_at_its_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str | None,
    options: dict[str, Any],
    expected: str,
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode or "")
    if mode is None:
        monkeypatch.delenv("RAY_AUTH_MODE")
    service(tmp_path, options=options).use_token()
    assert os.environ["RAY_AUTH_MODE"] == expected


def test_health_tells_a_stranger_no_more_than_whether_all_is_well(client: TestClient) -> None:
    assert client.get("/health", headers={"Authorization": ""}).json() == {"ok": True}
    assert client.get("/health").json()["parts"] == {"ray": {"state": "up"}}


def test_health_is_bad_while_a_part_is_down(client: TestClient, tmp_path: Path) -> None:
    service(tmp_path, parts={"ray": {"state": "down"}}).write(tmp_path / "state")
    assert client.get("/health").status_code == 503


def test_events_come_as_they_are_written(client: TestClient, tmp_path: Path) -> None:
    lines = [decode(line) for line in client.get("/events/one?after=3").text.splitlines()]
    written = list(Store(service(tmp_path).store).events("one", 3))
    assert [(line["seq"], line["kind"], line["body"]) for line in lines] == [
        (event.seq, event.kind, event.body.plain()) for event in written
    ]


@pytest.mark.slow
def test_a_verb_says_what_it_says_on_the_head(client: TestClient) -> None:
    out, err, status = said(client.post("/run", json={"arguments": ["status", "one", "--json"]}))
    assert (json.loads(out)["name"], err, status) == ("one", "", 0)


@pytest.mark.slow
def test_bad_input_of_a_verb_comes_back_with_its_status(client: TestClient) -> None:
    out, err, status = said(client.post("/run", json={"arguments": ["best", "two"]}))
    assert (out, status) == ("", 2)
    assert err.startswith("error: no search is named 'two'")


def test_a_submission_that_never_became_a_search_is_told_without_a_command(
    client: TestClient, tmp_path: Path
) -> None:
    (tmp_path / "runs" / "lost").mkdir()
    lost = Submission("lost", "00", {}, over="its driver ended", lines=["no module 'own'"])
    Submissions(tmp_path / "state").write(lost)
    answer = said(client.post("/run", json={"arguments": ["status", "lost"]}))
    assert answer == ("lost: failed (its driver ended)\n  no module 'own'\n", "", 0)


@pytest.mark.parametrize("verb", ["search", "delete", "serve", "data", "--help", ""])
def test_other_verbs_are_refused(client: TestClient, verb: str) -> None:
    answer = client.post("/run", json={"arguments": [verb, "one"]})
    assert answer.status_code == 403
    assert "by address there are only list, status" in answer.json()["error"]


@pytest.mark.parametrize("option", ["--store=x", "--runs", "--address=http://a", "--tracking-uri"])
def test_a_verb_looks_at_nothing_but_what_the_service_has(option: str) -> None:
    with pytest.raises(Forbidden, match="is the service's own"):
        refuse_other_verbs(["status", "one", option, "/etc"])


def test_no_password_is_in_the_command_of_a_verb(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:hush%2Fhush@127.0.0.1:1/raysearch"
    command, surroundings = command_of(["status", "one"], service(tmp_path, store=url))
    assert "hush" not in " ".join(command)
    assert surroundings["PGPASSWORD"] == PASSWORD
    assert "postgresql+psycopg://me@127.0.0.1:1/raysearch" in command


@pytest.mark.parametrize("place", ["/events/two", "/holder/two", "/report/two"])
def test_a_search_that_is_not_there_is_said_in_a_sentence(client: TestClient, place: str) -> None:
    answer = client.get(place)
    assert answer.status_code == 404
    assert "no search is named 'two'" in answer.json()["error"]


@pytest.mark.parametrize("name", ["..%2Fstate", "%2e%2e", "a%5Cb", ".code"])
def test_a_name_that_is_a_path_is_refused(client: TestClient, name: str) -> None:
    assert client.get(f"/holder/{name}").status_code in (400, 404)
    assert client.get(f"/code/{name}").status_code in (400, 404)


def package(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_py", ".py"), text)
    return buffer.getvalue()


def test_the_same_package_is_kept_once(client: TestClient, tmp_path: Path) -> None:
    content = package(own_py="x = 1")
    assert client.get(f"/code/{digest(content)}").json() == {"known": False}
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: client.put("/code", content=content), range(4)))
    assert {answer.json()["code"] for answer in sent} == {digest(content)}
    assert client.get(f"/code/{digest(content)}").json() == {"known": True}
    assert [path.name for path in (tmp_path / "runs" / ".code").iterdir()] == [digest(content)]


def test_a_package_that_leads_out_leaves_nothing(client: TestClient, tmp_path: Path) -> None:
    answer = client.put("/code", content=package(**{"../../x": "x"}))
    assert answer.status_code == 400
    assert not list((tmp_path / "runs" / ".code").iterdir())


def test_submissions_at_once_never_get_the_same_name(client: TestClient, tmp_path: Path) -> None:
    settings = Settings.locate(tmp_path / "runs")
    known = Submissions(tmp_path / "state")
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: reserve(None, "mine", settings, known), range(16)))
    assert sorted(names) == sorted(f"mine-{number}" for number in range(1, 17))


def test_what_a_submission_makes_is_for_the_owner_alone(client: TestClient, tmp_path: Path) -> None:
    settings, usual = Settings.locate(tmp_path / "others"), os.umask(0o022)
    try:
        reserve(None, "mine", settings, Submissions(tmp_path / "state"))
        keep_code(package(**{"own.py": "x = 1"}), settings.runs)
    finally:
        os.umask(usual)
    made = [settings.runs, settings.folder("mine-1"), settings.runs / ".code"]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}


def test_a_name_in_use_is_refused(client: TestClient, tmp_path: Path) -> None:
    known = Submissions(tmp_path / "state")
    with pytest.raises(ValueError, match="--name 'one' is in use"):
        reserve("one", "mine", Settings.locate(tmp_path / "runs"), known)


def test_what_ray_does_not_take_leaves_no_submission(client: TestClient, tmp_path: Path) -> None:
    code = client.put("/code", content=package(own_py="")).json()["code"]
    asked = {"space": "own:x", "overrides": {}, "options": {}, "code": code, "stem": "mine"}
    answer = client.post("/submit", json=asked)
    assert answer.status_code == 503
    assert "http://127.0.0.1:9" in answer.json()["error"]
    assert not list(Submissions(tmp_path / "state")) and not (tmp_path / "runs" / "mine-1").exists()


def test_a_submission_of_nonsense_is_refused_in_a_sentence(client: TestClient) -> None:
    assert "body.code: Field" in client.post("/submit", json={"space": "own:x"}).json()["error"]
    asked = {"space": "a:b", "overrides": {}, "options": {"x": 1}, "code": "00", "stem": "mine"}
    assert "no option 'x'" in client.post("/submit", json=asked).json()["error"]
