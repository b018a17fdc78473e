"""The `raysearch` command in a process of its own, as a user starts it, and what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from raysearch.events.log import Store
from raysearch.results.view import SearchView
from raysearch.trial.job import label_of
from raysearch.trial.session import PRELOAD

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "COLUMNS": "200",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    PRELOAD: "",  # what an experiment does not import itself, it does not need
}
COMMAND = [sys.executable, "-m", "raysearch.cli"]
NOWHERE = ("--tracking-uri", "none")
"""For searches of which nothing is asked in MLflow: importing it, and its tables, take seconds."""


def raysearch(
    folder: Path, *arguments: str, program: Sequence[str] = COMMAND, limit: float = 900
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end in a folder."""
    return subprocess.run(
        [*program, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


def started(
    folder: Path, *arguments: str, program: Sequence[str] = COMMAND
) -> subprocess.Popen[str]:
    """Starts the command in a folder, in a process group of its own."""
    process = subprocess.Popen(
        [*program, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    STARTED.append(process)
    return process


STARTED: list[subprocess.Popen[str]] = []
"""What `started` started; `end_all` ends what a failed test left."""


def end_all() -> None:
    """Ends every command that is still there."""
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.communicate()


def store_of(folder: Path) -> Store:
    """The store below a folder."""
    return Store(f"sqlite:///{folder / 'runs' / 'raysearch.db'}")


def view_of(folder: Path, name: str) -> SearchView:
    """What the events of a search say."""
    return SearchView.read(store_of(folder), name)


def json_of(folder: Path, *arguments: str) -> Any:
    """The JSON that a command prints."""
    done = raysearch(folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_until(condition: Any, limit: float = 900, what: str = "") -> None:
    """Waits for a condition, asking ten times a second; the limit is beyond any machine."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit} s in vain {what}"
        time.sleep(0.1)


def label(folder: Path, search: str) -> str:
    """What marks the processes of a search that was started in a folder."""
    return label_of(folder / "runs" / search)


def left_alive(folder: Path, search: str) -> list[str]:
    """Command lines of processes of a search that are still there: hosts and all below them."""
    found: list[str] = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        if f"RAYSEARCH_HOST={label(folder, search)}@" in environment:
            found.append(" ".join(process.info["cmdline"] or []))
    return found
