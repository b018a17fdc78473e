"""A real `raysearch serve` in a process of its own, with all that a test asks of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from raysearch.server.part import MARK, mark_of
from raysearch.server.state import ServiceState
from tests.raysearch.command import COMMAND, ROOT
from tests.raysearch.events.servers import free_port


class Served:
    """The service of a folder: its state, its runs, its token, on ports of its own."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder, self.state, self.runs = folder, folder / "state", folder / "runs"
        self.port, self.mlflow_port = free_port(), free_port()
        self._options = ["--ray-address", "none", *options]
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Starts it and waits until all its parts are up."""
        with (self.folder / "serve.txt").open("ab") as said:
            self.process = subprocess.Popen(
                self.command(), env=self._environment, stdout=said, stderr=said, cwd=self.folder
            )
        deadline = time.monotonic() + 900
        while not self.is_up():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def command(self, *more: str) -> list[str]:
        """The command with its places."""
        places = ["--state", str(self.state), "--runs", str(self.runs)]
        ports = ["--port", str(self.port), "--mlflow-port", str(self.mlflow_port)]
        return [*COMMAND, "serve", *places, *ports, *self._options, *more]

    def do(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Runs the command with more options to its end."""
        return subprocess.run(
            self.command(*more),
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def said(self) -> str:
        """What it has printed."""
        return (self.folder / "serve.txt").read_text()

    def now(self) -> ServiceState:
        """What it says of itself."""
        return ServiceState.read(self.state)

    def part(self, name: str) -> dict[str, Any]:
        """How a part is."""
        return self.now().parts[name]

    def is_up(self) -> bool:
        """Whether all parts are up."""
        try:
            return {part["state"] for part in self.now().parts.values()} == {"up"}
        except LookupError:
            return False

    def kill(self, name: str) -> None:
        """Kills the process of a part, and waits until the service has seen it."""
        part = self.part(name)
        os.kill(part["pid"], signal.SIGKILL)
        self.wait_for(lambda: self.part(name)["restarts"] > part["restarts"])

    def wait_for(self, condition: Any, limit: float = 900) -> float:
        """Waits for a condition; returns how long it took."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() < begun + limit, self.said()
            time.sleep(0.05)
        return time.monotonic() - begun

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends it, and returns its exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(900)

    def processes(self) -> list[psutil.Process]:
        """All its processes, and those of its database; the service itself is none of them."""
        found = list[psutil.Process]()
        for process in psutil.process_iter(["environ", "name"]):
            environment = process.info["environ"] or {}
            if environment.get(MARK, "").startswith(mark_of(self.state)):
                found += [process, *process.children(recursive=True)]
        return [one for one in set(found) if one.is_running()]

    def close(self) -> None:
        """Ends whatever a failed test has left."""
        if self.process is not None and self.process.poll() is None:
            self.end()
        for process in self.processes():
            process.kill()
