"""Inside a trial's process: the session over a pipe, and how an attempt begins and ends.

This module is preloaded by the fork server: it must import neither Ray nor anything that computes.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from raysearch.errors import UnknownName
from raysearch.run.job import Job, Message
from raysearch.run.storing import Storage

PRELOADED = (
    "torch",
    "torch._dynamo",
    "torchvision",
    "torchvision.transforms.v2",
    "timm",
    "sklearn.datasets",
    "sklearn.metrics",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "raysearch.run.process",
)
"""Imported once by the fork server, so that each trial finds them there."""

_LOOK_EVERY = 0.05
"""Seconds between two looks at the pipe."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class PipeSession:
    """The session of a trial of one process: every call is a message through a pipe to the host.

    `report` waits for the answer, so the trial never runs ahead of a decision; a trial that is
    stopped is killed in that wait. A checkpoint is kept before it is reported; after the answer
    those that are no longer needed are deleted: not before, since only then is it on record.
    """

    def __init__(self, job: Job, connection: Connection) -> None:
        self.folder = Path(job.folder)
        self._job = job
        self._connection = connection
        self._stop = False
        self._looked = 0.0
        self._storage = Storage(job)
        self._restored: tuple[Path | None] | None = None

    def restored(self) -> Path | None:
        """The checkpoint to go on from, or None for a fresh start.

        It is the newest one that is as it was when it was reported; others are told to the search.

        Raises:
            ValueError: the one that is to be evaluated is damaged.
        """
        if self._restored is None:
            found, wrong = self._storage.restored()
            for kept, what in wrong:
                print(f"checkpoint {kept.path} of step {kept.step} {what}", flush=True)
                self._connection.send({"kind": "damaged", "path": kept.path, "what": what})
            self._restored = (found,)
        return self._restored[0]

    def describe(self, facts: Mapping[str, object]) -> None:
        """Records facts of this trial: data set, fingerprint, parameter count, versions."""
        self._connection.send({"kind": "describe", "facts": dict(facts)})

    def report(
        self, step: int, metrics: Mapping[str, float], checkpoint: Path | None = None
    ) -> None:
        """Reports metrics after `step` optimiser steps and waits for the decision.

        Raises:
            TypeError: a metric is not a number; names the metric and the value.
            ValueError: the checkpoint is not there or lies elsewhere, or an earlier one changed.
        """
        stored = self._storage.store(int(step), checkpoint)
        self._connection.send(
            {
                "kind": "report",
                "step": int(step),
                "metrics": {str(name): _number(name, value) for name, value in metrics.items()},
                "checkpoint": stored.path if stored is not None else None,
                **(stored.facts() if stored is not None else {}),
            }
        )
        if not self._connection.poll(self._job.lease):
            print(f"no answer for {self._job.lease:g} s: the search is gone, this process ends")
            leave(1)
        answer = self._connection.recv()
        self._stop |= bool(answer["stop"])
        self._storage.settle(int(step), metrics, stored)

    def artifact(self, name: str, path: Path) -> None:
        """Records a file under a name such as `figures/confusion.png`."""
        self._storage.artifacts.add(Path(path).absolute())
        self._connection.send({"kind": "artifact", "name": name, "path": str(path)})

    def should_stop(self) -> bool:
        """Whether the search asked this trial to save and end.

        That is said with the answer to a report, or at any moment between two. It costs nothing to
        ask after each step: the pipe is looked at 20 times a second.
        """
        now = time.monotonic()
        if not self._stop and now - self._looked > _LOOK_EVERY:
            self._looked = now
            while self._connection.poll(0):
                self._stop |= bool(self._connection.recv()["stop"])
        return self._stop

    def stop(self) -> None:
        """Lets this trial save and end, as if the search had asked for it."""
        self._stop = True

    @property
    def stopped(self) -> bool:
        """Whether this trial has been asked to save and end, as far as it knows."""
        return self._stop


def resolve(name: str) -> Any:
    """The object that `module:attribute` names.

    Raises:
        LookupError: there is no such attribute in the module; ImportError: no such module.
    """
    module_name, _, attribute = name.partition(":")
    target: Any = importlib.import_module(module_name)
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise UnknownName(f"experiment {name!r}: module {module_name} has no {attribute!r}")
        target = getattr(target, part)
    return target


def entry_point(target: Any, purpose: str) -> Callable[[dict[str, Any], Any], None]:
    """What is called for a purpose: `run` (or the object itself), `test` or `evaluate`.

    Raises:
        LookupError: the experiment has nothing for this purpose.
    """
    found = getattr(target, purpose, target if purpose == "run" else None)
    if found is None:
        name = getattr(target, "__qualname__", type(target).__name__)
        raise UnknownName(f"experiment {name} has no {purpose!r}, which is needed here")
    return cast("Callable[[dict[str, Any], Any], None]", found)


def serve(text: str, connection: Connection) -> None:
    """The main function of a trial's process: sets up, runs the experiment, says how it ended."""
    _die_with_the_host()
    job = Job.read(text)
    for path in reversed(job.paths):
        if path not in sys.path:
            sys.path.insert(0, path)
    with suppress(OSError, IndexError):  # relative paths mean what they mean to the user
        os.chdir(job.paths[0])
    try:
        write_to(job.log)
        missing = [name for name in PRELOADED if name not in sys.modules]
        if missing:
            print(f"not preloaded, so imported here: {', '.join(missing)}", flush=True)
        set_threads(job.threads)
        session = PipeSession(job, connection)
        _take_notice(session)
        entry_point(resolve(job.experiment), job.purpose)(job.config, session)
        outcome = "paused" if session.stopped else "complete"
        end: Message = {"kind": "end", "outcome": outcome, "message": ""}
    except BaseException as error:  # every way in which foreign code can end is a result
        end = failure(job, error)
    try:
        connection.send(end)
    finally:
        leave(0 if end["outcome"] in ("complete", "paused") else 1)


def _take_notice(session: PipeSession) -> None:
    """Lets SIGTERM mean that this machine is wanted back, as of a spot instance: save, and end.

    What the experiment forks inherits the handler, and must end by the signal all the same.
    """
    mine = os.getpid()

    def notice(number: int, frame: object) -> None:
        if os.getpid() == mine:
            session.stop()
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, notice)


def leave(status: int) -> None:
    """Ends the process now: no exit handlers, which could hang on threads of the experiment."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def failure(job: Job, error: BaseException) -> Message:
    """The last message of an attempt that raised; its traceback goes to the log and to a file."""
    text = "".join(traceback.format_exception(error))
    with suppress(OSError):  # on a full disk all the same it must be said how it ended
        sys.stderr.write(text)
        job.traceback.write_text(text)
    message = f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
    return {"kind": "end", "outcome": outcome_of(error), "message": message, "traceback": text}


def outcome_of(error: BaseException) -> str:
    """What kind of end an exception is: `full`, `diverged`, `memory`, or just `exception`."""
    if _lacks_room(error):
        return "full"
    if isinstance(error, FloatingPointError):
        return "diverged"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "memory"
    return "exception"


def _lacks_room(error: BaseException) -> bool:
    """Whether a full disk is behind it: libraries say so in words of their own, but chain it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _number(name: object, value: object) -> float:
    try:
        return float(cast(Any, value))
    except (TypeError, ValueError):
        raise TypeError(f"metric {name!r} must be a number, got {value!r}") from None


def set_threads(threads: int) -> None:
    """How many threads torch computes with."""
    import torch

    torch.set_num_threads(threads)


def write_to(log: Path) -> None:
    """Sends standard output and error of this process, and of all that it starts, to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 (lives as long as we do)
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115


def _die_with_the_host() -> None:
    """Ties this process to its host.

    The kernel kills it when the fork server ends, and the fork server ends when the host does: for
    that the inherited end of its "alive" pipe is closed. What this process starts stays under it
    (child subreaper), so that nothing can hide by forking twice. A session of its own keeps Ctrl-C
    for the driver.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server: dict[str, Any] = vars(vars(forkserver)["_forkserver"])
    if server.get("_forkserver_alive_fd") is not None:
        os.close(server["_forkserver_alive_fd"])
        server["_forkserver_alive_fd"] = None
    os.setsid()
