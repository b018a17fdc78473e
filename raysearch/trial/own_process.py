"""A trial's own process: its line to the host, its random state, its end."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import random
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from raysearch.trial.job import Message
from raysearch.trial.messages import send

_HANDLERS_LIMIT = 10.0
"""Seconds for the experiment's exit handlers: some hang on threads that do not end."""
_FAREWELL = 60.0
"""Seconds after which a process that has said its last word ends, whether it was heard or not."""


class SessionLine(Connection):
    """The line of a session. Only the trial's own process speaks and listens on it: what the trial
    forks inherits it, and would speak in its name.
    """

    def __init__(self, connection: Connection[Any, Any]) -> None:
        super().__init__(os.dup(connection.fileno()))
        connection.close()
        self._owner = os.getpid()

    @property
    def ours(self) -> bool:
        """Whether this is the trial's own process."""
        return os.getpid() == self._owner

    def send(self, obj: Any) -> None:
        """Sends a message.

        Raises:
            RuntimeError: in a process that the trial forked.
        """
        self._refuse_forks()
        super().send(obj)

    def send_bytes(self, buf: Any, offset: int = 0, size: int | None = None) -> None:
        """Sends bytes.

        Raises:
            RuntimeError: in a process that the trial forked.
        """
        self._refuse_forks()
        super().send_bytes(buf, offset, size)

    def recv(self) -> Any:
        """Receives a message.

        Raises:
            RuntimeError: in a process that the trial forked.
        """
        self._refuse_forks()
        return super().recv()

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is a message: never for a process that the trial forked."""
        return self.ours and super().poll(timeout)

    def _refuse_forks(self) -> None:
        if not self.ours:
            raise RuntimeError(
                f"a session belongs to the trial's own process, {self._owner}; "
                f"process {os.getpid()}, which that one forked, cannot use it"
            )


def seed_globally(config: Mapping[str, Any], rank: int = 0) -> None:
    """Seeds what an experiment may draw from without seeding it: Python's, NumPy's and torch's
    global generators, as a function of the configuration (its seed included) and the rank.

    The fork server's own state would be the same in all trials of a host, and new in each search.
    """
    text = json.dumps([config, rank], sort_keys=True, default=str)
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def finish(line: SessionLine, end: Message) -> NoReturn:
    """Runs the exit handlers of the experiment, says how it ended, and waits to be let go.

    It waits so that what it shares with other processes can still be seen and removed with it.
    """
    once = threading.Lock()

    def say() -> None:
        if not once.acquire(blocking=False):
            time.sleep(_FAREWELL)  # the other thread has said it, and ends this process
        flush()
        deadline = time.monotonic() + _FAREWELL
        with suppress(OSError, EOFError):
            send(line, end)
            while line.poll(deadline - time.monotonic()):
                line.recv()
        os._exit(0 if end["outcome"] in ("complete", "paused") else 1)

    if not line.ours:
        leave(0 if end["outcome"] == "complete" else 1)
    late: threading.Timer | None = None
    with suppress(RuntimeError):  # no more threads: then it takes as long as it takes
        late = threading.Timer(_HANDLERS_LIMIT, say)
        late.daemon = True
        late.start()
    with suppress(BaseException):  # in the order of an interpreter's end: pools first
        for handler in reversed(vars(threading)["_threading_atexits"]):
            handler()
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    if late is not None:
        late.cancel()
    say()
    os._exit(1)


def leave(status: int) -> NoReturn:
    """Ends the process now: no exit handlers, which could hang on threads of the experiment."""
    flush()
    os._exit(status)


def note(text: str) -> None:
    """A line in the log of the trial, whatever the experiment has done to `sys.stdout`."""
    with suppress(Exception):
        print(text, flush=True)


def flush() -> None:
    """Writes out what was printed. The experiment may have closed the streams, or put its own."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
