"""One forked process a trial: started from a server with torch preloaded, watched, and ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
from collections.abc import Generator, Sequence
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from raysearch.run.job import Job, Message
from raysearch.run.private import short_sockets
from raysearch.run.process import PRELOADED, serve

LABEL = "RAYSEARCH_HOST"
"""The environment variable that marks a fork server and all below it: the label of its search and
the process id of its host, `label@pid`."""

_PR_SET_CHILD_SUBREAPER = 36
_MEMORY_EVERY = 1.0
UNWATCHED = 10.0
"""Seconds between two looks at a child after which it was not silent but nobody listened: a look
takes a second, and the next one follows at once unless the driver is busy or stopped."""
_context = multiprocessing.get_context("forkserver")


class Child:
    """The process of one attempt, seen from its host."""

    def __init__(self, job: Job) -> None:
        self.job = job
        Path(job.folder).mkdir(parents=True, exist_ok=True)
        self._connection, theirs = multiprocessing.Pipe()
        self._kernel_kills = kernel_kills()
        with _no_main_module():
            # Not daemonic: a daemonic process may not start the workers of a DataLoader.
            self._process = _context.Process(
                target=serve, args=(job.to_json(), theirs), daemon=False
            )
            self._process.start()
        theirs.close()
        self.pid = self._process.pid or 0
        self._last_message = self._last_memory = self._looked = time.monotonic()
        self._ended = False

    def next(self, timeout: float) -> Message | None:
        """The next message, or None after `timeout` seconds without one.

        The last message of every child is of kind `end`: sent by the child itself, or made here
        when it died, hung or outgrew its memory. After it the process and all below it are gone.
        """
        deadline = time.monotonic() + timeout
        while True:
            wait = min(deadline - time.monotonic(), _MEMORY_EVERY)
            ready = multiprocessing.connection.wait(
                [self._connection, self._process.sentinel], max(wait, 0.0)
            )
            message = self._received(ready) or self._broken()
            if message is not None:
                self._last_message = time.monotonic()
                if message["kind"] == "end":
                    self.kill()
                return message
            if time.monotonic() >= deadline:
                return None

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
        kill_tree(self.pid)
        self._process.join(5)
        self._connection.close()
        self._process.close()
        kill_strays()

    def _received(self, ready: Sequence[Any]) -> Message | None:
        if not ready:
            return None
        try:
            if self._connection in ready or self._connection.poll(0):
                return self._connection.recv()
        except (EOFError, OSError):
            # The pipe closes a moment before the process is reaped: its exit code says the rest.
            self._process.join(5)
        if self._process.exitcode is None:
            return None
        return self._death(self._process.exitcode)

    def _death(self, code: int) -> Message:
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
        used = sum(private_memory(pid) for pid in family(self.pid))
        if used <= self.job.memory:
            return None
        message = f"used {used >> 20} MiB of its {self.job.memory >> 20} MiB"
        return {"kind": "end", "outcome": "memory", "message": message}


def start_server(label: str, threads: int, experiment: str, paths: Sequence[str]) -> None:
    """Starts the fork server of this host with everything preloaded.

    It takes seconds, once a host. The server inherits this environment: thread counts, the search
    path of modules (Python 3.11's fork server ignores `sys.path`), and the label by which what it
    leaves behind is found.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ[LABEL] = f"{label}@{os.getpid()}"
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [*paths, *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    short_sockets()
    _context.set_forkserver_preload([*PRELOADED, experiment.partition(":")[0]])
    with _no_main_module():
        process = _context.Process(target=_nothing)
        process.start()
        process.join()


def _nothing() -> None:
    """The first child: it waits until the server has imported everything."""


@contextlib.contextmanager
def _no_main_module() -> Generator[None]:
    """Hides the main module, which a child would import: in a Ray worker it is Ray's own."""
    main = sys.modules["__main__"]
    saved = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    main.__dict__.pop("__file__", None)
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(saved)


def family(pid: int) -> list[int]:
    """A process and all below it; empty when it is gone."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


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


def kill_tree(pid: int) -> None:
    """Kills a process and all below it: first stopped, so that none can start another meanwhile."""
    stopped: set[int] = set()
    for _ in range(20):
        new = [member for member in family(pid) if member not in stopped]
        if not new:
            break
        for member in new:
            _signal(member, signal.SIGSTOP)
            stopped.add(member)
    for member in stopped:
        _signal(member, signal.SIGKILL)


def kill_strays() -> None:
    """Kills what a dead child left behind: it was handed to this process, the next subreaper up."""
    ours = {_private(forkserver, "_forkserver", "_forkserver_pid")}
    ours.add(_private(resource_tracker, "_resource_tracker", "_pid"))
    for child in psutil.Process().children():
        if child.pid not in ours and _label(child.pid).endswith(f"@{os.getpid()}"):
            kill_tree(child.pid)
            with contextlib.suppress(ChildProcessError, psutil.Error):
                child.wait(1)


def kill_orphans(label: str, *, living: bool = False) -> int:
    """Kills what the lost hosts of a search left on this machine; returns how many processes.

    `label` is that of its jobs: searches of one name in two folders have two.

    With `living`, the processes of hosts that still live are killed too: the end of a search.
    """
    count = 0
    for process in psutil.process_iter():
        marked = _label(process.pid)
        if not marked.startswith(f"{label}@"):
            continue
        host = int(marked.rpartition("@")[2])
        if process.pid == os.getpid() or (psutil.pid_exists(host) and not living):
            continue
        count += _signal(process.pid, signal.SIGKILL)
    return count


def _private(module: ModuleType, instance: str, attribute: str) -> int | None:
    """A process id that `multiprocessing` keeps to itself."""
    return vars(vars(module)[instance]).get(attribute)


def _label(pid: int) -> str:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except (OSError, ProcessLookupError):
        return ""
    for entry in environment.split(b"\0"):
        if entry.startswith(LABEL.encode() + b"="):
            return entry.partition(b"=")[2].decode()
    return ""


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
