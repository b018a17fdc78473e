"""Notifications: what is sent, to whom, and that nothing of an address is kept or shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from raysearch import notifications
from raysearch.errors import BadSetting
from raysearch.events.log import Event
from raysearch.notifications import ADDRESSES, COMMAND, Notifier, channels, notification, shown
from raysearch.settings import Channels
from tests.raysearch.command import ENVIRONMENT, NOWHERE, raysearch, store_of, wait_until
from tests.raysearch.events.facts import some
from tests.raysearch.events.streams import Hand

SECRET = "-".join(["t0p", "s3cret"])
"""In two pieces: the code of a search is kept, and these tests with it."""
# A plugin of apprise imports a module that Python will not have any more.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
SWEEPS = "tests.raysearch.searches.sweeps"


class Heard(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    found: list[tuple[str, dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.found.append((self.path, json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a local server, as apprise writes it, with a secret in it."""
    pytest.importorskip("apprise")
    Heard.found = []
    web = HTTPServer(("127.0.0.1", 0), Heard)
    thread = Thread(target=web.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"json://127.0.0.1:{web.server_port}/{SECRET}"
    web.shutdown()
    web.server_close()


def event(kind: str, trial: int | None = None, **body: Any) -> Event:
    return Event(9, "by-hand", trial, 0, some(kind, **body))


def notified(where: Channels, *events: Event) -> None:
    hand = Hand()
    hand.trial("a", 0.75)
    notifier = Notifier(where, hand.view, Path("runs/by-hand"))
    notifier._has_result = False
    notifier.start()
    for each in events:
        notifier.hear(each)
    notifier.close()


def told(state: str, trial: int = 0, values: list[float] | None = None) -> Event:
    return event("told", trial, state=state, values=values, reason="exception: a bug")


def test_a_server_hears_of_the_first_result_the_first_failure_and_the_end_once(server: str) -> None:
    where = channels([server], None)
    assert where is not None
    ends = event("finished", reason="", best=0)
    notified(
        where,
        told("pruned"),
        told("complete", 0, [0.75]),
        told("complete", 1, [0.9]),
        told("failed", 2),
        told("failed", 3),
        ends,
        ends,
    )
    assert [path for path, _ in Heard.found] == [f"/{SECRET}"] * 3
    titles = [body["title"] for _, body in Heard.found]
    assert titles == [
        "raysearch: by-hand has its first result",
        "raysearch: trial 2 of by-hand failed",
        "raysearch: by-hand running",
    ]
    texts = [body["message"] for _, body in Heard.found]
    assert "trial 0: 0.75" in texts[0] and "exception: a bug" in texts[1]
    assert all(text.endswith("raysearch results by-hand") for text in texts)


def test_a_command_gets_json_and_words_in_its_environment(tmp_path: Path) -> None:
    file = tmp_path / "told.jsonl"
    script = f'cat >> {file}; printf "%s %s\\n" "$RAYSEARCH_EVENT" "$RAYSEARCH_SEARCH" >> {file}'
    notified(Channels(command=script), told("complete", 0, [0.75]))
    said, words = file.read_text().splitlines()
    found = json.loads(said)
    assert (found["event"], found["trial"], found["values"]) == ("first", 0, [0.75])
    assert found["counts"] == {"complete": 1} and found["best"] == 0
    assert words == "first by-hand"


def test_a_search_that_goes_on_has_had_its_first_result() -> None:
    hand = Hand()
    hand.trial("a", 0.75)
    notifier = Notifier(Channels(), hand.view, Path())
    notifier.hear(told("complete", 1, [0.9]))
    assert notifier._news.empty()


def test_what_fails_is_one_line_without_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("apprise")
    where = channels([f"json://127.0.0.1:9/{SECRET}"], f"exit 3 # {SECRET}")
    assert where is not None and SECRET not in repr(where)
    notified(where, told("complete", 0, [0.75]))
    assert capsys.readouterr().err.splitlines() == [
        "notification (first) by json://*** was not sent: it was refused, or nobody answers",
        "notification (first) by --notify-command was not sent: it ended with status 3",
    ]


def test_one_that_hangs_delays_nothing_and_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notifications, "_LIMIT", 1.3)
    notifier = Notifier(
        Channels(command=f"echo $$ > {tmp_path / 'pid'}; sleep 60"), Hand().view, tmp_path
    )
    notifier.start()
    notifier.hear(event("finished"))
    notifier.close()
    assert "was not sent: it was ended after 0.3 s" in capsys.readouterr().err
    group = int((tmp_path / "pid").read_text())
    wait_until(lambda: not living(group), 5)


def living(group: int) -> list[int]:
    """The processes of a group that are more than an entry in a table."""
    found: list[int] = []
    for process in psutil.process_iter(["pid", "status"]):
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group and process.info["status"] != "zombie":
                found.append(process.pid)
    return found


def test_an_error_of_the_driver_is_said_and_passes() -> None:
    notifier = Notifier(Channels(), Hand().view, Path())
    assert not notifier.raised(ValueError, ValueError("no place left"), None)
    assert (notifier._news.get_nowait() or {})["reason"] == "no place left"
    notifier.raised(None, None, None)
    assert notifier._news.empty()


def test_what_cannot_be_sent_to_is_refused_before_any_trial(tmp_path: Path) -> None:
    pytest.importorskip("apprise")
    with pytest.raises(BadSetting) as error:
        channels([f"nonsense://{SECRET}"], None)
    assert str(error.value) == (
        "--notify must be an address that apprise knows, such as mailto://…, slack://… or "
        "json://host/path, got 'nonsense://***'"
    )
    with pytest.raises(BadSetting, match="must name a file that can be read"):
        channels([f"@{tmp_path / 'none'}"], None)


def test_a_file_and_the_environment_say_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("apprise")
    file = tmp_path / "notify"
    file.write_text(f"# mine\njson://a/{SECRET}\n\njson://b\n")
    monkeypatch.setenv(ADDRESSES, f"@{file}")
    monkeypatch.setenv(COMMAND, "true")
    found = channels(None, None)
    assert found == Channels((f"json://a/{SECRET}", "json://b"), "true")
    assert ADDRESSES not in os.environ and COMMAND not in os.environ
    assert channels(None, None) is None


def test_of_an_address_the_scheme_is_shown() -> None:
    assert shown("mailto://me:pw@example.org") == "mailto://***"
    assert shown("a secret") == "***" and shown("a-b/c://x") == "***"


HIDES = """
import sys
from raysearch.notifications import hide
hide({sys.argv[2]: "json://***"})
print(open("/proc/self/cmdline").read().replace("\\0", " "))
print(*sys.argv)
"""


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no /proc")
def test_an_argument_is_hidden_from_whoever_lists_processes() -> None:
    command = [sys.executable, "-c", HIDES, "--notify", f"json://{SECRET}", "after"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert SECRET not in done.stdout
    assert done.stdout.splitlines()[-1] == "-c --notify json://*** after"
    assert " --notify ***" in done.stdout.replace("*" * len(f"json://{SECRET}"), "***")


def test_a_notification_has_the_winner_in_words() -> None:
    hand = Hand()
    hand.trial("a", 0.75)
    found = notification(hand.view, "end", Path("there"))
    assert found["winner"].startswith("trial 0") and found["folder"] == "there"
    assert json.loads(json.dumps(found)) == found


@pytest.mark.search
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_search_notifies_and_keeps_no_secret(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = os.path.dirname(os.path.dirname(sys.modules["apprise"].__file__ or ""))
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", f"{ENVIRONMENT['PYTHONPATH']}:{site}")
    file = tmp_path / "told.jsonl"
    search = ["search", f"{SWEEPS}:chain", "--name", "one", "--trials", "2", *NOWHERE]
    search += [
        "--concurrent",
        "1",
        "--notify",
        server,
        "--notify-command",
        f"cat >> {file} # {SECRET}",
    ]
    done = raysearch(tmp_path, *search)
    assert done.returncode == 0, done.stderr
    titles = ["raysearch: one has its first result", "raysearch: one finished"]
    assert [body["title"] for _, body in Heard.found] == titles
    events = [json.loads(line)["event"] for line in file.read_text().splitlines()]
    assert events == ["first", "end"]
    spec = next(store_of(tmp_path).events("one")).body.plain()
    assert "--notify json://*** --notify-command ***" in spec["command"]
    wait_until(lambda: not (tmp_path / "runs/one/tune").exists(), 5)
    for path in (tmp_path / "runs").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in done.stdout + done.stderr
