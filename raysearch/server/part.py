"""One part of the service: a process that is started, asked how it is, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.errors import Unreachable
from raysearch.server.logs import last_line, rotate

MARK = "RAYSEARCH_PART"
"""In the environment of all processes of a part: the folder of state and the part's name."""
PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a part is started again; the last one again and again."""
_STEADY = 60.0
"""Seconds up after which earlier failures are forgotten."""
_LOOK_EVERY = 0.1
"""Seconds until it is seen that a process has ended."""
ASK_EVERY = 2.0
"""Seconds until it is seen that a process no longer answers."""
PATIENCE, START_PATIENCE = 60.0, 300.0
"""Seconds without an answer after which a part is ended and started again; the first start of
MLflow makes some hundred tables."""
_LIFELINE = """
import ctypes, os, sys
parent, farewell, user, *command = sys.argv[1:]
if user:
    import pwd
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid); os.setgid(entry.pw_gid); os.setuid(entry.pw_uid)
ctypes.CDLL(None).prctl(1, int(farewell), 0, 0, 0)
if os.getppid() != int(parent):
    sys.exit("the service is gone")
os.execv(command[0], command)
"""
"""Becomes the command, which gets a signal when the service dies, however it dies.

It changes the user first: that would take the signal off again.
"""


@dataclass(frozen=True)
class Program:
    """What to run: `farewell` is the signal that ends it in order, within `grace` seconds."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    farewell: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    user: str = ""
    descriptors: Sequence[int] = ()


class Part:
    """A supervised process.

    `answers` returns nothing if all is well, and otherwise says in words what is not; what it
    raises counts as said. `clear` ends what an earlier process has left, before each start.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        answers: Callable[[], str],
        state: Path,
        clear: Callable[[], None] | None = None,
    ) -> None:
        self.name, self._program, self._answers, self._clear = name, program, answers, clear
        self._mark, self.log = mark_of(state, name), state / "logs" / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._state, self._reason, self._since = "starting", "", time.time()
        self.restarts, self._failures, self._up_since = 0, 0, 0.0
        self._ending, self._changed = threading.Event(), threading.Condition()
        # A process is told of the death of the thread that started it: this one lives to its end.
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self.listeners: list[Callable[[], None]] = []

    def start(self, limit: float) -> None:
        """Starts it and waits until it answers.

        Raises:
            ConnectionError: it ended three times, or does not answer within `limit` seconds.
        """
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._state == "up" or self._failures > 2, limit)
        if self._state != "up":
            reason = self._reason or f"it does not answer within {limit:g} s"
            raise Unreachable(f"{self.name} does not come up: {reason} (its log is {self.log})")

    def stop(self) -> None:
        """Ends it in order, and for good."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def status(self) -> dict[str, Any]:
        """State (`starting`, `up`, `down`), since when, process, restarts, and what was wrong."""
        process = self._process
        return {
            "state": self._state,
            "since": round(self._since, 3),
            "pid": process.pid if process and process.poll() is None else None,
            "restarts": self.restarts,
            "reason": self._reason,
        }

    def _keep(self) -> None:
        while not self._ending.wait(self._pause()):
            try:
                reason = self._live()
            except Exception as error:  # it could not even be started
                reason = f"{type(error).__name__}: {error}"
            if self._ending.is_set():
                break
            self._failures, self.restarts = self._failures + 1, self.restarts + 1
            self._become("down", reason)
        self._become("down", "ended with the service")

    def _pause(self) -> float:
        return PAUSES[min(self._failures, len(PAUSES) - 1)]

    def _live(self) -> str:
        """One life of the process, to its end; returns how it ended."""
        if self._clear is not None:
            self._clear()
        end_marked(self._mark)
        process = self._process = self._launch()
        try:
            return self._watch(process)
        finally:
            self._end(process)

    def _launch(self) -> subprocess.Popen[bytes]:
        program = self._program
        lifeline = [sys.executable, "-I", "-S", "-c", _LIFELINE]
        lifeline += [str(os.getpid()), str(int(program.farewell)), program.user]
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                [*lifeline, *program.command],
                env={**os.environ, **program.environment, MARK: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/" if program.user else None,
                pass_fds=program.descriptors,
                start_new_session=True,
            )
        finally:
            os.close(log)

    def _watch(self, process: subprocess.Popen[bytes]) -> str:
        answered = asked = time.monotonic()
        was_up = False
        while not self._ending.wait(_LOOK_EVERY):
            if process.poll() is not None:
                return _ended(process.returncode, self.log)
            if time.monotonic() < asked + ASK_EVERY * was_up:
                continue
            reason, asked = self._ask(), time.monotonic()
            rotate(self.log)
            if not reason:
                answered, was_up = asked, True
                self._become("up", self._reason)
                if asked > self._up_since + _STEADY:
                    self._failures = 0
            elif was_up:
                self._become("down", reason)
            patience = PATIENCE if was_up else START_PATIENCE
            if asked > answered + patience:
                return f"it has not answered for {patience:g} s: {reason}"
        return ""

    def _ask(self) -> str:
        try:
            return self._answers()
        except Exception as error:
            return (str(error).splitlines() or [type(error).__name__])[0]

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ends the process in order, then whatever is left of it."""
        if process.poll() is None:
            process.send_signal(self._program.farewell)
            try:
                process.wait(self._program.grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        end_marked(self._mark)

    def _become(self, state: str, reason: str) -> None:
        with self._changed:
            is_news = (state, reason) != (self._state, self._reason)
            if state != self._state:
                self._since = time.time()
                self._up_since = time.monotonic()
            self._state, self._reason = state, reason
            self._changed.notify_all()
        if is_news:
            for listener in self.listeners:
                listener()


def mark_of(state: Path, name: str = "") -> str:
    """What marks the processes of a part, or begins the marks of all."""
    return f"{state.resolve()}|{name}"


def end_marked(mark: str) -> int:
    """Kills all processes whose mark begins so, but this one; returns how many there were.

    Those that the supervisor started have children of their own, which outlive them if they are
    killed; this finds them, also after the service itself was killed.
    """
    beginning = f"{MARK}={mark}".encode()
    found = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _has(entry, beginning)
    ]
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(found)


def _has(process: Path, beginning: bytes) -> bool:
    try:
        variables = (process / "environ").read_bytes()
    except OSError:  # it is another user's, or gone
        return False
    return any(one.startswith(beginning) for one in variables.split(b"\0"))


def _ended(status: int, log: Path) -> str:
    if status < 0:  # the log's last words are about something else
        return f"it was ended by signal {signal.Signals(-status).name}"
    reason = last_line(log)
    return f"it ended with exit status {status}" + (f": {reason}" if reason else "")
