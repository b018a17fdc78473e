"""A sweep asked again by a fresh process, at another time and with another order of sets."""

from __future__ import annotations

import ast
import datetime
import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from raysearch.sweeps.space import Space

_POINTS = 16
"""So many points are asked for there."""
_SHIFT = 400 * 86400 + 11 * 3600 + 7 * 60 + 13.37
"""Seconds by which its clock is ahead: another year, month, day, hour, minute and second."""
_ORDERS = 4
"""Processes for a module that has sets: of two elements each has the same order in half of them."""
_PATIENCE = 120.0
"""Seconds after which processes that do not answer are given up."""


class Elsewhere:
    """Fresh processes that ask a sweep for some points, beside what this one does meanwhile.

    One that cannot say anything, since the module cannot be imported there, is no evidence.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        params = space.survey.params
        step = max(1, len(params) // _POINTS)
        self._points = [space.point(each) for each in params[::step][:_POINTS]]
        text = json.dumps(
            {
                "sweep": space.sweep.reference,
                "fixed": space.fixed,
                "params": [point.params for point in self._points],
                "path": sys.path,
            }
        )
        self._processes = [_start(text, seed) for seed in _seeds(space.sweep.function)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        """Compares the answers, unless something else was wrong; ends what is still there."""
        try:
            if kind is None:
                self.compare()
        finally:
            self._close()

    def compare(self) -> None:
        """Waits for the answers. Raises BadSetting where a configuration is another one there."""
        from raysearch.sweeps.repeatable import refuse_other

        then = "and, in another process at another time,"
        until = time.monotonic() + _PATIENCE
        for process in self._processes:
            found = _answer(process, max(until - time.monotonic(), 0.1))
            for point, facts in zip(self._points, found, strict=False):
                refuse_other(self._space, point, facts, then)

    def _close(self) -> None:
        for process in self._processes:
            with suppress(OSError):
                process.kill()
            with suppress(ValueError):  # its pipe was read to the end
                process.communicate()


def _seeds(function: Any) -> list[str]:
    """Hash seeds: several if the module of the sweep has anything that depends on them."""
    here = int(seed) if (seed := os.environ.get("PYTHONHASHSEED", "")).isdigit() else 0
    return [str(here + 1 + each) for each in range(_ORDERS if _has_sets(function) else 1)]


def _has_sets(function: Any) -> bool:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    except (OSError, TypeError, KeyError, SyntaxError):
        return False
    return any(
        isinstance(node, (ast.Set, ast.SetComp))
        or (isinstance(node, ast.Name) and node.id in ("set", "frozenset", "hash"))
        for node in ast.walk(tree)
    )


def _start(text: str, seed: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        env={**os.environ, "PYTHONHASHSEED": seed},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    pipe = cast("Any", process.stdin)
    with suppress(BrokenPipeError):
        pipe.write(text.encode())
        pipe.close()
    process.stdin = None
    return process


def _answer(process: subprocess.Popen[bytes], patience: float) -> Sequence[Mapping[str, Any]]:
    try:
        output, _ = process.communicate(timeout=patience)
        return json.loads(output)
    except (subprocess.TimeoutExpired, ValueError):
        process.kill()
        process.communicate()
        return []


def shift_clock() -> None:
    """Lets `time` and `datetime` say another time, in this process, to modules imported later."""
    stamp, real = time.time, datetime.datetime

    def told(function: Any) -> Any:
        return lambda seconds=None: function(stamp() + _SHIFT if seconds is None else seconds)

    for name in ("localtime", "gmtime", "ctime"):
        setattr(time, name, told(getattr(time, name)))
    for name in ("asctime", "strftime"):
        setattr(time, name, _of_now(getattr(time, name)))
    time.time = lambda: stamp() + _SHIFT
    time.time_ns = lambda: int((stamp() + _SHIFT) * 1e9)

    class Day(datetime.date, metaclass=_kind_of(datetime.date)):
        @classmethod
        def today(cls) -> Any:
            return real.fromtimestamp(stamp() + _SHIFT).date()

    class Moment(real, metaclass=_kind_of(real)):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.fromtimestamp(stamp() + _SHIFT, tz)

        @classmethod
        def utcnow(cls) -> Any:
            return real.fromtimestamp(stamp() + _SHIFT, datetime.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

    for kind, name in ((Day, "date"), (Moment, "datetime")):
        kind.__name__ = kind.__qualname__ = name
        kind.__module__ = "datetime"
        setattr(datetime, name, kind)


def _of_now(function: Any) -> Any:
    def told(*arguments: Any) -> Any:
        is_time = [isinstance(each, (tuple, time.struct_time)) for each in arguments]
        return function(*arguments) if any(is_time) else function(*arguments, time.localtime())

    return told


def _kind_of(real: type) -> type:
    """A metaclass of a stand-in for a class: what is one of that is one of the stand-in."""

    class Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, real)

    return Kind


def main() -> None:
    """Reads what is asked from standard input, and writes the facts of each point."""
    asked = json.loads(sys.stdin.buffer.read())
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # people's modules may print
    sys.path[:] = asked["path"]
    shift_clock()
    from raysearch.errors import RaysearchError
    from raysearch.sweeps.catalog import find_sweep
    from raysearch.sweeps.repeatable import facts
    from raysearch.sweeps.space import Space

    space = Space(find_sweep(asked["sweep"], ()), asked["fixed"])
    found: list[Mapping[str, Any]] = []
    for params in asked["params"]:
        try:
            found.append(facts(space.point(params)))
        except RaysearchError as error:
            found.append({"error": str(error)})
    with os.fdopen(answer, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
