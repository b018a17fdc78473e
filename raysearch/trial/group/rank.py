"""Inside a worker of a group: its lifeline to the host, its session, and how it ends."""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, NoReturn

from raysearch.trial.group.watcher import watch_this_process
from raysearch.trial.job import Job, Message
from raysearch.trial.messages import send
from raysearch.trial.own_process import SessionLine, flush, leave, seed_globally
from raysearch.trial.session import (
    PipeSession,
    entry_point,
    failure,
    left_well,
    resolve,
    set_threads,
    write_to,
)
from raysearch.trial.storage import Storage

_FAREWELL = 60.0
"""Seconds after which a worker that has said its last word ends, whether it was heard or not."""


class SilentSession:
    """The session of a rank above 0: the same checkpoint and folder; rank 0 says and asks all."""

    def __init__(self, job: Job) -> None:
        self.folder = Path(job.folder)
        self._storage = Storage(job)

    def restored(self) -> Path | None:
        """The checkpoint to go on from, or None for a fresh start: the same as of rank 0."""
        return self._storage.restored()[0]

    def describe(self, facts: Mapping[str, object]) -> None:
        """Nothing."""

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Nothing."""

    def artifact(self, name: str, path: Path) -> None:
        """Nothing."""

    def alive(self) -> None:
        """Nothing."""

    def should_stop(self) -> bool:
        """Never: rank 0 is told, and tells the others."""
        return False


def attend(rank: int, ray_names: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """The work of one rank: `config` has the job and the address and key of its host.

    `ray_names` says what this worker is for Ray: its node and its actor, by which the host ends it.
    It ends by the end of its process. A rank that is through says so and waits: if it left by
    itself, it would look as if it had failed the others, and theirs would look like the reason.
    """
    job = Job.read(config["job"])
    address, key = (str(config["host"]), int(config["port"])), bytes.fromhex(config["key"])
    lifeline = Client(address, authkey=key)
    here = {"pid": os.getpid(), "host": socket.gethostname()}
    lifeline.send({"kind": "arrived", "rank": rank, **here, **ray_names})
    threading.Thread(target=_obey, args=(lifeline,), daemon=True).start()
    watch_this_process()
    write_to(job.log)
    faulthandler.enable(open(fatal_of(job, rank), "w"))  # noqa: SIM115 (as long as we live)
    for path in reversed(job.paths):
        if path not in sys.path:
            sys.path.insert(0, path)
    with suppress(OSError, IndexError):  # relative paths mean what they mean to the user
        os.chdir(job.paths[-1])
    if rank:
        _finish(lifeline, _run(job, SilentSession(job), rank))
    line = SessionLine(Client(address, authkey=key))
    line.send({"kind": "session"})
    session = PipeSession(job, line)
    end = _run(job, session, rank)
    if end["outcome"] == "complete" and session.stopped:
        end["outcome"] = "paused"
    _finish(line, end)


def fatal_of(job: Job, rank: int) -> Path:
    """The file in which a rank that is ended by a signal says which."""
    return Path(job.folder) / f"fatal-{rank}.txt"


def _run(job: Job, session: PipeSession | SilentSession, rank: int) -> Message:
    mine = os.getpid()
    try:
        set_threads(job.threads)
        seed_globally(job.config, rank)
        entry_point(resolve(job.experiment), job.purpose)(job.config, session)
    except BaseException as error:  # every way in which foreign code can end is a result
        if os.getpid() == mine and not left_well(error):
            return failure(job, error)
        if os.getpid() != mine:
            traceback.print_exception(error)
    if os.getpid() != mine:  # what the worker forked has left the experiment: no end of the trial
        leave(1)
    return {"kind": "end", "outcome": "complete", "message": ""}


def _finish(connection: Connection[Any, Any], end: Message) -> NoReturn:
    """Says how it ended, with the time, and waits to be let go."""
    flush()
    send(connection, {**end, "at": time.time()})
    time.sleep(_FAREWELL)
    os._exit(1)


def _obey(lifeline: Connection[Any, Any]) -> None:
    """Ends this process, wherever it is, when the host lets go of the lifeline or is gone."""
    try:
        while True:
            lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)
