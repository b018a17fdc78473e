"""One forked process a trial: started from a server with torch preloaded, watched, and ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raysearch.trial import process_tree
from raysearch.trial.guard import INNER, OUTER
from raysearch.trial.guarded import Guarded
from raysearch.trial.job import ALIVE, Job, Message
from raysearch.trial.messages import InvalidMessage, receive
from raysearch.trial.session import preloaded
from raysearch.trial.shared_memory import FOLDER

LABEL = "RAYSEARCH_HOST"
"""The environment variable that marks guardians, fork server and all below them: the label of the
search and the process id of the host, `label@pid`."""

_MEMORY_EVERY = 1.0
UNWATCHED = 10.0
"""Seconds between two looks at a child after which it was not silent but nobody listened: a look
takes a second, and the next one follows at once unless the driver is busy or stopped."""
_CLOSING = 5.0
"""Seconds from the end of a process's line to the word of its fork server that it is gone."""
_LINGER = 30.0
_server: Server | None = None


class Child:
    """The process of one attempt, seen from its host."""

    def __init__(self, job: Job) -> None:
        self.job = job
        Path(job.folder).mkdir(parents=True, exist_ok=True)
        self._kernel_kills = kernel_kills()
        self._guarded = _living_server().guarded
        self._connection, theirs = multiprocessing.Pipe()
        reading, told = os.pipe()
        self._told = _Told(reading)
        self._guarded.fork(job.log, theirs.fileno(), told)
        theirs.close()
        os.close(told)
        self.pid = self._told.number(0, None) or 0
        with contextlib.suppress(OSError):  # if it is gone already, that is told
            self._connection.send(job.to_json())
        self._last_message = self._last_memory = self._looked = time.monotonic()
        self._shared = 0
        self._ended = False

    @property
    def nodes(self) -> list[str]:
        """The host name of its machine."""
        return [socket.gethostname()]

    def next(self, timeout: float) -> Message | None:
        """The next message, or None after `timeout` seconds without one.

        The last message of every child is of kind `end`: sent by the child itself, or made here
        when it died, hung or outgrew its memory. After it the process and all below it are gone.
        """
        deadline = time.monotonic() + timeout
        while True:
            wait = min(deadline - time.monotonic(), _MEMORY_EVERY)
            lines = [self._connection, self._told.descriptor]
            ready = multiprocessing.connection.wait(lines, max(wait, 0.0))
            message = self._received(ready)
            if message is not None and message["kind"] == ALIVE:
                self._last_message, message = time.monotonic(), None
            message = message or self._broken()
            if message is not None:
                self._last_message = time.monotonic()
                if message["kind"] == "end":
                    self.kill()
                elif message["kind"] == "report":  # it waits for the answer, so nothing changes
                    self._see_shared()
                return message
            if time.monotonic() >= deadline:
                return None

    def _see_shared(self) -> None:
        """Has it seen what the attempt shares, if anything new is there."""
        changed = FOLDER.stat().st_mtime_ns if FOLDER.exists() else 0
        if changed != self._shared:
            self._shared = changed
            self._guarded.look(self.pid)

    def answer(self, *, stop: bool) -> None:
        """Answers the report that the child waits for. A child that is gone is no error here."""
        with contextlib.suppress(OSError):
            self._connection.send({"stop": stop})
        self._last_message = time.monotonic()

    def kill(self) -> None:
        """Ends the process and all that it started, at once. Calling it again does nothing."""
        if self._ended:
            return
        self._ended = True
        if self.job.grace:
            self._ask()
        self._guarded.end(self.pid)
        self._connection.close()
        self._told.close()

    def _ask(self) -> None:
        """Asks what the process started to end by itself: a container is not ended otherwise."""
        below = [pid for pid in process_tree.family(self.pid) if pid != self.pid]
        for pid in below:
            process_tree.send(pid, signal.SIGTERM)
        process_tree.gone(below, self.job.grace)

    def _received(self, ready: Sequence[Any]) -> Message | None:
        if not ready:
            return None
        try:
            if self._connection in ready or self._connection.poll(0):
                return receive(self._connection)
        except InvalidMessage as error:
            return {"kind": "end", "outcome": "exception", "message": str(error)}
        except (EOFError, OSError):
            pass
        # The line closes a moment before the process is reaped: its exit code says the rest.
        code = self._told.number(1, _CLOSING)
        return self._death(code) if code is not None or self._told.closed else self._deserted()

    def _deserted(self) -> Message:
        message = "the process closed the line to its host"
        return {"kind": "end", "outcome": "exit", "message": message}

    def _death(self, code: int | None) -> Message:
        if code is None:
            lost = "fork server was" if self._guarded.lives() else "guardians were"
            message = f"its {lost} ended, and with that its process"
            return {"kind": "end", "outcome": "killed", "message": message}
        if code >= 0:
            message = f"the process ended with exit code {code} without saying how"
            return {"kind": "end", "outcome": "exit", "message": message}
        number = -code
        name = signal.Signals(number).name
        if number == signal.SIGKILL and kernel_kills() > self._kernel_kills:
            message = "killed by the kernel for memory"
            return {"kind": "end", "outcome": "memory", "message": message}
        outcome = "killed" if number == signal.SIGKILL else "signal"
        return {"kind": "end", "outcome": outcome, "message": f"ended by {name}"}

    def _broken(self) -> Message | None:
        """Too much memory, or too long without a word."""
        now = time.monotonic()
        if now - self._looked > UNWATCHED:
            self._last_message += now - self._looked  # nobody looked: all of this was suspended
        self._looked = now
        if now - self._last_message > self.job.patience:
            message = f"no report for {self.job.patience:g} s"
            return {"kind": "end", "outcome": "hang", "message": message}
        if not self.job.memory or now - self._last_memory < _MEMORY_EVERY:
            return None
        self._last_memory = now
        used = sum(private_memory(pid) for pid in process_tree.family(self.pid))
        if used <= self.job.memory:
            return None
        message = f"used {used >> 20} MiB of its {self.job.memory >> 20} MiB"
        return {"kind": "end", "outcome": "memory", "message": message}


class _Told:
    """The pipe on which a fork server says a process id and then an exit code, a line each.

    It closes without the second if the server is killed, and so its processes.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.closed = False
        self._text = b""

    def number(self, index: int, limit: float | None) -> int | None:
        """The number at this place, awaited for `limit` seconds (None: for ever) at most."""
        deadline = None if limit is None else time.monotonic() + limit
        while len(lines := self._text.split(b"\n")) < index + 2 and not self.closed:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not multiprocessing.connection.wait([self.descriptor], left):
                return None
            new = os.read(self.descriptor, 64)
            self._text, self.closed = self._text + new, not new
        return int(lines[index]) if len(lines) >= index + 2 else None

    def close(self) -> None:
        """Listens no more."""
        os.close(self.descriptor)


class Server:
    """The fork server of this process: what it imports, and its guardians."""

    def __init__(self, label: str, threads: int, experiment: str, paths: Sequence[str]) -> None:
        root = str(Path(__file__).parents[2])  # the last place to look for this package
        known = [*paths, *filter(None, [os.environ.get("PYTHONPATH")]), root]
        self._environment = {
            **os.environ,
            LABEL: f"{label}@{os.getpid()}",
            "PYTHONPATH": os.pathsep.join(known),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
        }
        if len(paths) > 1:  # kept code goes before the working folder
            self._environment["PYTHONSAFEPATH"] = "1"
        self._experiment = experiment
        self.start()

    def start(self) -> None:
        """Starts all of it; it takes seconds."""
        self.guarded = Guarded(preloaded(self._experiment), self._experiment, self._environment)
        self.guarded.wait_until_ready()


def start_server(label: str, threads: int, experiment: str, paths: Sequence[str]) -> None:
    """Starts the fork server of this host with everything imported, and the guardians above it.

    It takes seconds, once a host. All below it get thread counts, the search path of modules, and
    the label by which what is left behind is found when guardians and host were all killed.
    """
    global _server
    stop_server()
    _server = Server(label, threads, experiment, paths)


def stop_server() -> None:
    """Ends the fork server of this host, and all that is left below."""
    global _server
    if _server is not None:
        _server.guarded.close()
    _server = None


def _living_server() -> Server:
    assert _server is not None, "start_server comes first"
    if not _server.guarded.lives():
        _server.guarded.close()
        _server.start()
    return _server


def private_memory(pid: int) -> int:
    """Bytes of anonymous and shared memory of a process, pages shared with others in proportion.

    Not RSS: that counts memory-mapped data sets, and all that a fork shares with its server.
    """
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            for line in lines:
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return total


def kernel_kills() -> int:
    """How many processes this machine's kernel has killed for memory since it started."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def kill_orphans(label: str, *, living: bool = False) -> int:
    """Ends what the lost hosts of a search left on this machine; returns how many processes.

    `label` is that of its jobs: searches of one name in two folders have two. Guardians end all
    below them by themselves, and are waited for; the label finds what is left if they were killed.

    With `living`, the processes of hosts that still live are ended too: the end of a search.
    """
    count = 0
    marked = _marked(label, living)
    for pid in marked if living else ():
        if process_tree.name_of(pid) == OUTER:  # then the inner one ends all
            count += process_tree.send(pid, signal.SIGKILL)
    process_tree.gone(
        [pid for pid in marked if process_tree.name_of(pid) in (OUTER, INNER)], _LINGER
    )
    for pid in _marked(label, living):
        count += process_tree.send(pid, signal.SIGKILL)
    return count


def _marked(label: str, living: bool) -> list[int]:
    """The processes with the label; those of hosts that live only if that is wanted."""
    found: list[int] = []
    for pid in process_tree.processes():
        search, _, host = _label(pid).rpartition("@")
        if search == label and pid != os.getpid() and process_tree.alive(pid):
            if living or not process_tree.alive(int(host)):
                found.append(pid)
    return found


def _label(pid: int) -> str:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return ""
    for entry in environment.split(b"\0"):
        if entry.startswith(LABEL.encode() + b"="):
            return entry.partition(b"=")[2].decode(errors="replace")
    return ""
