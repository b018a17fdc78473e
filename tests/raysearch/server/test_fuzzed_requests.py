"""Whatever is sent to the gateway is answered in a sentence, and within bounds."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import schemathesis
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from raysearch.errors import KINDS, WrongState
from raysearch.events.log import Store
from raysearch.server import access
from raysearch.server.access import LARGEST_JSON, LARGEST_PACKAGE
from raysearch.server.gateway import create_app
from raysearch.server.supervisor import Supervisor
from raysearch.server.verbs import Busy, Commands
from raysearch.version import HEADER, version
from tests.raysearch.command import wait_until
from tests.raysearch.events import streams
from tests.raysearch.events.servers import free_port
from tests.raysearch.server.test_gateway import TOKEN, said, service

SIGNED = {"Authorization": f"Bearer {TOKEN}"}
FORM = {
    "space": "own:x",
    "overrides": {},
    "options": {},
    "code": "0" * 32,
    "stem": "mine",
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A service without Ray that has the search `one`."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "runs").mkdir()
    (folder / "state").mkdir()
    about = service(folder)
    about.write(folder / "state")
    streams.search(Store(about.store), "one", folder / "runs" / "one").flush()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", TOKEN)
        yield folder / "state"


@pytest.fixture(scope="module")
def client(state: Path) -> Iterator[TestClient]:
    with TestClient(create_app(state, pause=600), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = SIGNED["Authorization"]
        yield client


def files(state: Path) -> list[str]:
    """What lies in the folder of the service, beside its databases."""
    return sorted(
        str(path.relative_to(state.parent))
        for path in state.parent.rglob("*")
        if "raysearch.db" not in path.name
    )


def is_refused(answer: Any) -> str:
    """The sentence of a refusal that is one."""
    assert 400 <= answer.status_code < 500, answer.text[:500]
    body = answer.json()
    assert set(body) == {"error", "kind"} and body["kind"] in KINDS
    assert "\n" not in body["error"] and 0 < len(body["error"]) < 3000
    assert answer.headers[HEADER] == version()
    return str(body["error"])


# The description

DOORS = (
    "/health",
    "/run",
    "/events/{name}",
    "/holder/{name}",
    "/searches",
    "/report/{name}",
    "/code",
    "/submit",
)
"""All but /cluster, which asks a Ray."""


def fuzz(state: Path, place: str, mode: GenerationMode, many: int) -> None:
    app = create_app(state, pause=600)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=SIGNED)
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(found) == 13
    for door in (each for each in found if each.path.startswith(place)):
        if mode.is_negative and (door.method == "put" or door.path in ("/health", "/searches")):
            continue  # it takes any bytes, any texts, or nothing: nothing can be wrong

        @given(door.as_strategy(generation_mode=mode))
        @settings(
            max_examples=many,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        )
        def one(case: schemathesis.Case) -> None:
            answer = case.call(headers=SIGNED)
            assert answer.status_code < 500, answer.text[:1000]
            checks = [status_code_conformance, response_schema_conformance]
            if answer.status_code != 413:  # refused for its size, whatever is in it
                checks.append(negative_data_rejection)
            case.validate_response(answer, checks=checks)
            assert answer.headers[HEADER.lower()] == [version()]
            if answer.status_code >= 400:
                assert set(answer.json()) == {"error", "kind"}

        one()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("place", DOORS)
def test_each_path_does_as_it_is_described(state: Path, place: str, mode: GenerationMode) -> None:
    before = files(state)
    fuzz(state, place, mode, 8)
    assert [path for path in files(state) if path not in before and ".code" not in path] == []


@pytest.mark.long
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("place", DOORS)
def test_each_path_does_as_it_is_described_at_length(
    state: Path, place: str, mode: GenerationMode
) -> None:
    fuzz(state, place, mode, 1000)


def test_the_description_is_for_who_has_the_token(client: TestClient) -> None:
    assert client.get("/openapi.json", headers={"Authorization": ""}).status_code == 401
    assert set(client.get("/openapi.json").json()["paths"]) >= {"/run", "/submit", "/code"}


# Bodies

DEEP = 2000


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


BODIES: dict[str, str | bytes] = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "a text": '"x"',
    "a number": "1e999",
    "null": "null",
    "no UTF-8": b'{"arguments": ["\xff"]}',
    "UTF-16": '{"arguments": 1}'.encode("utf-16"),
    "a mark of order": b"\xef\xbb\xbf{}",
    "deep": nested(DEEP),
    "very deep": nested(200_000),
    "a deep map": '{"a":' * DEEP + "1" + "}" * DEEP,
    "a long number": "9" * 5000,
    "NaN": '{"arguments": NaN}',
    "a key twice": '{"arguments": 1, "arguments": 2}',
    "more fields": '{"arguments": ["list"], "x": 1}',
}


@pytest.mark.parametrize("place", ["/run", "/submit"])
@pytest.mark.parametrize("kind", BODIES)
def test_a_body_of_any_kind_is_refused_in_a_sentence(
    client: TestClient, place: str, kind: str
) -> None:
    body = BODIES[kind]
    content = body if isinstance(body, bytes) else body.encode()
    is_refused(client.post(place, content=content, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "", "multipart/form-data", "é"])
def test_a_body_of_another_type_is_refused(client: TestClient, kind: str) -> None:
    content = json.dumps({"arguments": ["list"]}).encode()
    headers = {b"Content-Type": kind.encode("latin-1")}
    is_refused(client.post("/run", content=content, headers=headers))


ARGUMENTS: dict[str, Any] = {
    "no list": {"list": 1},
    "none": [],
    "numbers": [1, 2],
    "lists": [["list"]],
    "NUL": ["status", "o\0ne"],
    "half a letter": ["status", "\ud800"],
    "a byte": ["status", "\udcff"],
    "a long one": ["note", "one", f"--text={'x' * 20_001}"],
    "many": ["list"] * 201,
    "long together": ["note", *["x" * 10_000] * 11],
    "another verb": ["delete", "one"],
    "an own option": ["status", "one", "--store=sqlite:////etc/passwd"],
}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_arguments_of_any_kind_are_refused_before_a_process_begins(
    client: TestClient, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(*command: object, **options: object) -> None:
        raise AssertionError(f"a process was begun: {command}")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", begin)
    content = json.dumps({"arguments": ARGUMENTS[kind]})
    is_refused(client.post("/run", content=content, headers={"Content-Type": "application/json"}))


@pytest.mark.slow
def test_the_longest_arguments_reach_their_verb(client: TestClient) -> None:
    long = ["𝛼" * 20_000, *["x" * 400] * 198]
    out, err, status = said(client.post("/run", json={"arguments": ["compare", *long[:199]]}))
    assert (out, status) == ("", 2) and "error:" in err


SUBMISSIONS: dict[str, dict[str, Any]] = {
    "overrides as a list": {"overrides": [1]},
    "overrides as a text": {"overrides": "lr=1"},
    "options as a list": {"options": []},
    "tags as a list": {"options": {"tags": ["a=b"]}},
    "trials as a text": {"options": {"trials": "many"}},
    "trials as a truth": {"options": {"trials": True}},
    "trials as a fraction": {"options": {"trials": 1.5}},
    "trials without end": {"options": {"trials": 10**30}},
    "time as a map": {"options": {"time": {"h": 1}}},
    "time of many digits": {"options": {"time": "9" * 400}},
    "memory as a list": {"options": {"memory": [1]}},
    "a name as a number": {"options": {"name": 5}},
    "a name that leads out": {"options": {"name": "../x"}},
    "a long name": {"options": {"name": "x" * 5000}},
    "a name with NUL": {"options": {"name": "a\0b"}},
    "an option twice meant": {"options": {"space": "x"}},
    "an unknown option": {"options": {"x": 1}},
    "a deep value": {"overrides": {"a": json.loads(nested(30))}},
    "a note with NUL": {"options": {"notes": "a\0b"}},
    "half a letter in a value": {"overrides": {"a": "\ud800"}},
    "half a letter in a key": {"overrides": {"\ud800": 1}},
    "infinity": {"overrides": {"a": float("inf")}},
    "a number of 80 bits": {"overrides": {"a": 2**80}},
    "many values": {"overrides": {str(number): 1 for number in range(10_001)}},
    "a long space": {"space": "x" * 5000},
    "no space": {"space": ""},
    "a stem that leads out": {"stem": "../x"},
    "code that leads out": {"code": "../../etc"},
    "code that is not there": {"code": "0" * 32},
}


@pytest.mark.parametrize("kind", SUBMISSIONS)
def test_a_submission_of_any_kind_is_refused_and_leaves_nothing(
    client: TestClient, state: Path, kind: str
) -> None:
    before = files(state)
    content = json.dumps({**FORM, **SUBMISSIONS[kind]})
    headers = {"Content-Type": "application/json"}
    is_refused(client.post("/submit", content=content, headers=headers))
    assert files(state) == before


@pytest.mark.parametrize(
    "name",
    ["%00", "x" * 81, "x" * 5000, ".hidden", "a%20b", "a%0Ab", "%F0%9F%90%8D", "%ff", "a%2Fb"],
)
@pytest.mark.parametrize("place", ["/events", "/holder", "/report", "/code"])
def test_a_name_of_any_kind_is_that_of_nothing(client: TestClient, place: str, name: str) -> None:
    answer = client.get(f"{place}/{name}")
    assert is_refused(answer) and answer.status_code == 404


@pytest.mark.parametrize("after", ["-1", str(1 << 63), "1" + "0" * 30, "x", "1.5", "", "NaN"])
def test_a_number_of_an_event_out_of_range_is_refused(client: TestClient, after: str) -> None:
    assert "after" in is_refused(client.get("/events/one", params={"after": after}))


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "OPTIONS", "TRACE", "MADE"])
def test_another_method_is_refused_in_a_sentence(client: TestClient, method: str) -> None:
    answer = client.request(method, "/submit")
    assert is_refused(answer) and answer.status_code == 405 and answer.headers["allow"] == "POST"


# Bounds


@pytest.mark.parametrize(
    ("place", "limit"),
    [("/run", LARGEST_JSON), ("/submit", LARGEST_JSON), ("/code", LARGEST_PACKAGE)],
)
def test_a_body_that_says_it_is_too_large_is_not_waited_for(
    client: TestClient, place: str, limit: int
) -> None:
    method = "PUT" if place == "/code" else "POST"
    sent = client.request(method, place, headers={"Content-Length": str(limit + 1)})
    assert "must have at most" in is_refused(sent) and sent.status_code == 413


def test_a_body_that_grows_too_large_is_refused_on_its_way(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "LARGEST_JSON", 1000)
    monkeypatch.setattr(access, "LARGEST_PACKAGE", 1000)
    for method, place in (("POST", "/run"), ("PUT", "/code")):
        sent = client.request(method, place, content=iter([b" " * 600] * 2))
        assert is_refused(sent) and sent.status_code == 413


async def _some(commands: Commands, arguments: list[str], state: Path) -> list[dict[str, Any]]:
    async def is_left() -> bool:
        return False

    about = Supervisor(state).service()
    return [message async for message in commands.run(arguments, about, is_left)]


@pytest.mark.slow
def test_no_more_verbs_run_at_once_than_may(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, living, most = Commands(2), [0], [0]
    begin = asyncio.create_subprocess_exec

    async def counted(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        living[0] += 1
        most[0] = max(most)
        most.append(living[0])
        process = await begin(*command, **options)

        async def end() -> None:
            await process.wait()
            living[0] -= 1

        ending.append(asyncio.create_task(end()))
        return process

    ending: list[asyncio.Task[None]] = []
    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)

    async def all_at_once() -> None:
        tasks = [asyncio.create_task(_some(commands, ["list", "--json"], state)) for _ in range(4)]
        while not living[0]:
            await asyncio.sleep(0.01)
        while not commands.are_all_taken:
            await asyncio.sleep(0.01)
        with pytest.raises(Busy, match="2 verbs are running"):
            commands.refuse_more()
        said = await asyncio.gather(*tasks)
        assert [messages[-1]["exit"] for messages in said] == [0] * 4

    asyncio.run(all_at_once())
    assert max(most) <= 2 and not commands.are_all_taken


# Faults of our own


def test_what_nobody_foresaw_is_a_fault_with_its_traceback_in_the_log(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Supervisor, name: str) -> None:
        raise KeyError("tags")

    monkeypatch.setattr(Supervisor, "driven", broken)
    answer = client.get("/holder/one")
    assert answer.status_code == 500 and answer.headers[HEADER] == version()
    assert f"this is a fault of raysearch {version()}" in answer.json()["error"]
    assert "Traceback" in caplog.text and "KeyError: 'tags'" in caplog.text


@pytest.mark.parametrize("kind", [ValueError, LookupError, ConnectionError, RuntimeError])
def test_only_our_own_kinds_are_shown_as_sentences(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def broken(self: Supervisor, name: str) -> None:
        raise kind("within")

    monkeypatch.setattr(Supervisor, "driven", broken)
    assert client.get("/holder/one").status_code == 500


def test_a_wrong_state_is_a_conflict(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Supervisor, name: str) -> None:
        raise WrongState("search 'one' is damaged")

    monkeypatch.setattr(Supervisor, "driven", refuse)
    answer = client.get("/holder/one")
    assert answer.status_code == 409
    assert answer.json() == {"error": "search 'one' is damaged", "kind": "WrongState"}


# What is no HTTP


@pytest.fixture(scope="module")
def port(state: Path) -> Iterator[int]:
    """A service that listens."""
    chosen = free_port()
    config = uvicorn.Config(create_app(state, pause=600), port=chosen, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield chosen
    server.should_exit = True
    thread.join()


def sent(port: int, content: bytes, *, ends: bool = False) -> bytes:
    """What is answered to these bytes; with `ends` it is said that no more will come."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=250) as connection:
        with suppress(ConnectionError):  # it is cut off
            connection.sendall(content)
            if ends:
                with suppress(OSError):  # it is cut off already
                    connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 16):
                answer += piece
    return answer


_SIGN = b"Host: x\r\nConnection: close\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"
_JSON = b"Content-Type: application/json\r\n"
RAW: dict[str, bytes] = {
    "garbage": b"\x00\xff\xfe\r\n\r\n",
    "no version": b"GET /health\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,
    "length is a word": b"POST /run HTTP/1.1\r\n" + _SIGN + b"Content-Length: many\r\n\r\n{}",
    "negative length": b"POST /run HTTP/1.1\r\n" + _SIGN + b"Content-Length: -1\r\n\r\n{}",
    "two lengths": b"POST /run HTTP/1.1\r\n"
    + _SIGN
    + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length of 5,000 digits": b"POST /run HTTP/1.1\r\n"
    + _SIGN
    + b"Content-Length: "
    + b"9" * 5000
    + b"\r\n\r\n{}",
    "length and pieces": b"POST /run HTTP/1.1\r\n"
    + _SIGN
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad piece": b"POST /run HTTP/1.1\r\n" + _SIGN + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "too short": b"POST /run HTTP/1.1\r\n" + _SIGN + _JSON + b"Content-Length: 100\r\n\r\n{}",
    "too short a package": b"PUT /code HTTP/1.1\r\n" + _SIGN + b"Content-Length: 100\r\n\r\nPK",
    "header without end": b"GET /holder/one HTTP/1.1\r\nX: " + b"x" * (1 << 17),
    "line folded": b"GET /holder/one HTTP/1.1\r\n" + _SIGN + b"X: a\r\n b\r\n\r\n",
    "NUL in a header": b"GET /holder/one HTTP/1.1\r\n" + _SIGN + b"X: a\0b\r\n\r\n",
    "path of 60,000": b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n" + _SIGN + b"\r\n",
    "another place": b"GET http://elsewhere/holder/one HTTP/1.1\r\n" + _SIGN + b"\r\n",
    "a tunnel": b"CONNECT elsewhere:443 HTTP/1.1\r\n" + _SIGN + b"\r\n",
    "an upgrade": b"GET /holder/two HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Authorization: Bearer " + TOKEN.encode() + b"\r\nConnection: close\r\n\r\n",
    "a token of other letters": b"GET /cluster HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    b"Authorization: Bearer \xe9\xff\r\n\r\n",
}


UNFINISHED = ("TLS", "too short", "too short a package", "header without end")
"""What the service waits for the rest of."""


@pytest.mark.parametrize("kind", RAW)
def test_what_is_no_request_is_refused_and_the_service_goes_on(port: int, kind: str) -> None:
    answer = sent(port, RAW[kind], ends=kind in UNFINISHED)
    status = answer.split(b" ", 2)[1] if answer else b""
    assert status in (b"", b"400", b"401", b"404", b"405", b"413", b"422", b"431") or kind in (
        "line folded",  # h11 reads it as one line
        "another place",
    )
    healthy = b"GET /health HTTP/1.1\r\n" + _SIGN + b"\r\n"
    assert sent(port, healthy).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("door", [b"POST /run", b"PUT /code"])
def test_a_body_that_never_arrives_is_not_waited_for(
    port: int, door: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_PATIENCE", 0.1)
    head = door + b" HTTP/1.1\r\n" + _SIGN + _JSON + b"Content-Length: 10\r\n\r\n{"
    answer = sent(port, head)
    assert answer.startswith(b"HTTP/1.1 408") and b"did not arrive in time" in answer


def test_nothing_is_left_open_by_what_was_refused(port: int) -> None:
    for kind, content in RAW.items():
        sent(port, content, ends=kind in UNFINISHED)

    def opened() -> int:
        """Connections of this process: its threads also open databases, as many as they are."""
        return sum(each.fd != -1 for each in psutil.Process().net_connections())

    first = opened()
    for _ in range(5):
        for kind, content in RAW.items():
            sent(port, content, ends=kind in UNFINISHED)
    wait_until(lambda: opened() <= first + 5, 60, "for the server to close its ends")
