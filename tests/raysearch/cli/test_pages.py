"""Commands that write a page, open it, or serve one."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raysearch.cli import page_server
from raysearch.cli.application import app
from raysearch.cli.page_server import ServerEnded, free_port, wait_for
from raysearch.errors import BadSetting
from raysearch.events.log import Store
from raysearch.server.verbs import Forbidden, refuse_other_verbs
from raysearch.trial.process_tree import family, gone
from tests.raysearch.command import COMMAND, ENVIRONMENT, raysearch
from tests.raysearch.events import streams
from tests.raysearch.events.facts import fact
from tests.raysearch.events.servers import free_port as any_port


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with two searches of which MLflow knows nothing."""
    folder = tmp_path / "runs"
    store = Store(f"sqlite:///{folder / 'raysearch.db'}")
    for name in ("one", "two"):
        log = store.create(
            name,
            streams.spec(search=name, folder=str(folder / name), tracking_uri="none"),
        )
        for number, state in enumerate(streams.STATES):
            streams.trial(log, number, folder / name, state)
        log.append(fact("finished", reason="", best=5), commit=True)
    return folder


def test_compare_writes_a_page_and_says_where(runs: Path) -> None:
    done = CliRunner().invoke(app, ["compare", "one", "two", "--html", "--runs", str(runs)])
    page = runs / "comparisons" / "one+two.html"
    assert done.exit_code == 0 and "".join(done.output.split()) == str(page)
    assert "Side by side" in page.read_text()


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_a_page_is_no_table(runs: Path, form: str) -> None:
    done = CliRunner().invoke(app, ["compare", "one", "two", "--html", form, "--runs", str(runs)])
    assert done.exit_code == 2 and f"--html must stand alone, got {form} too" in done.output
    assert not (runs / "comparisons").exists()


@pytest.mark.parametrize("option", ["--open", "--html"])
def test_pages_are_opened_where_their_reader_is(option: str) -> None:
    refuse_other_verbs(["compare", "one", "two"])
    with pytest.raises(Forbidden, match=f"{option} is for searches that lie here"):
        refuse_other_verbs(["compare", "one", "two", option])


@pytest.mark.slow
def test_a_report_is_opened_in_the_readers_browser(runs: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    done = subprocess.run(
        [*COMMAND, "report", "one", "--open", "--runs", str(runs)],
        env={**ENVIRONMENT, "BROWSER": str(browser)},
        capture_output=True,
        text=True,
        check=True,
    )
    page = runs / "one" / "report" / "index.html"
    assert done.stdout.strip() == str(page)
    assert (tmp_path / "opened").read_text().strip() == page.as_uri()


def test_a_port_that_is_in_use_is_refused_or_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(BadSetting, match=f"--port must be free on this machine, got {port}"):
            free_port(port)
    assert free_port(port) == port
    assert free_port(None) in range(page_server.PORT, page_server.PORT + 20)


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w+b") as output:
        command = [sys.executable, "-c", "raise SystemExit('no such table')"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        process.wait()
        address = f"http://127.0.0.1:{any_port()}/health"
        with pytest.raises(ServerEnded, match="ended at once: no such table"):
            wait_for(process, address, output)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_ui_prints_one_link_when_its_server_answers_and_ends_it_with_itself(
    tmp_path: Path, number: signal.Signals
) -> None:
    port = any_port()
    waiting = subprocess.Popen(
        [*COMMAND, "ui", "--port", str(port)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert waiting.stdout is not None
        link = waiting.stdout.readline().split()[0]
        assert link == f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{link}/health", timeout=60) as answer:
            assert answer.status == 200
        below = family(waiting.pid)[1:]
        waiting.send_signal(number)  # to it alone, as `kill` does
        said, _ = waiting.communicate(timeout=120)
        assert waiting.returncode == 0 and gone(below, 1)
        assert said in ("", f"{link}   (Ctrl-C ends it)\n"), "signalled within its own flush"
    finally:
        for pid in family(waiting.pid):
            subprocess.run(["kill", "-9", str(pid)], check=False)


@pytest.mark.slow
def test_ui_of_a_server_elsewhere_prints_its_address(tmp_path: Path) -> None:
    done = raysearch(tmp_path, "ui", "--tracking-uri", "http://head:5000/")
    assert (done.returncode, done.stdout.strip()) == (0, "http://head:5000")
