"""The inner guardian of a host: keeps its fork server, and ends what attempts leave."""

from __future__ import annotations

import os
import select
import shutil
import signal
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from raysearch.errors import BadSetting
from raysearch.trial import process_tree
from raysearch.trial.bounded_log import BoundedLog
from raysearch.trial.fork_server import serve_forks
from raysearch.trial.private_folder import socket_folder
from raysearch.trial.shared_memory import Made
from raysearch.trial.sockets import Line

_TICK = 0.2
_SHARED_EVERY = 1.0
_FAREWELL = 1.0
"""Seconds in which trackers of shared memory clean up, once all others of an attempt are dead."""
_TRACKERS = (b"multiprocessing.resource_tracker", b"torch_shm_manager", b"loky.backend.resource")
_STARTS = 3
"""How many fork servers may die before a request is given up."""
_IMPORT_LIMIT = 300.0
"""Seconds for the experiment's module to be imported ahead; then each trial does it itself."""


def _folder() -> str:
    """A new temporary folder; empty if there is no room for one."""
    try:
        return str(socket_folder())
    except BadSetting:
        return ""


@dataclass
class _Attempt:
    """What is watched of an attempt: its log, and what it made in /dev/shm; and a folder for the
    sockets of its `multiprocessing`.
    """

    log: BoundedLog
    made: Made = field(default_factory=Made)
    sockets: str = field(default_factory=_folder)

    def remove(self) -> None:
        """Removes what its processes, which are gone, have left."""
        self.made.remove()
        if self.sockets:
            shutil.rmtree(self.sockets, ignore_errors=True)


@dataclass
class _Request:
    """A request for a process that no server has answered yet."""

    attempt: _Attempt
    descriptors: list[int]
    starts: int = 0


@dataclass
class _Server:
    """A fork server: its process and line; `phase` is what it imports, or `ready`."""

    pid: int
    line: Line
    phase: str = "libraries"
    since: float = field(default_factory=time.monotonic)


class Guardian:
    """The inner guardian: it serves the host, and ends what attempts leave."""

    def __init__(self, host: Line, outer: int, pid: int, spec: dict[str, Any]) -> None:
        self._host, self._outer, self._pid, self._spec = host, outer, pid, spec
        self._experiment: str = spec["experiment"]
        self._server: _Server | None = None
        self._requests: list[_Request] = []
        self._attempts: dict[int, _Attempt] = {}
        self._made = Made()
        self._looked = 0.0
        self._deaths = 0

    def run(self) -> NoReturn:
        """Serves until the host, the node or the outer guardian is gone, and ends all."""
        try:
            self._host.send({"said": "guard", "pid": os.getpid()})
            self._start()
            while self._serve():
                self._look()
        except Exception:
            traceback.print_exc()
        try:
            attempts = [*self._attempts.values(), *(one.attempt for one in self._requests)]
            made = [self._made, *(attempt.made for attempt in attempts)]
            self._kill(process_tree.children(os.getpid()), made, died=False)
            self._made.remove()
            for attempt in attempts:
                attempt.remove()
        finally:
            os._exit(0)

    def _serve(self) -> bool:
        server = self._server
        lines = [self._host, self._outer, *([server.line] if server is not None else [])]
        ready, _, _ = select.select(lines, [], [], _TICK)
        if self._outer in ready or not self._node_lives():
            return False
        if server is not None:
            self._mind(server, server.line in ready)
        return self._host not in ready or self._obey()

    def _node_lives(self) -> bool:
        """Whether the host is there and still has the parent that started it: the raylet.

        A host that is stopped cannot see that its node is gone, so it is ended from here.
        """
        stat = process_tree.stat_of(self._pid)
        if stat is None or stat[1] == self._spec["node"]:
            return stat is not None
        process_tree.send(self._pid, signal.SIGKILL)
        return False

    # The host

    def _obey(self) -> bool:
        message, descriptors = self._host.receive()
        if message is None:
            return False
        if message["do"] == "fork":
            log = BoundedLog(Path(message["log"]))
            self._requests.append(_Request(_Attempt(log), descriptors))
            if self._server is None:
                self._deaths = 0
                self._start()
            self._ask(self._requests[-1])
        elif message["do"] == "look":
            attempt = self._attempts.get(message["pid"])
            if attempt is not None:
                attempt.made.look(process_tree.family(message["pid"]))
            self._host.send({"said": "looked"})
        else:
            self._end(message["pid"])
            self._host.send({"said": "ended"})
        return True

    def _end(self, pid: int) -> None:
        """Ends an attempt: nothing of it is left, here or in /dev/shm."""
        attempt = self._attempts.pop(pid, None)
        tops = self._strays()
        lives = pid in process_tree.family(os.getpid())  # if not, another may have its number
        if lives:
            tops.append(pid)
        self._kill(tops, [attempt.made] if attempt is not None else [], died=not lives)
        if attempt is not None:
            attempt.remove()
            attempt.log.look()

    def _strays(self) -> list[int]:
        """What dead processes left: it was handed to this one, the next subreaper up."""
        server = self._server.pid if self._server is not None else None
        return [each for each in process_tree.children(os.getpid()) if each != server]

    def _kill(self, tops: Sequence[int], made: Iterable[Made], *, died: bool) -> None:
        """Kills trees, having seen what they made.

        What a trial made that has died by itself cannot be seen: then its trackers clean up first.
        Otherwise they do not: Python's also remove what was made by others and only used here.
        """
        members = [member for top in tops for member in process_tree.stop_tree(top)]
        for one in made:
            one.look(members)
        trackers = [member for member in members if died and _tracks(member)]
        for member in members:
            process_tree.send(member, signal.SIGCONT if member in trackers else signal.SIGKILL)
        process_tree.gone(
            [member for member in members if member not in trackers], process_tree.DYING
        )
        process_tree.gone(trackers, _FAREWELL)
        process_tree.end_children(self._server.pid if self._server is not None else None)

    def _look(self) -> None:
        """What is watched while attempts live."""
        for attempt in self._attempts.values():
            attempt.log.look()
        if time.monotonic() - self._looked > _SHARED_EVERY:
            self._looked = time.monotonic()
            for pid, attempt in self._attempts.items():
                attempt.made.look(process_tree.family(pid))

    # The fork server

    def _start(self) -> None:
        ours, theirs = Line.pair()
        guardian, pid = os.getpid(), os.fork()
        if pid == 0:
            ours.close()
            self._host.close()
            for descriptor in [
                self._outer,
                *(fd for one in self._requests for fd in one.descriptors),
            ]:
                os.close(descriptor)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                serve_forks(theirs, guardian, self._spec["libraries"], self._experiment)
            except Exception:  # no process can be forked; whoever waits is asked for anew
                traceback.print_exc()
            finally:
                os._exit(1)
        theirs.close()
        self._server = _Server(pid, ours)

    def _ask(self, request: _Request) -> None:
        if self._server is not None:
            request.starts += 1
            sockets = request.attempt.sockets
            self._server.line.send({"do": "fork", "sockets": sockets}, request.descriptors)

    def _mind(self, server: _Server, heard: bool) -> None:
        """Hears what the fork server says, and sees whether it lives."""
        dead = server.pid in process_tree.reap()
        late = server.phase != "ready" and time.monotonic() - server.since > _IMPORT_LIMIT
        if late:
            process_tree.send(server.pid, signal.SIGKILL)
        elif (stat := process_tree.stat_of(server.pid)) is not None and stat[0] == "T":
            process_tree.send(
                server.pid, signal.SIGCONT
            )  # a host that waits for it sees nothing else
        while heard or dead:
            message, _ = server.line.receive(0 if dead else None)
            if message is None:
                self._lost(server)
                return
            self._take(server, message)
            if not dead:
                return

    def _take(self, server: _Server, message: dict[str, Any]) -> None:
        if message["said"] == "forked":
            request = self._requests.pop(0)
            self._attempts[message["pid"]] = request.attempt
            request.attempt.made.look([message["pid"]])
            _close(request)
            return
        server.phase, server.since = message["said"], time.monotonic()
        if server.phase == "ready":
            self._deaths = 0
            self._made.look([server.pid])
            self._host.send({"said": "ready"})

    def _lost(self, server: _Server) -> None:
        """The fork server is gone, and with it all trials; who still waits gets another.

        One that died while it imported the experiment's module did so by what that does, so the
        next one leaves that to the trials.
        """
        process_tree.send(server.pid, signal.SIGKILL)
        server.line.close()
        self._server = None
        if server.phase == "experiment":
            self._experiment = ""
        made = [attempt.made for attempt in self._attempts.values()]
        self._kill(self._strays(), made, died=True)
        for request in [one for one in self._requests if one.starts >= _STARTS]:
            self._requests.remove(request)
            request.attempt.remove()
            _close(request)
        self._deaths += server.phase != "ready"
        if self._deaths >= _STARTS:
            self._host.send({"said": "failed"})
        elif self._requests or self._deaths:
            self._start()
        for request in self._requests:
            self._ask(request)


def _close(request: _Request) -> None:
    for descriptor in request.descriptors:
        os.close(descriptor)


def _tracks(pid: int) -> bool:
    """Whether a process only waits for the others to end, to remove what they shared."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(tracker in line for tracker in _TRACKERS)
