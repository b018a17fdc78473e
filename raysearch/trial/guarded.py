"""The guardians of this process and the fork server below them, seen from their host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from raysearch.trial import process_tree
from raysearch.trial.sockets import Line

_HELLO = 120.0
_READY = 1800.0
_LOOK_LIMIT = 10.0
_END_LIMIT = 60.0
"""Seconds for all that an attempt left to be gone; what takes longer ends by the guardians' end."""
_PROGRAM = "from raysearch.trial.guard import main; main()"


class Guarded:
    """Both guardians and their fork server: started together, and ended with this process.

    Args:
        libraries: modules that the fork server imports ahead, and that no trial needs to.
        experiment: `module:attribute`; the module is imported ahead too, if that can be done.
        environment: of all below.

    Raises:
        RuntimeError: they could not be started.
    """

    def __init__(
        self, libraries: Sequence[str], experiment: str, environment: Mapping[str, str]
    ) -> None:
        process_tree.adopt_orphans()  # should both guardians be killed at once
        self._others = set(process_tree.children(os.getpid()))
        self._watch, watch = Line.pair()
        self._guard, guard = Line.pair()
        spec = {
            "watch": watch.fileno(),
            "guard": guard.fileno(),
            "node": os.getppid(),
            "libraries": [*libraries],
            "experiment": experiment,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(spec)],
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[watch.fileno(), guard.fileno()],
            start_new_session=True,
        )
        watch.close()
        guard.close()
        self._inner: int = self._said(("guard",), _HELLO).get("pid", 0)
        if not self._inner:
            self.close()
            raise RuntimeError("the guardians of this host ended, or hung, while they started")

    @property
    def pids(self) -> tuple[int, int]:
        """The processes of the outer and the inner guardian."""
        return self._process.pid, self._inner

    def wait_until_ready(self) -> None:
        """Waits until the fork server has imported everything, or cannot be kept alive."""
        self._said(("ready", "failed"), _READY)

    def fork(self, log: Path, session: int, told: int) -> bool:
        """Asks for a process with these descriptors; False if the guardians are gone."""
        return self._guard.send({"do": "fork", "log": str(log)}, [session, told])

    def look(self, pid: int) -> None:
        """Lets the guardian see what an attempt shares now: it may let go of it before its end."""
        if self._guard.send({"do": "look", "pid": pid}):
            self._said(("looked",), _LOOK_LIMIT)

    def end(self, pid: int) -> None:
        """Ends an attempt: when this returns nothing of it is left."""
        asked = self._guard.send({"do": "end", "pid": pid})
        if not asked or not self._said(("ended",), _END_LIMIT):
            self.close()

    def lives(self) -> bool:
        """Whether both guardians are there."""
        return all(map(process_tree.alive, self.pids))

    def close(self) -> None:
        """Ends the guardians, whatever is left of them, and all below."""
        self._guard.close()
        self._watch.close()
        if not process_tree.gone(self.pids, _END_LIMIT):
            process_tree.send(self._inner, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_LIMIT)
        self._end_adopted()

    def _said(self, words: Sequence[str], limit: float) -> dict[str, Any]:
        """The next message of the inner guardian that says one of these; empty if it is gone or
        late.
        """
        deadline = time.monotonic() + limit
        while True:
            try:
                message, _ = self._guard.receive(max(deadline - time.monotonic(), 0.001))
            except TimeoutError:
                return {}
            if message is None or message["said"] in words:
                return message or {}

    def _end_adopted(self) -> None:
        """Ends what came to this process because both guardians were killed at once.

        A trial has a session of its own, and so has all below it: nothing joins that of another.
        """
        deadline = time.monotonic() + _END_LIMIT
        while time.monotonic() < deadline:
            for pid in self._adopted(process_tree.dead_children(os.getpid())):
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            strays = self._adopted(process_tree.children(os.getpid()))
            for pid in strays:
                process_tree.kill_tree(pid)
            if not strays:
                return
            process_tree.gone(strays, 1.0)

    def _adopted(self, pids: Iterable[int]) -> list[int]:
        found = ((pid, process_tree.stat_of(pid)) for pid in pids if pid not in self._others)
        return [pid for pid, stat in found if stat is not None and stat[2] != os.getsid(0)]
