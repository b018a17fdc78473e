"""Functions by which a program reports to the search that runs it; outside of one, no-ops.

Of the standard library alone and for Python 3.8 on, without the rest of raysearch: this file is
laid into the path of programs whose own environment has none of it.
"""

from __future__ import annotations

import atexit
import itertools
import json
import operator
import os
import sys
import time
from typing import Any, Mapping, Optional, Tuple, Union  # noqa: UP035 (Python 3.8)

__all__ = [
    "active",
    "artifact",
    "bind",
    "checkpoint",
    "config",
    "describe",
    "report",
    "should_stop",
]

TRIAL = "RAYSEARCH_TRIAL"
"""The environment variable that names the folder of this attempt."""
CONFIG = "config.json"
"""The parameters of this trial."""
RESUME = "resume.json"
"""`{"checkpoint": path or null}`: from where this attempt goes on."""
MESSAGES = "messages.jsonl"
"""What the processes of a program say, an object a line."""
ANSWERS = "answers.jsonl"
"""What they are answered: `{"of": id, "stop": false}`."""
STOP = "stop"
"""A file that appears when the program is to save and end."""
DECISIONS = "decisions"
"""What the first of several processes was told by `should_stop`, a byte a call: `0` or `1`; `.`: it
has ended."""
RANKS = ("RANK", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
"""Variables by which launchers number the processes of a program; the first that is set counts."""
SIZES = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
"""Variables by which they say how many there are."""

_FIRST_LOOK = 0.002
_LONGEST_LOOK = 0.1
"""Seconds between two looks for an answer: first, and after a long while."""

_numbers = itertools.count(1)
_decisions = itertools.count()
_bound: Any = None
_asked = False


def active() -> bool:
    """Whether a search runs this program."""
    return _bound is not None or _folder() is not None


def report(
    step: int,
    metrics: Mapping[str, Any],
    checkpoint: Union[str, "os.PathLike[str]", None] = None,  # noqa: UP007, UP037
    *,
    wait: bool = True,
    source: str = "raysearch",
) -> None:
    """Reports metrics after a step, such as an epoch; of several processes the first alone does.

    It returns when the search has answered. A checkpoint is then kept, and its file may be
    overwritten; whether to go on says `should_stop`.

    Args:
        step: a whole number from 0; pruners compare trials at the same step.
        metrics: a number (or a tensor of one) for each name.
        checkpoint: a file or folder from which this program can go on.
        wait: whether to wait for the answer.
        source: who speaks, where a library does so for the program.

    Raises:
        ValueError: the step is no whole number from 0, or a metric is no number.
        FileNotFoundError: there is no such checkpoint.
    """
    if not active() or _place()[0]:
        return
    number, plain = _whole(step), _numbers_of(metrics)
    path = None if checkpoint is None else os.path.abspath(os.fspath(checkpoint))
    if path is not None and not os.path.exists(path):
        raise FileNotFoundError(f"checkpoint must be a file or folder that exists, got {path}")
    if _bound is not None:
        _bound.report(number, plain, path)
        return
    message = {"kind": "report", "step": number, "metrics": plain, "checkpoint": path}
    message["source"], message["wait"] = source, wait
    _say(message, wait)


def describe(facts: Mapping[str, Any]) -> None:
    """Records facts of this trial, such as the data set or a parameter count: plain data."""
    if _bound is not None:
        _bound.describe(dict(facts))
    elif active():
        _say({"kind": "describe", "facts": dict(facts)}, False)


def artifact(name: str, path: Union[str, "os.PathLike[str]"]) -> None:  # noqa: UP007, UP037
    """Keeps a file under a name such as `figures/confusion.png`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not active():
        return
    found = os.path.abspath(os.fspath(path))
    if not os.path.isfile(found):
        raise FileNotFoundError(f"artifact {name!r} must be a file that exists, got {found}")
    if _bound is not None:
        _bound.artifact(name, found)
    else:
        _say({"kind": "artifact", "name": name, "path": found}, False)


def should_stop() -> bool:
    """Whether the search wants this program to save and end; False outside of one.

    Of the processes that torchrun and its like start, all get the same answer to their first call,
    to their second, and so on: those above rank 0 wait for the first process to ask as often. So
    all leave the same step if each asks once in a step; or the first one asks and tells the others.
    """
    if _bound is not None:
        return bool(_bound.should_stop())
    folder = _folder()
    if folder is None:
        return False
    rank, size = _place()
    if size < 2:
        return _wanted(folder)
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    file = os.path.join(folder, "{}-{}".format(DECISIONS, restarts))  # noqa: UP032
    number = next(_decisions)
    if rank:
        return _decided(folder, file, number)
    if not number:
        atexit.register(_append, file, b".")
    stop = _wanted(folder)
    _append(file, b"1" if stop else b"0")
    return stop


def config() -> "dict[str, Any]":  # noqa: UP037
    """The parameters of this trial by their names; empty outside of a search."""
    if _bound is not None:
        return dict(_bound.config)
    folder = _folder()
    return {} if folder is None else dict(_read(os.path.join(folder, CONFIG)))


def checkpoint() -> Optional[str]:  # noqa: UP045
    """The path of the checkpoint to go on from: a copy for this attempt; None for a fresh start."""
    if _bound is not None:
        found = _bound.checkpoint()
        return None if found is None else str(found)
    folder = _folder()
    if folder is None:
        return None
    last = _read(os.path.join(folder, RESUME)).get("checkpoint")
    return None if last is None else str(last)


def bind(session: Any) -> None:
    """Has the functions above speak to an object of the same methods (None: no more).

    For functions that run in a trial's own process. It has `config`, `report`, `should_stop`,
    `checkpoint`, `describe` and `artifact`.
    """
    global _bound
    _bound = session


def _folder() -> Optional[str]:  # noqa: UP045
    return os.environ.get(TRIAL) or None


def _place() -> Tuple[int, int]:  # noqa: UP006
    """The rank of this process and how many there are: of torch's group, or by its launcher."""
    group = sys.modules.get("torch.distributed")
    if group is not None and group.is_available() and group.is_initialized():
        return int(group.get_rank()), int(group.get_world_size())
    rank, size = (
        next((os.environ[name] for name in names if os.environ.get(name, "").isdecimal()), default)
        for names, default in ((RANKS, "0"), (SIZES, "1"))
    )
    return int(rank), int(size)


def _wanted(folder: str) -> bool:
    return _asked or os.path.exists(os.path.join(folder, STOP))


def _decided(folder: str, file: str, number: int) -> bool:
    """What the first process was told at this call, from 0; it may not have come so far."""
    pause = _FIRST_LOOK
    while os.path.isdir(folder):
        size = os.path.getsize(file) if os.path.exists(file) else 0
        if size:
            with open(file, "rb") as decisions:
                decisions.seek(min(number, size - 1))
                told = decisions.read(1)
            if told == b".":  # it has ended, and decides no more
                break
            if size > number:
                return told == b"1"
        time.sleep(pause)
        pause = min(pause * 1.2, _LONGEST_LOOK)
    return _wanted(folder)


def _whole(step: Any) -> int:
    try:
        number = int(step) if float(step).is_integer() else -1
    except (TypeError, ValueError, OverflowError):
        number = -1
    if number < 0:
        raise ValueError(f"step must be a whole number from 0, got {step!r}")
    return operator.index(number)


def _numbers_of(metrics: Mapping[str, Any]) -> "dict[str, float]":  # noqa: UP037
    found = {}
    for name, value in metrics.items():
        try:
            found[str(name)] = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"metric {name!r} must be a number, got {value!r}") from None
    return found


def _say(message: "dict[str, Any]", wait: bool) -> None:  # noqa: UP037
    """Appends a message, in one write so that those of several processes never mix."""
    folder = _folder()
    assert folder is not None
    answers = os.path.join(folder, ANSWERS)
    start = os.path.getsize(answers) if os.path.exists(answers) else 0
    message["id"] = f"{os.getpid()}-{next(_numbers)}-{time.time_ns()}"
    _append(os.path.join(folder, MESSAGES), json.dumps(message).encode() + b"\n")
    if wait:
        _await(answers, start, message["id"])


def _append(file: str, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _await(answers: str, start: int, asked: str) -> None:
    """Waits for an answer; the search may be suspended for long, so only its end ends this."""
    global _asked
    pause = _FIRST_LOOK
    while os.path.isdir(os.path.dirname(answers)):
        if os.path.exists(answers) and os.path.getsize(answers) > start:
            with open(answers, "rb") as file:
                file.seek(start)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            start += len(whole)
            for line in whole.splitlines():
                answer = json.loads(line)
                if answer.get("of") == asked:
                    _asked = _asked or bool(answer.get("stop"))
                    return
        time.sleep(pause)
        pause = min(pause * 1.2, _LONGEST_LOOK)


def _read(path: str) -> "dict[str, Any]":  # noqa: UP037
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}
