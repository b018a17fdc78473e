"""The verbs by address: the same answers as on the head, and a sentence for each refusal."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner

import raysearch
from raysearch.cli.application import app
from raysearch.errors import BadSetting, RaysearchError, UnknownName, Unreachable, WrongState
from raysearch.events.log import Store
from raysearch.server import remote
from raysearch.server.gateway import create_app
from raysearch.server.remote import Remote, ServiceFault
from raysearch.server.state import ServiceState
from raysearch.server.supervisor import Supervisor
from tests.raysearch.events import streams
from tests.raysearch.events.servers import free_port

TOKEN = "abc123"


@dataclass
class Service:
    """A service with the search `one` that listens; its runs are also looked at directly."""

    address: str
    runs: Path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    state, address = folder / "state", f"http://127.0.0.1:{port}"
    runs = folder / "L\u00e4ufe\u200b"  # a terminal spells such letters out
    state.mkdir()
    runs.mkdir()
    store = f"sqlite:///{runs / 'raysearch.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(streams.SPEC, "tracking_uri", "none")
        streams.search(Store(store), "one", runs / "one").flush()
    ServiceState(os.getpid(), address, str(runs), store, "none", "", "").write(state)
    server = uvicorn.Server(
        uvicorn.Config(create_app(state, pause=60), port=port, log_level="error", ws="none")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Service(address, runs)
    server.should_exit = True
    thread.join()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.delenv("RAYSEARCH_ADDRESS", raising=False)


@pytest.fixture
def there(service: Service, tmp_path: Path) -> raysearch.Client:
    return raysearch.Client(tmp_path / "runs", address=service.address)


@pytest.fixture
def here(service: Service) -> raysearch.Client:
    return raysearch.Client(service.runs, tracking_uri="none")


@pytest.mark.parametrize("verb", ["results", "curves", "view", "best", "status"])
def test_a_client_far_away_says_what_one_on_the_head_says(
    verb: str, there: raysearch.Client, here: raysearch.Client
) -> None:
    far, near = getattr(there, verb)("one"), getattr(here, verb)("one")
    if verb in ("results", "curves"):
        assert far.equals(near)
    elif verb == "view":
        assert far.trials == near.trials and far.spec == near.spec
    else:
        assert far == near


def test_one_trial_far_away_is_the_one_on_the_head(
    there: raysearch.Client, here: raysearch.Client
) -> None:
    assert there.trial("one", 5) == here.trial("one", 5)


@pytest.mark.slow
def test_the_list_far_away_is_chosen_from_as_on_the_head(
    there: raysearch.Client, here: raysearch.Client
) -> None:
    assert there.list(group="rates", text="by hand").equals(here.list(group="rates"))
    assert len(there.list(tags={"data": "other"})) == 0


@pytest.mark.slow
def test_the_report_is_written_here_over_an_old_one(
    there: raysearch.Client, tmp_path: Path
) -> None:
    page = there.report("one")
    assert page == tmp_path / "runs" / "one" / "report" / "index.html"
    assert page.read_text().startswith("<!DOCTYPE html>")
    page.write_text("old")
    assert there.report("one").read_text() != "old"


@pytest.mark.slow
def test_a_folder_that_is_no_report_is_not_replaced_by_one(
    there: raysearch.Client, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="mine must be free for the report"):
        Remote(service.address).report("one", tmp_path / "mine")


@pytest.mark.slow
def test_a_stop_of_what_does_not_run_is_refused_as_on_the_head(there: raysearch.Client) -> None:
    with pytest.raises(ValueError, match="search 'one' is not running"):
        there.stop("one")


def test_a_search_that_is_not_there_is_a_lookup_error(there: raysearch.Client) -> None:
    with pytest.raises(LookupError, match="no search is named 'two'"):
        there.results("two")
    with pytest.raises(LookupError, match="no search is named '../one'"):
        there.results("../one")


CALLS: dict[str, Callable[[raysearch.Client], object]] = {
    **{
        f"{verb} of {name[:8]!r}": lambda client, verb=verb, name=name: getattr(client, verb)(name)
        for verb in ("results", "view", "best", "status", "curves", "check", "report", "stop")
        for name in ("two", "../one", "x" * 5000, "a\0b", "-x", "")
    },
    "a trial that is not there": lambda client: client.trial("one", 99),
}


def refusal(call: Callable[[raysearch.Client], object], client: raysearch.Client) -> RaysearchError:
    with pytest.raises(RaysearchError) as refused:
        call(client)
    return refused.value


@pytest.mark.slow
@pytest.mark.parametrize("kind", CALLS)
def test_a_client_far_away_raises_the_kind_that_one_on_the_head_raises(
    kind: str, there: raysearch.Client, here: raysearch.Client
) -> None:
    far, near = refusal(CALLS[kind], there), refusal(CALLS[kind], here)
    assert type(far) is type(near)
    if "'two'" in kind or "trial" in kind:
        assert str(far) == str(near)


@pytest.mark.slow
def test_what_a_verb_refuses_there_is_of_the_kind_that_it_is_here(
    there: raysearch.Client, here: raysearch.Client
) -> None:
    for trial in (None, 99):
        calls = [lambda client, trial=trial: client.stop("one", trial)]
        far, near = refusal(calls[0], there), refusal(calls[0], here)
        assert (type(far), str(far)) == (type(near), str(near))
    assert isinstance(refusal(lambda client: client.report("two"), there), UnknownName)


def test_a_fault_of_the_service_is_no_bad_input(
    there: raysearch.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Supervisor, name: str) -> None:
        raise KeyError("tags")

    monkeypatch.setattr(Supervisor, "driven", broken)
    with pytest.raises(ServiceFault, match="this is a fault of raysearch .* log of the gateway"):
        there.status("one")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (WrongState("search 'one' is damaged"), WrongState),
        (UnknownName("no search is named 'one'"), UnknownName),
        (BadSetting("x must be 1, got 2"), BadSetting),
        (Unreachable("Ray does not answer"), Unreachable),
    ],
)
def test_each_kind_arrives_as_what_it_was(
    there: raysearch.Client,
    monkeypatch: pytest.MonkeyPatch,
    answer: RaysearchError,
    kind: type[RaysearchError],
) -> None:
    def refuse(self: Supervisor, name: str) -> None:
        raise answer

    monkeypatch.setattr(Supervisor, "driven", refuse)
    with pytest.raises(kind, match=str(answer)) as refused:
        there.status("one")
    assert type(refused.value) is kind


def test_a_client_without_a_token_is_refused_clearly(
    there: raysearch.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ConnectionError, match="no token in .*none: copy that file from the head"):
        there.status("one")


def test_a_wrong_token_is_refused_clearly(
    there: raysearch.Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = there.status
    monkeypatch.setattr("raysearch.server.remote.token", lambda: "another")
    with pytest.raises(ConnectionError, match=rf"{service.address}: the token is missing or wrong"):
        fetch("one")


def test_nobody_who_listens_is_said_in_a_sentence() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(
        ConnectionError, match=rf"nobody listens at {address}: is `raysearch serve`"
    ):
        Remote(address).state("one")


def test_another_version_there_is_said_in_a_sentence(
    there: raysearch.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "version", lambda: "9.9")
    with pytest.raises(ConnectionError, match="is version .* and here it is 9.9: install the same"):
        there.status("one")


class Stranger(BaseHTTPRequestHandler):
    """Some other server, that also sends people elsewhere."""

    seen: list[str | None] = []

    def do_GET(self) -> None:  # noqa: N802
        self.seen.append(self.headers.get("Authorization"))
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_something_else_at_the_address_is_said_and_followed_nowhere() -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(ConnectionError, match=r"is something else \(status 302\)"):
            Remote(f"http://127.0.0.1:{server.server_port}").state("one")
        thread.join()


@pytest.mark.parametrize("address", ["head:8267", "ftp://head", "http://", "http://me:hush@head"])
def test_what_is_no_address_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ValueError, match="--address must be as http://head:8267") as refused:
        Remote(address)
    assert "hush" not in str(refused.value)


@pytest.mark.slow
def test_a_command_by_address_says_what_the_head_says(service: Service) -> None:
    typed = ["results", "one", "--csv"]
    far = CliRunner().invoke(app, [*typed, "--address", service.address])
    near = CliRunner().invoke(app, [*typed, "--runs", str(service.runs)])
    assert far.stdout == near.stdout and far.exit_code == near.exit_code == 0


@pytest.mark.slow
def test_a_command_by_address_ends_with_the_status_of_the_head(service: Service) -> None:
    far = CliRunner().invoke(app, ["best", "two", "--address", service.address])
    assert far.exit_code == 2
    assert far.stderr.startswith("error: no search is named 'two'")


def test_places_here_and_an_address_are_refused_together(service: Service) -> None:
    typed = ["status", "one", "--runs", "x", "--address", service.address]
    result = CliRunner().invoke(app, typed)
    assert result.exit_code == 2 and "--runs is for searches here" in result.stderr


@pytest.mark.slow
def test_places_that_are_typed_are_meant_before_an_exported_address(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSEARCH_ADDRESS", "http://127.0.0.1:9")
    result = CliRunner().invoke(app, ["status", "one", "--runs", str(service.runs)])
    assert result.exit_code == 0 and "one:" in result.stdout


def test_a_submission_without_an_address_is_refused_in_a_sentence() -> None:
    result = CliRunner().invoke(app, ["submit", "ssl.digits_vit"])
    assert result.exit_code == 2 and "--address must be given" in result.stderr
    with pytest.raises(ValueError, match="address must be given to submit"):
        raysearch.Client().submit("ssl.digits_vit")
