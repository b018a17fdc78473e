"""The reused Tune trainable: it lives as long as the search and forks one process a trial."""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from raysearch.integrity import damage
from raysearch.trial.checkpoints import Kept, remove
from raysearch.trial.child import Child, kill_orphans, private_memory, start_server
from raysearch.trial.endings import outcome_of
from raysearch.trial.job import Job, Message
from raysearch.trial.lending import take_back, take_back_all
from raysearch.trial.meter import Meter

if TYPE_CHECKING:
    from raysearch.trial.group.workers import Group

KEEP_ALIVE = 1.0
"""Seconds after which `step` returns without news: a blocked step shuts out stop and Ctrl-C."""

_MOST = 1000
"""Messages of one `step`: a trial that says more, and waits for no answer, is slowed down."""
_LOOK_EVERY = 0.5
"""Seconds between two looks at whether this node still is one."""
_PREPARED: set[str] = set()
"""What this worker process has already started: a fork server serves all hosts of one process."""


class Host(tune.Trainable):
    """Runs one attempt at a time, in a child process or in a group of workers.

    A failure of either is a result like any.

    `config` is `{"trial": number, "job": JSON of a Job}`. Each result is `{"messages": JSON}`: the
    messages of the child since the last result. The last of them decides: a `report` waits for its
    answer, which is the next `step`; an `end` is the last of the attempt; neither: still at work.
    Nothing that a trial does raises here: if `step` raised, Tune would throw this host away.
    """

    _child: Child | Group | None = None
    _asked: bool = False
    _error: Message | None = None
    _job: Job | None = None
    _is_due: bool = False
    _is_placed: bool = False
    _kept: dict[str, Kept]
    _meter: Meter | None = None

    def setup(self, config: dict[str, Any]) -> None:
        """Prepares the first attempt, which begins with the first `step`.

        Not here: Tune may start a host for a trial that another one takes meanwhile, and nobody
        would ever listen to what this one runs.
        """
        self._job, self._is_due = Job.read(config["job"]), True
        _end_with_the_node()
        kill_orphans(self._job.label)
        with suppress(Exception):  # it fails again where it is told: when the attempt begins
            _prepare(self._job)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes another attempt; whatever is left of the one before is ended."""
        self.cleanup()
        self._job, self._is_due = Job.read(new_config["job"]), True
        return True

    def step(self) -> dict[str, Any]:
        """Waits for news of the child, for `KEEP_ALIVE` seconds at most."""
        try:
            return {"messages": json.dumps(self._news())}
        except Exception as error:
            self.cleanup()
            return {"messages": json.dumps([_own_failure(error)])}

    def end_attempt(self, delete: list[str]) -> None:
        """Ends the attempt at once, with all that it started, and deletes these checkpoints.

        Called by the scheduler before it answers STOP: Tune itself calls nothing on a reused host.
        """
        self.cleanup()
        if self._job is not None:
            remove(delete, Path(self._job.root))

    def pause_attempt(self) -> None:
        """Asks the attempt to save a checkpoint and end; it may take its time, or not listen."""
        if self._child is not None:
            self._child.answer(stop=True)
            self._asked = False

    def cleanup(self) -> None:
        """Ends the attempt, if there is one."""
        child, self._child, self._asked, self._error = self._child, None, False, None
        self._meter = None
        self._is_due = False
        if child is not None:
            child.kill()
            take_back(Path(child.job.folder))

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | None:
        """Nothing to save: the checkpoints of a trial are its own."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing to load."""

    def _begin(self, job: Job) -> None:
        self._is_due = self._is_placed = False
        self._kept = {kept["path"]: Kept(**kept) for kept in job.kept}
        try:
            self._child = _started(job)
            self._meter = _metered(job, self._child)
        except Exception as error:
            self._error = _own_failure(error)

    def _news(self) -> list[Message]:
        if self._is_due and self._job is not None:
            self._begin(self._job)
        if self._error is not None or self._child is None:
            error, self._error = self._error or _lost(), None
            return [error]
        if self._asked:
            self._child.answer(stop=False)
            self._asked = False
        messages = [*self._placed(self._child), *self._used()]
        deadline = time.monotonic() + KEEP_ALIVE
        while (left := deadline - time.monotonic()) > 0 and len(messages) < _MOST:
            message = self._child.next(left)
            if message is None:
                break
            messages.append(message)
            if message["kind"] == "report":
                self._asked = True
                if message.get("sha256"):
                    path = message["checkpoint"]
                    self._kept[path] = Kept.read(message, path)
                break
            if message["kind"] == "end":
                take_back(Path(self._child.job.folder))
                self._child = self._meter = None
                return [*messages[:-1], *self._damaged(message), message]
        return messages

    def _placed(self, child: Child | Group) -> list[Message]:
        """On which machines the attempt runs: once, when that is known."""
        nodes = [] if self._is_placed else child.nodes
        self._is_placed |= bool(nodes)
        return [{"kind": "placed", "nodes": nodes}] if nodes else []

    def _used(self) -> list[Message]:
        """What the attempt uses of this machine, now and then."""
        with suppress(OSError, ValueError):
            if self._meter is not None and self._meter.is_due():
                return [{"kind": "usage", "usage": self._meter.read()}]
        return []

    def _damaged(self, end: Message) -> list[Message]:
        """Which checkpoints of a completed attempt are not as reported, once its processes ended.

        It is done here and not by the driver, for which others wait.
        """
        if end["outcome"] != "complete" or self._job is None or self._job.purpose != "run":
            return []
        there = [kept for path, kept in self._kept.items() if Path(path).exists()]
        found = {kept.path: damage(Path(kept.path), kept.bytes, kept.sha256) for kept in there}
        return [
            {"kind": "damaged", "path": path, "what": what} for path, what in found.items() if what
        ]


def _started(job: Job) -> Child | Group:
    """The process or the group of an attempt.

    What is no training has one worker, which needs a group only for its GPU: the host of groups
    has none.

    Raises:
        FileExistsError: this attempt has begun before; its folder is its alone.
    """
    take_back_all(Path(job.root), job.trial)
    if job.purpose == "run":
        Path(job.folder).mkdir(parents=True)
    if _is_group(job):
        from raysearch.trial.group.workers import Group

        return Group(job if job.purpose == "run" else replace(job, workers=1))
    _prepare(job)
    return Child(job)


def _metered(job: Job, child: Child | Group) -> Meter | None:
    """What measures a training; the workers of a group are on other places."""
    if job.purpose != "run" or not isinstance(child, Child):
        return None
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return Meter(child.pid, job.gpus, private_memory, devices)


def _is_group(job: Job) -> bool:
    return job.workers > 1 and (job.purpose == "run" or bool(job.gpus))


def _prepare(job: Job) -> None:
    """Starts the fork server, once a process; groups have none."""
    if not _is_group(job) and job.label not in _PREPARED:
        start_server(job.label, job.threads, job.experiment, job.paths)
        _PREPARED.add(job.label)


def _end_with_the_node() -> None:
    """Ends this process when the raylet that started it is gone; its trial ends with it.

    Ray ends it much later: meanwhile the trial would be going on here and, again, elsewhere.
    """
    raylet = os.getppid()
    if raylet > 1 and "raylet" not in _PREPARED:
        _PREPARED.add("raylet")
        threading.Thread(target=_outlive_no, args=(raylet,), daemon=True).start()


def _outlive_no(raylet: int) -> None:
    while os.getppid() == raylet:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def _own_failure(error: Exception) -> Message:
    text = traceback.format_exc()
    message = f"the host could not run this attempt: {text.strip().splitlines()[-1]}"
    outcome = "full" if outcome_of(error) == "full" else "exception"
    return {"kind": "end", "outcome": outcome, "message": message, "traceback": text}


def _lost() -> Message:
    return {"kind": "end", "outcome": "killed", "message": "the host has no process for this trial"}
