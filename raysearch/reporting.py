"""Functions by which a program reports to the search that runs it; outside of one, no-ops.

Of the standard library alone and for Python 3.8 on, without the rest of raysearch: this file is
laid into the path of programs whose own environment has none of it.
"""

from __future__ import annotations

import itertools
import json
import operator
import os
import time
from typing import Any, Mapping, Optional, Union  # noqa: UP035 (Python 3.8)

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

_FIRST_LOOK = 0.002
_LONGEST_LOOK = 0.1
"""Seconds between two looks for an answer: first, and after a long while."""

_numbers = itertools.count(1)
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
    """Reports metrics after a step, such as an epoch; under torchrun the first process alone does.

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
    if not active() or os.environ.get("RANK", "0") != "0":
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

    Of several processes one should ask and tell the others, so that all leave the same step.
    """
    if _bound is not None:
        return bool(_bound.should_stop())
    folder = _folder()
    return folder is not None and (_asked or os.path.exists(os.path.join(folder, STOP)))


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
    line = json.dumps(message).encode() + b"\n"
    descriptor = os.open(
        os.path.join(folder, MESSAGES), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666
    )
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    if wait:
        _await(answers, start, message["id"])


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
