"""Everything that a campaign of faults may hurt: nodes, servers, disk, the driver; and how."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from raysearch.trial.child import LABEL
from tests.cluster import written
from tests.cluster.armed import MOMENTS
from tests.cluster.nodes import NODE, Nodes, environment_of
from tests.raysearch.command import wait_until
from tests.raysearch.events import servers
from tests.raysearch.events.postgres import Postgres

Facts = dict[str, Any]
NOTICE = 30.0
"""Seconds between the notice that a machine is wanted back, and its end."""
_FULL = 8.0
"""Seconds that the disk stays full."""
_DISK = 128 << 20


class Target:
    """A cluster of two workers, PostgreSQL, MLflow and a small disk for the folder of runs.

    `folder` keeps what outlives them. A driver is started by `drive`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, folder / "runs"
        self.runs.mkdir(parents=True, exist_ok=True)
        self.arm = folder / "armed"
        self.driver: subprocess.Popen[bytes] | None = None
        self._closing = ExitStack()
        with ExitStack() as stack:
            stack.callback(unmount, self.runs)
            self.has_disk = mount(self.runs, _DISK)
            self.postgres = Postgres()
            stack.callback(self._end_postgres)
            self.store = self.postgres.create()
            self._port = servers.free_port()
            self.mlflow = servers.serve(folder, self._port)
            stack.callback(self._end_mlflow)
            self.nodes = Nodes()
            stack.callback(self.nodes.close)
            servers.wait_for(self._port)
            stack.callback(self.end_driver)
            self._closing = stack.pop_all()

    def close(self) -> None:
        """Ends all of it."""
        self._closing.close()

    def _end_mlflow(self) -> None:
        with suppress(ProcessLookupError):
            servers.end(self.mlflow)

    def _end_postgres(self) -> None:
        with suppress(AssertionError):  # it does not run at this moment
            self.postgres.stop()
        shutil.rmtree(self.postgres._folder, ignore_errors=True)

    def places(self) -> list[str]:
        """The options of a command that say where things are, but the address."""
        uri = f"http://127.0.0.1:{self._port}"
        return ["--runs", str(self.runs), "--store", self.store, "--tracking-uri", uri]

    def command(self, *arguments: str) -> list[str]:
        """The `raysearch` command whose driver can be armed."""
        armed = [sys.executable, "-m", "tests.cluster.armed", str(self.arm), "--"]
        return [*armed, *arguments, *self.places()]

    def drive(self, *arguments: str) -> None:
        """Starts a driver."""
        self.arm.unlink(missing_ok=True)
        with (self.folder / "driver.txt").open("ab") as output:
            self.driver = subprocess.Popen(
                self.command(*arguments, "--address", self.nodes.address),
                cwd=self.folder,
                env=self.nodes.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def catch_up(self, name: str) -> None:
        """Lets MLflow, once it is back, have what it missed of a search."""
        servers.wait_for(self._port)
        subprocess.run(self.command("sync", name), check=True, env=self.nodes.environment)

    @property
    def status(self) -> int | None:
        """How the driver ended; None while it lives."""
        return self.driver.poll() if self.driver is not None else -1

    def logs(self, name: str) -> Iterator[Path]:
        """What the attempts of a search have written."""
        return (self.runs / name).glob(f"[0-9]*/attempt-*/{written.LOG}")

    def trials(self, name: str) -> list[psutil.Process]:
        """The processes that train now."""
        found: list[psutil.Process] = []
        for log in self.logs(name):
            if time.time() - log.stat().st_mtime < 1.5:
                for pid in sorted({line["pid"] for line in written.read(log)[-4:]}):
                    with suppress(psutil.Error):
                        found.append(psutil.Process(pid))
        return found

    def titled(self, title: str) -> list[psutil.Process]:
        """The actors of a class."""
        found: list[psutil.Process] = []
        for process in self.nodes.processes():
            with suppress(psutil.Error, IndexError):
                if process.cmdline()[0].startswith(f"ray::{title}"):
                    found.append(process)
        return found

    def labelled(self) -> list[psutil.Process]:
        """Fork servers and trials, of any search on these nodes."""
        processes = self.nodes.processes()
        return [one for one in processes if LABEL in environment_of(one.pid)]

    def end_driver(self) -> None:
        """SIGKILL."""
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait()


Injury = Callable[[Target, random.Random, str], Facts | None]
"""Hurts a running search of a name; returns facts for the log, or None if it found no victim."""


def _trial(target: Target, draw: random.Random, name: str) -> Facts | None:
    return _kill_one(draw, target.trials(name))


def _host(target: Target, draw: random.Random, name: str) -> Facts | None:
    return _kill_one(draw, target.titled("ResourceTrainable"))


def _broker(target: Target, draw: random.Random, name: str) -> Facts | None:
    return _kill_one(draw, target.titled("Broker"))


def _kill_one(draw: random.Random, processes: list[psutil.Process]) -> Facts | None:
    if not processes:
        return None
    victim = draw.choice(sorted(processes, key=lambda process: process.pid))
    facts = {"pid": victim.pid, "node": environment_of(victim.pid).get(NODE, "")}
    with suppress(psutil.NoSuchProcess):
        victim.kill()
        return facts
    return None


def _raylet(target: Target, draw: random.Random, name: str) -> Facts | None:
    node = _used_node(target, draw, name)
    return _back(target, draw, node, pid=target.nodes.lose(node))


def _node(target: Target, draw: random.Random, name: str) -> Facts | None:
    """As when a machine loses its power."""
    node = _used_node(target, draw, name)
    for _ in range(2):
        for process in target.nodes.processes(node):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    return _back(target, draw, node)


def _frozen(target: Target, draw: random.Random, name: str) -> Facts | None:
    """As when a machine is cut off, or hangs, and comes back after it was given up."""
    node = _used_node(target, draw, name)
    frozen = target.nodes.processes(node)
    for process in frozen:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    time.sleep(22)
    woken = time.time()
    for process in frozen:
        with suppress(psutil.NoSuchProcess):
            process.resume()
    time.sleep(3)
    return _back(target, draw, node, woken=woken)


def _notice(target: Target, draw: random.Random, name: str) -> Facts | None:
    """As when a spot instance is wanted back: its trials hear of it before all else ends."""
    node = _used_node(target, draw, name)
    trials = [one for one in target.trials(name) if environment_of(one.pid).get(NODE) == node]
    if not trials:
        return None
    begun = time.time()
    for trial in trials:
        with suppress(psutil.NoSuchProcess):
            trial.terminate()
    alive = psutil.wait_procs(trials, timeout=NOTICE)[1]
    saved = time.time() - begun
    with suppress(AssertionError, psutil.Error):
        target.nodes.lose(node, signal.SIGTERM)
    facts: Facts = {"pids": [one.pid for one in trials], "left": len(alive), "saved": saved}
    return _back(target, draw, node, **facts)


def _used_node(target: Target, draw: random.Random, name: str) -> str:
    """A node with a trial on it, if there is one."""
    used = sorted({environment_of(one.pid).get(NODE, "") for one in target.trials(name)} - {""})
    return draw.choice(used or [node.name for node in target.nodes.workers])


def _back(target: Target, draw: random.Random, node: str, **facts: Any) -> Facts:
    """The node comes back after a while."""
    time.sleep(draw.uniform(0, 6))
    target.nodes.add(node)
    return {"node": node, **facts}


def _driver(target: Target, draw: random.Random, name: str) -> Facts | None:
    target.end_driver()
    return {}


def _moment(target: Target, draw: random.Random, name: str) -> Facts | None:
    """Its driver dies at a named moment, if that comes soon."""
    moment = draw.choice(MOMENTS)
    target.arm.write_text(moment)
    deadline = time.monotonic() + 60
    while target.status is None and time.monotonic() < deadline:
        time.sleep(0.1)
    missed = target.arm.exists()
    target.arm.unlink(missing_ok=True)
    return None if missed else {"moment": moment}


def _saving(target: Target, draw: random.Random, name: str) -> Facts | None:
    """The driver, and sometimes the trial, die while a checkpoint waits for its rename."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and target.status is None:
        for log in target.logs(name):
            if time.time() - log.stat().st_mtime < 0.1:
                last = written.read(log)[-1]
                if last["what"] == "saving":
                    also = draw.random() < 0.5
                    with suppress(ProcessLookupError):
                        os.kill(last["pid"], signal.SIGKILL) if also else None
                    target.end_driver()
                    return {"file": last["text"], "trial_too": also}
        time.sleep(0.02)
    return None


def _mlflow(target: Target, draw: random.Random, name: str) -> Facts | None:
    servers.end(target.mlflow)
    away = draw.uniform(1, 8)
    time.sleep(away)
    target.mlflow = servers.serve(target.folder, target._port)
    return {"away": away}


def _postgres(target: Target, draw: random.Random, name: str) -> Facts | None:
    """A crash of the server, or of its first process alone."""
    crash = draw.random() < 0.5
    if crash:
        pid = int((target.postgres._folder / "data/postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not _served(target.postgres._folder), what="for its processes to end")
    else:
        target.postgres.stop()
    time.sleep(draw.uniform(0, 5))
    wait_until(lambda: _starts(target.postgres), what="for PostgreSQL")
    return {"how": "postmaster killed" if crash else "immediate"}


def _starts(postgres: Postgres) -> bool:
    """Starts it; not yet while the kernel still holds what its last processes shared."""
    with suppress(AssertionError):
        postgres.start()
        return True
    return False


def _served(folder: Path) -> bool:
    """Whether a process of that server lives: the next may not begin beside it."""
    for process in psutil.process_iter(["cmdline", "name"]):
        with suppress(psutil.Error, OSError):
            if process.info["name"] == "postgres" and process.cwd().startswith(str(folder)):
                return True
    return False


def _disk(target: Target, draw: random.Random, name: str) -> Facts | None:
    """No byte is left for some seconds."""
    if not target.has_disk:
        return None
    return fill(target.runs)


def fill(folder: Path) -> Facts:
    """Takes the last byte of a disk for some seconds."""
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    time.sleep(_FULL)
    ballast.unlink()
    return {"full": _FULL}


INJURIES: dict[str, Injury] = {
    "trial": _trial,
    "host": _host,
    "raylet": _raylet,
    "node": _node,
    "frozen": _frozen,
    "notice": _notice,
    "driver": _driver,
    "moment": _moment,
    "saving": _saving,
    "mlflow": _mlflow,
    "postgres": _postgres,
    "broker": _broker,
    "disk": _disk,
}
"""What is hurt, and how."""


def mount(folder: Path, size: int) -> bool:
    """A disk of its own for a folder, where this user may mount one."""
    unmount(folder)
    options = ["-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, check=False)
    return done.returncode == 0


def unmount(folder: Path) -> None:
    """Takes such a disk away, if there is one."""
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


@contextmanager
def target(folder: Path) -> Generator[Target]:
    """A target, closed at the end."""
    opened = Target(folder)
    try:
        yield opened
    finally:
        opened.close()
