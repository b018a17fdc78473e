"""A real MLflow server on this machine: started, waited for, killed; a client that fails once."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from raysearch.tracking.mlflow.address import server_environment

_PORTS = range(20_000, 32_000)
"""Below those that the system gives to outgoing connections, above those of Ray's workers."""


def free_port() -> int:
    """A port that nobody listens on, and that no connection is given by the system meanwhile."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def serve(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Starts a server on `mlflow.db` of a folder."""
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, **server_environment()}
    with (folder / "server.txt").open("ab") as output:
        return subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, start_new_session=True
        )


def wait_for(port: int, limit: float = 900) -> None:
    """Waits until the server answers."""
    deadline = time.monotonic() + limit
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except OSError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)


def end(server: subprocess.Popen[bytes]) -> None:
    """Kills a server with all its processes."""
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


class Fragile:
    """MLflow's client; the `count`-th call fails, before it did its work or after."""

    def __init__(self, client: Any, count: int, *, after: bool) -> None:
        self._client, self.count, self._after = client, count, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.count -= 1
            if self.count == 0 and not self._after:
                raise ConnectionError("nobody answers")
            answer = method(*arguments, **named)
            if self.count == 0:
                raise ConnectionError("the answer is lost")
            return answer

        return call
