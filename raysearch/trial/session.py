"""Inside a trial's process: the session over a pipe, and how an attempt begins and ends.

This module is preloaded by the fork server: it must import neither Ray nor anything that computes.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from raysearch.errors import UnknownName, described
from raysearch.texts import cut, encodable
from raysearch.trial.endings import KnownFailure, outcome_of
from raysearch.trial.job import ALIVE, Job, Message
from raysearch.trial.lending import is_lent
from raysearch.trial.messages import (
    LONGEST_TRACEBACK,
    InvalidMessage,
    brief,
    checked_artifact,
    checked_costs,
    checked_facts,
    checked_metrics,
    checked_path,
    checked_step,
    is_file,
    send,
)
from raysearch.trial.own_process import SessionLine, finish, leave, note, seed_globally
from raysearch.trial.process_mark import is_there
from raysearch.trial.reported import ReportedSteps
from raysearch.trial.storage import Storage

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
    "raysearch.trial.session",
)
"""Imported once by the fork server, so that each trial finds them there."""

PRELOAD = "RAYSEARCH_PRELOAD"
"""Environment variable: modules that are imported ahead instead, as `numpy,scipy.stats`, or none.
An experiment without torch then waits for none. What it imports later is not seeded for it."""

_OF_PROGRAMS = "raysearch.programs.running"
"""The experiment that starts a program: what that needs it imports in a process of its own."""

_LOOK_EVERY = 0.05
"""Seconds between two looks at the pipe."""
_SIGN_EVERY = 10.0
"""Seconds between two signs of life, if that is not too seldom for the patience of the search."""
_ROOM = 1 << 30
"""Bytes that are free on a disk of which nobody would say that it is full."""


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
        self._looked = self._signed = 0.0
        self._reported = ReportedSteps()
        self._storage = Storage(job)
        self._restored: tuple[Path | None] | None = None

    def restored(self) -> Path | None:
        """The checkpoint to go on from, or None for a fresh start: a copy, for this attempt alone.

        It is the newest one that is as it was when it was reported; others are told to the search.

        Raises:
            ValueError: the one that is to be evaluated is damaged.
        """
        if self._restored is None:
            found, wrong = self._storage.restored()
            for kept, what in wrong:
                note(f"checkpoint {kept.path} of step {kept.step} {what}")
                self._send({"kind": "damaged", "path": kept.path, "what": what})
            self._restored = (found,)
        return self._restored[0]

    def describe(self, facts: Mapping[str, object]) -> None:
        """Records facts of this trial: data set, fingerprint, parameter count, versions."""
        self._send({"kind": "describe", "facts": checked_facts(facts)})

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Reports metrics after `step` optimiser steps and waits for the decision.

        Several reports of one step are one: `train/…` first and then `val/…`.

        Args:
            step: a whole number from 0, never less than in the report before.
            metrics: a number for each name.
            checkpoint: a file or folder below `folder`, from which the run can go on.
            costs: a finite number for each name, which begins with `cost/`, such as
                `cost/step_seconds`; kept and shown with the metrics, and never compared. Those of
                a report that says nothing else that is new are not kept.

        Raises:
            InvalidMessage: a step that goes back or is not whole, a metric that is not a number or
                has two values in one step, or a cost that is none; names field and value.
            BadSetting: the checkpoint is not there or lies elsewhere, or an earlier one changed.
        """
        step, plain = checked_step(step), checked_metrics(metrics)
        spent = checked_costs(costs, plain)
        try:
            self._reported.take(step, plain, None)
        except InvalidMessage as error:  # refused, and yet on record
            message = str(error)
            self._send({"kind": "refused", "step": step, "metrics": plain, "message": message})
            raise
        stored = self._storage.store(step, checkpoint)
        said: Message = {"checkpoint": None} if stored is None else {"checkpoint": stored.path}
        facts = {} if stored is None else stored.facts()
        said |= {"costs": spent} if spent else {}
        self._send({"kind": "report", "step": step, "metrics": plain, **said, **facts})
        self._wait()
        answer = self._connection.recv()
        self._stop |= bool(answer["stop"])
        self._storage.settle(step, self._reported.metrics, stored)

    def _wait(self) -> None:
        """Waits for an answer: for ever while the driver is there, which may be stopped for long.

        Where it cannot be seen, and has been silent for the lease, this process ends.
        """
        told = False
        while not self._connection.poll(self._job.lease):
            if not is_there(self._job.driver):
                text = f"no answer for {self._job.lease:g} s, and its driver is not seen here"
                note(text)
                self._send({"kind": "end", "outcome": "silent", "message": text})
                leave(0)
            if not told:
                note(f"no answer for {self._job.lease:g} s: waiting for the driver")
                told = True

    def artifact(self, name: str, path: Path) -> None:
        """Records a file under a name such as `figures/confusion.png`.

        One that lies elsewhere, or is called otherwise, is copied into the folder of this attempt.

        Raises:
            InvalidMessage: the name is no relative path, or there is no such file.
        """
        name = checked_artifact(name)
        if not is_file(path):
            raise InvalidMessage(f"artifact {name!r} must be a file that exists, got {brief(path)}")
        try:
            own = self.folder.parent / checked_path("artifact", path, self.folder.parent)
        except InvalidMessage:
            own = None
        if own is None or own.name != Path(name).name or is_lent(own, self.folder):
            own = self.folder / "artifacts" / name
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, own)
        self._storage.artifacts.add(own.absolute())
        self._send({"kind": "artifact", "name": name, "path": str(own)})

    def alive(self) -> None:
        """Says that this trial lives, in what takes longer than the patience of its search.

        It may be said as often as one likes: a message goes out every ten seconds at most.
        """
        now = time.monotonic()
        if now - self._signed >= min(_SIGN_EVERY, self._job.patience / 4):
            self._signed = now
            self._send({"kind": ALIVE})

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

    @property
    def job(self) -> Job:
        """What this attempt was told."""
        return self._job

    @property
    def objectives(self) -> list[str]:
        """The names of the metrics of the search."""
        return [one["name"] for one in self._job.objectives]

    def stop(self) -> None:
        """Lets this trial save and end, as if the search had asked for it."""
        self._stop = True

    @property
    def stopped(self) -> bool:
        """Whether this trial has been asked to save and end, as far as it knows."""
        return self._stop

    def _send(self, message: Message) -> None:
        send(self._connection, message)


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

    A function has the other two as attributes, as in `run.test = test`. Without a `test` there is
    nothing to do on the test split.

    Raises:
        LookupError: the experiment has nothing for this purpose.
    """
    found = getattr(target, purpose, target if purpose == "run" else None)
    if found is None and purpose == "test":
        return _without_test
    if found is None:
        name = getattr(target, "__qualname__", type(target).__name__)
        raise UnknownName(
            f"experiment {name} has no {purpose!r}, which is needed here; a function has it as an "
            f"attribute: {name}.{purpose} = {purpose}"
        )
    return cast("Callable[[dict[str, Any], Any], None]", found)


def _without_test(config: dict[str, Any], session: Any) -> None:
    note("this experiment has no `test`: nothing is evaluated on the test split")


def preloaded(experiment: str = "") -> tuple[str, ...]:
    """The modules that the fork server imports ahead of an experiment, `module:attribute`."""
    stated = os.environ.get(PRELOAD)
    if stated is None:
        is_program = experiment.partition(":")[0] == _OF_PROGRAMS
        return (__name__,) if is_program else PRELOADED
    return (*filter(None, map(str.strip, stated.split(","))), __name__)


def serve(connection: Connection) -> None:
    """The main function of a trial's process: sets up, runs the experiment, says how it ended.

    The first message on the connection is the job.
    """
    job, session = Job.read(connection.recv()), None
    line = SessionLine(connection)
    if len(job.paths) > 1:
        os.environ.pop("PYTHONSAFEPATH", None)  # it was for the fork server alone
    for path in reversed(job.paths):
        if path not in sys.path:
            sys.path.insert(0, path)
    with suppress(OSError, IndexError):  # relative paths mean what they mean to the user
        os.chdir(job.paths[-1])
    try:
        write_to(job.log)
        missing = [name for name in preloaded(job.experiment) if name not in sys.modules]
        if missing:
            note(f"not preloaded, so imported here: {', '.join(missing)}")
        set_threads(job.threads, job.experiment)
        seed_globally(job.config)
        session = PipeSession(job, line)
        _take_notice(session)
        entry_point(resolve(job.experiment), job.purpose)(job.config, session)
        end = well(session)
    except BaseException as error:  # every way in which foreign code can end is a result
        if not line.ours:
            end = _of_a_fork(error)
        elif session is not None and left_well(error):
            end = well(session)
        else:
            end = failure(job, error)
    finish(line, end)


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


def _of_a_fork(error: BaseException) -> Message:
    """A process that the trial forked has left the experiment: that is no end of the trial."""
    if left_well(error):
        return {"kind": "end", "outcome": "complete", "message": ""}
    traceback.print_exception(error)
    return {"kind": "end", "outcome": "exception", "message": ""}


def well(session: PipeSession) -> Message:
    """The last message of an attempt that came to its end."""
    return {"kind": "end", "outcome": "paused" if session.stopped else "complete", "message": ""}


def left_well(error: BaseException) -> bool:
    """Whether it is the `sys.exit(0)` with which many a program ends."""
    return isinstance(error, SystemExit) and error.code in (None, 0, False)


def failure(job: Job, error: BaseException) -> Message:
    """The last message of an attempt that raised; its traceback goes to the log and to a file."""
    text = error.text if isinstance(error, KnownFailure) else formatted(error)
    said = error.message if isinstance(error, KnownFailure) else described(error)
    with suppress(Exception):  # the experiment may have closed the stream
        sys.stderr.write(f"{said}\n" if isinstance(error, KnownFailure) else text)
    with suppress(OSError):  # on a full disk all the same it must be said how it ended
        job.traceback.write_text(text, encoding="utf-8")
    outcome = outcome_of(error)
    if outcome == "full" and _have_room(job.root, tempfile.gettempdir()):
        outcome = "exception"  # a limit of something else: a small /dev/shm, watches of files
    return {"kind": "end", "outcome": outcome, "message": said, "traceback": text}


def formatted(error: BaseException) -> str:
    """The traceback of an exception, cut to `LONGEST_TRACEBACK` letters that UTF-8 can write."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:  # foreign attributes, such as those of a SyntaxError, may be anything
        frames = "".join(traceback.format_tb(error.__traceback__))
        text = f"Traceback (most recent call last):\n{frames}{described(error)}\n"
    return encodable(cut(text, LONGEST_TRACEBACK))


def _have_room(*folders: str) -> bool:
    """Whether the disks of these folders have more room than a program usually misses."""
    with suppress(OSError):
        found = [os.statvfs(folder) for folder in folders]
        return all(disk.f_bavail * disk.f_frsize >= _ROOM for disk in found)
    return False


def set_threads(threads: int, experiment: str = "") -> None:
    """How many threads torch computes with; one imported later goes by OMP_NUM_THREADS."""
    if "torch" in sys.modules or "torch" in preloaded(experiment):
        import torch

        torch.set_num_threads(threads)


def write_to(log: Path) -> None:
    """Sends standard output and error of this process, and of all that it starts, to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    # A file name that is no UTF-8 may be printed: that must not end a trial.
    how: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "closefd": False}
    sys.stdout = open(1, "w", buffering=1, **how)  # noqa: SIM115 (lives as long as we do)
    sys.stderr = open(2, "w", buffering=1, **how)  # noqa: SIM115
