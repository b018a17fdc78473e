"""MLflow's page on this machine: its server for as long as the command runs, and one link."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import IO

from raysearch.cli.attended import attended
from raysearch.errors import BadSetting, RaysearchError, WrongState
from raysearch.events.log import Store
from raysearch.passwords import hidden
from raysearch.results.opening import view_of
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.sqlite_files import sqlite_file
from raysearch.terminal import say
from raysearch.texts import one_line
from raysearch.tracking.consumer import links, server_environment
from raysearch.tracking.mlflow.address import client_of
from raysearch.tracking.mlflow.database import mlflow_address
from raysearch.tracking.registry import places, tracked
from raysearch.tracking.tracker import Place

PORT, _MORE = 5000, 20
"""The port where nobody asks for another, and how many behind it are tried."""
_PATIENCE, _PAUSE = 300.0, 0.2
"""Seconds in which the server answers at the latest, and between two looks."""


def serve_ui(settings: Settings, name: str | None, port: int | None) -> None:
    """Runs MLflow's server until this command ends, and prints one link once it answers.

    Where MLflow is a server already, only the link is printed.

    Raises:
        BadSetting: the port is in use. LookupError: no such search. ConnectionError: the server
            ended at once, or does not answer.
    """
    store = None
    if name is not None:
        store, view = view_of(name, settings)
        settings = settings.tracking_of(view.spec)
        if "mlflow" not in places(tracked(view.spec), _place(view, settings, store)):
            raise WrongState(
                f"search {name!r} is not in MLflow: its trackers are {tracked(view.spec)}, its "
                f"--tracking-uri is {hidden(settings.tracking_uri)}"
            )
    uri = settings.tracking_uri
    is_remote = uri.startswith("http")
    place = 0 if is_remote else free_port(port)
    address = uri.rstrip("/") if is_remote else f"http://127.0.0.1:{place}"
    file = sqlite_file(uri)
    if file is not None:
        client_of(uri)  # makes it, or follows it to where it was moved
        uri = mlflow_address(file)
    found: dict[str, str] = {}
    if name is not None and store is not None:
        found = links(store, name, uri, address, settings.folder(name))
    link = found.get("trials", address)
    if is_remote:
        say(link)
        return
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", "127.0.0.1", "--port", str(place), "--workers", "1"]
    command += ["--artifacts-destination", str(settings.runs / "mlartifacts")]
    command += ["--uvicorn-opts=--no-access-log"]
    say("starting MLflow's server …", err=True)
    with tempfile.TemporaryFile() as output:

        def answers(process: subprocess.Popen[bytes]) -> None:
            wait_for(process, f"{address}/health", output)
            say(f"{link}   (Ctrl-C ends it)")

        with suppress(KeyboardInterrupt):
            environment = {**os.environ, **server_environment()}
            attended(command, environment, answers, output)


def _place(view: SearchView, settings: Settings, store: Store) -> Place:
    return Place(view.search, settings.folder(view.search), store.url, settings.tracking_uri)


def free_port(wanted: int | None) -> int:
    """The port that is wanted, or else the first free one from `PORT` on.

    Raises:
        BadSetting: it is in use.
    """
    for port in [wanted] if wanted is not None else range(PORT, PORT + _MORE):
        with socket.socket() as listener, suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
    taken = f"got {wanted}" if wanted is not None else f"and {PORT} to {PORT + _MORE - 1} are not"
    raise BadSetting(f"--port must be free on this machine, {taken}; give another one")


def wait_for(process: subprocess.Popen[bytes], address: str, output: IO[bytes]) -> None:
    """Waits until a server answers.

    Raises:
        ConnectionError: it has ended, or does not answer in time; with what it said last.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        if process.poll() is not None:
            raise ServerEnded(f"MLflow's server ended at once: {_last_words(output)}")
        time.sleep(_PAUSE)
    raise ServerEnded(f"MLflow's server does not answer at {address}: {_last_words(output)}")


class ServerEnded(RaysearchError, ConnectionError):
    """The server of the page does not run."""


def _last_words(output: IO[bytes]) -> str:
    size = Path(f"/proc/self/fd/{output.fileno()}").stat().st_size
    output.seek(max(0, size - 2000))
    return one_line(output.read().decode(errors="replace"))
