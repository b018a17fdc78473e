"""A cluster of several nodes on this machine, each a `ray start --block` of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.raysearch.command import ENVIRONMENT, ROOT
from tests.raysearch.events.servers import free_port

CLUSTER = "RAYSEARCH_TEST_CLUSTER"
"""The environment variable that all processes of a cluster share: its folder."""
NODE = "RAYSEARCH_TEST_NODE"
"""The environment variable with the name of the node that a process runs on."""

SOON_LOST = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "4",
}
"""Ray asks each node once a second whether it lives: a frozen one is lost after 16 s at most."""

_JOINS = 240.0
"""Seconds in which a node must be up, on a busy machine."""
_AGENTS = ("dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export", "runtime-env-agent")
_RAY = str(Path(sys.executable).with_name("ray"))


@dataclass
class Node:
    """One node: its name and the process that started it and waits."""

    name: str
    process: subprocess.Popen[bytes]

    @property
    def raylet(self) -> psutil.Process | None:
        """Its raylet, or None if that is gone."""
        with suppress(psutil.Error):
            for child in psutil.Process(self.process.pid).children():
                if child.name() == "raylet" and child.status() != psutil.STATUS_ZOMBIE:
                    return child
        return None


class Nodes:
    """A head without CPUs and so many workers of one CPU; nodes can be lost and added.

    Nothing is shared with any other Ray of this machine: ports and the folder are its own.
    """

    def __init__(
        self, workers: int = 2, *, cpus: int = 1, head_cpus: int = 0, gpus: int = 0
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rn-", dir="/tmp"))
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {
            **ENVIRONMENT,
            **SOON_LOST,
            CLUSTER: str(self.folder),
            "RAY_AUTH_MODE": "disabled",  # a token at home would hold for the head alone
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_memory_monitor_refresh_ms": "0",
            "OMP_NUM_THREADS": "1",
        }
        self.nodes: dict[str, Node] = {}
        self._cpus, self._gpus = cpus, gpus
        try:
            self._start("head", head_cpus, "--head", f"--port={self.address.partition(':')[2]}")
            self._wait_for_head()
            for number in range(workers):
                self.add(f"worker-{number + 1}")
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> list[Node]:
        """The nodes for trials whose raylet lives."""
        return [node for node in self.nodes.values() if node.name != "head" and node.raylet]

    def add(self, name: str) -> Node:
        """Starts a node; returns when it has joined. On a busy machine it may give up itself."""
        log = self.folder / f"{name}.log"
        for _ in range(3):
            if name in self.nodes:
                self.remove(name)
            log.unlink(missing_ok=True)
            node = self._start(name, self._cpus, f"--address={self.address}")

            self._wait(lambda n=node: _is_up(log) or n.process.poll() is not None, _JOINS, name)
            if _is_up(log):
                return node
        raise TimeoutError(f"{name} does not start: {log.read_text()[-2000:]}")

    def lose(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Sends a signal to the raylet alone; returns its process id."""
        raylet = self.nodes[name].raylet
        assert raylet is not None, f"{name} has no raylet"
        raylet.send_signal(number)
        return raylet.pid

    def remove(self, name: str) -> None:
        """Ends what is left of a node: what `ray start` itself started."""
        node = self.nodes.pop(name)
        with suppress(psutil.Error):
            for child in psutil.Process(node.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        node.process.kill()
        node.process.wait()

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """All processes that a node, or any node, has ever started and that still live."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            known = environment_of(process.pid)
            if known.get(CLUSTER) != str(self.folder) or process.pid == os.getpid():
                continue
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and name in (None, known.get(NODE)):
                    found.append(process)
        return found

    def close(self) -> None:
        """Ends all of it with everything that it started, and deletes its folder."""
        for _ in range(3):
            for process in self.processes():
                with suppress(psutil.Error):
                    process.kill()
        for node in self.nodes.values():
            node.process.kill()
            node.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, name: str, cpus: int, *role: str) -> Node:
        command = [_RAY, "start", "--block", "--disable-usage-stats", *role]
        command += ["--node-ip-address=127.0.0.1", f"--num-cpus={cpus}"]
        command += [f"--num-gpus={0 if '--head' in role else self._gpus}"]
        command += [f"--temp-dir={self.folder / 'r'}", "--object-store-memory=80000000"]
        command += [f"--{agent}-port={free_port()}" for agent in _AGENTS]
        command += ["--min-worker-port=0", "--max-worker-port=0", "--include-log-monitor=false"]
        if "--head" in role:
            command += ["--include-dashboard=false", f"--ray-client-server-port={free_port()}"]
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.environment, NODE: name},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        node = self.nodes[name] = Node(name, process)
        return node

    def _wait_for_head(self) -> None:
        def answers() -> bool:
            host, _, port = self.address.partition(":")
            with suppress(OSError):
                socket.create_connection((host, int(port)), 1).close()
                return self.nodes["head"].raylet is not None
            return False

        self._wait(answers, _JOINS, "for the head")

    def _wait(self, condition: object, limit: float, what: str) -> None:
        assert callable(condition)
        deadline = time.monotonic() + limit
        while not condition():
            logs = sorted(self.folder.glob("*.log"))
            assert time.monotonic() < deadline, f"waited {limit} s {what}\n" + "\n".join(
                log.read_text()[-2000:] for log in logs
            )
            time.sleep(0.2)


def _is_up(log: Path) -> bool:
    return "runtime started" in log.read_text()


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process began with; empty if it is gone."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    pairs = (entry.partition("=") for entry in text.split("\0"))
    return {name: value for name, _, value in pairs}
