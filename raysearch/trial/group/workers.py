"""Trials of several workers: a Ray Train group under the same host, with the verbs of a `Child`."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import secrets
import shutil
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from raysearch.trial.bounded_log import BoundedLog
from raysearch.trial.child import UNWATCHED, kernel_kills, private_memory
from raysearch.trial.group.launcher import (
    START_LIMIT,
    end_launcher,
    give_back,
    give_back_orphans,
    launcher,
    mark_of,
    set_mark,
    storage_of,
)
from raysearch.trial.group.listener import WorkerListener
from raysearch.trial.group.rank import fatal_of
from raysearch.trial.job import ALIVE, Job, Message
from raysearch.trial.messages import InvalidMessage, receive
from raysearch.trial.process_tree import family, kill_tree
from raysearch.trial.shared_memory import Made

GRACE = 10.0
"""Seconds in which Ray Train takes down a group whose workers are gone, before it is ended too."""
SETTLE = 1.0
"""Seconds in which the failure of one worker reaches the others: the first of them is the cause."""

_DYING = 2.0
_UNDER_WAY = 2.0
_TICK = 0.2
_MEMORY_EVERY = 1.0


@dataclass
class _Rank:
    """A worker that has arrived: its process and actor, and the lifeline that it ends with."""

    pid: int
    node: str
    machine: str
    actor: Any
    lifeline: Connection[Any, Any]
    through: bool = False


class Group:
    """The workers of one attempt, seen from their host.

    The host listens; each worker connects to it by a lifeline, and ends when that is closed: by the
    host, or by the end of the host. Rank 0 has a second connection, over which its session speaks
    as that of a single process does. So a host needs no process of its own for either, and knows at
    once when a worker is gone.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        Path(job.folder).mkdir(parents=True, exist_ok=True)
        self._node = ray.get_runtime_context().get_node_id()
        self._listener = WorkerListener(ray.util.get_node_ip_address())
        self._ranks: dict[int, _Rank] = {}
        self._session: Connection[Any, Any] | None = None
        self._ends: list[Message] = []
        self._log, self._made = BoundedLog(job.log), Made()
        self._kernel_kills = kernel_kills()
        self._began = self._last_message = self._last_memory = time.monotonic()
        self._looked = self._began
        self._ended = self._spoken = False
        give_back_orphans(Path(job.root))
        set_mark(job, secrets.randbelow(1 << 20) + 1)
        invitation = self._listener.invitation()
        self._fitted = launcher(self._node).fit.remote(job.to_json(), invitation)

    @property
    def pids(self) -> list[int]:
        """The processes of the workers that have arrived."""
        return [rank.pid for rank in self._ranks.values()]

    @property
    def nodes(self) -> list[str]:
        """The host names of its machines by rank; none before all workers have arrived."""
        if len(self._ranks) < self.job.workers:
            return []
        return list(dict.fromkeys(self._ranks[rank].machine for rank in sorted(self._ranks)))

    def next(self, timeout: float) -> Message | None:
        """The next message, or None after `timeout` seconds without one.

        The last message of every group is of kind `end`: sent by rank 0, or made here from what
        became of its workers. After it all of them are gone.
        """
        deadline = time.monotonic() + timeout
        while True:
            message = self._heard(max(min(deadline - time.monotonic(), _TICK), 0.0))
            self._spoken |= message is not None
            if message is not None and message["kind"] == ALIVE:
                self._last_message, message = time.monotonic(), None
            message = message or self._broken()
            if message is not None:
                self._last_message = time.monotonic()
                if message["kind"] == "end":
                    self.kill()
                return message
            if time.monotonic() >= deadline:
                return None

    def answer(self, *, stop: bool) -> None:
        """Answers the report that rank 0 waits for. A group that is gone is no error here."""
        if self._session is not None:
            with contextlib.suppress(OSError):
                self._session.send({"stop": stop})
        self._last_message = time.monotonic()

    def kill(self) -> None:
        """Ends all workers and all that they started, at once, and gives back what they held."""
        if self._ended:
            return
        self._ended = True
        self._listener.close()
        self._end_ranks()
        self._take_down()
        self._made.remove()
        self._log.look()
        shutil.rmtree(storage_of(self.job), ignore_errors=True)
        for index in self._ranks:
            fatal_of(self.job, index).unlink(missing_ok=True)

    def _end_ranks(self) -> None:
        """Ends the workers through Ray, which otherwise complains; those of this node, and all that
        they started, are then ended again: not all that is dead for Ray is gone.
        """
        here = [rank for rank in self._ranks.values() if rank.node == self._node]
        started = [pid for rank in here for pid in family(rank.pid)]
        self._made.look(started)
        for rank in self._ranks.values():
            ray.kill(rank.actor)
        deadline = time.monotonic() + _DYING
        while any(family(rank.pid) for rank in here) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in started:
            kill_tree(pid)
        for rank in self._ranks.values():
            rank.lifeline.close()
        if self._session is not None:
            self._session.close()

    def _take_down(self) -> None:
        """Waits until Ray Train has given back the resources; otherwise ends what owns the group.

        While the workers start nobody knows their processes, so it is ended at once: for a while
        something of it may still be under way.
        """
        mark = mark_of(self.job)
        wait = GRACE if len(self._ranks) == self.job.workers else 0.0
        done, _ = ray.wait([self._fitted], timeout=wait)
        if not done:
            end_launcher(self._node)
            deadline = time.monotonic() + _UNDER_WAY
            while time.monotonic() < deadline:
                give_back(mark)
                time.sleep(_TICK)
        mark.unlink(missing_ok=True)

    # What is heard

    def _heard(self, timeout: float) -> Message | None:
        self._welcome()
        if self._ends:
            return self._cause()
        lifelines, lines = self._lines()
        if not lines:
            time.sleep(timeout)
        for line in multiprocessing.connection.wait(lines, timeout):
            message = self._read(line, lifelines.get(line))
            if message is None:
                continue
            if message["kind"] == "end" and message["outcome"] not in ("complete", "paused"):
                self._ends.append(message)
            elif message["kind"] != "end" or line is self._session:
                return message
        return self._cause() if self._ends else self._failed_to_start()

    def _lines(self) -> tuple[dict[Any, int], list[Any]]:
        """The lifelines of ranks that are still at work, and with them the line of the session."""
        lifelines = {
            rank.lifeline: index for index, rank in self._ranks.items() if not rank.through
        }
        return lifelines, [*lifelines, *([self._session] if self._session is not None else [])]

    def _welcome(self) -> None:
        for hello, line in self._listener.arrived():
            if hello["kind"] == "session":
                self._session = line
            else:
                rank = _Rank(hello["pid"], hello["node"], hello["host"], hello["actor"], line)
                self._ranks[hello["rank"]] = rank
                self._last_message = time.monotonic()

    def _read(self, line: Any, index: int | None) -> Message | None:
        """A message of the session or of a rank; of one that is gone without a word, its death."""
        try:
            message = receive(line)
        except InvalidMessage as error:
            return {"kind": "end", "outcome": "exception", "message": str(error), "at": 0.0}
        except (EOFError, OSError):
            if index is None:
                self._session = None
                return None
            self._ranks[index].through = True
            return self._death(index)
        if index is not None and message["kind"] == "end":
            self._ranks[index].through = True
        return message

    def _death(self, index: int) -> Message:
        """A worker that is gone without a word: in which way, as far as that can be known."""
        end: Message = {"kind": "end", "outcome": "killed", "at": 0.0}
        fatal = fatal_of(self.job, index)
        text = fatal.read_text() if fatal.exists() else ""
        if text:
            first = text.strip().splitlines()[0]
            return {**end, "outcome": "signal", "message": f"worker {index}: {first}"}
        if kernel_kills() > self._kernel_kills:
            message = f"worker {index} was killed by the kernel for memory"
            return {**end, "outcome": "memory", "message": message}
        return {**end, "message": f"worker {index} ended without a word"}

    def _cause(self) -> Message:
        """The first of the failures that follow from one another.

        A worker that dies without a word makes the others fail in their next collective, and those
        have words for it: so it comes first.
        """
        deadline = time.monotonic() + SETTLE
        lifelines, lines = self._lines()
        while lines and (left := deadline - time.monotonic()) > 0:
            for line in multiprocessing.connection.wait(lines, left):
                message = self._read(line, lifelines.get(line))
                if message is not None and message["kind"] == "end":
                    self._ends.append(message)
                if message is None or message["kind"] == "end":
                    lines.remove(line)
        failed = [end for end in self._ends if end["outcome"] not in ("complete", "paused")]
        cause = min(failed, key=lambda end: end.get("at", 0.0))  # the driver's silence has no time
        if cause.get("traceback"):  # of several that failed, the last one has written its own
            with contextlib.suppress(OSError):
                self.job.traceback.write_text(cause["traceback"], encoding="utf-8")
        return cause

    # What goes wrong without a word

    def _failed_to_start(self) -> Message | None:
        if len(self._ranks) == self.job.workers:
            return None
        waited = time.monotonic() - self._began
        done, _ = ray.wait([self._fitted], timeout=0)
        if not done and waited < START_LIMIT:
            return None
        message = f"{len(self._ranks)} of {self.job.workers} workers arrived within {waited:.0f} s"
        if done:
            message += f": {_said(self._fitted)}"
        return {"kind": "end", "outcome": "host_lost", "message": message}

    def _broken(self) -> Message | None:
        """Too much memory on this node, or too long without a word."""
        now = time.monotonic()
        self._log.look()
        if now - self._looked > UNWATCHED:
            self._last_message += now - self._looked
        self._looked = now
        if len(self._ranks) < self.job.workers:
            return None
        # The imports of many workers at once, and their first step, may take long.
        patience = self.job.patience if self._spoken else max(self.job.patience, START_LIMIT)
        if now - self._last_message > patience:
            message = f"no report for {patience:g} s"
            return {"kind": "end", "outcome": "hang", "message": message}
        if now - self._last_memory < _MEMORY_EVERY:
            return None
        self._last_memory = now
        here = [rank.pid for rank in self._ranks.values() if rank.node == self._node]
        members = [pid for top in here for pid in family(top)]
        self._made.look(members)
        if not self.job.memory or (used := sum(map(private_memory, members))) <= self.job.memory:
            return None
        message = f"used {used >> 20} MiB of its {self.job.memory >> 20} MiB"
        return {"kind": "end", "outcome": "memory", "message": message}


def _said(fitted: Any) -> str:
    try:
        return ray.get(fitted)
    except RayError as error:
        return str(error).strip().splitlines()[-1][:300]
