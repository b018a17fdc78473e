"""Errors that a user is shown as one sentence; everything else is a fault of raysearch."""

from __future__ import annotations

import os
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raysearch.texts import SENTENCE, cut, one_line

_OWN = str(Path(__file__).parent)
_PYTHON = os.path.dirname(os.__file__) + os.sep
MOST = 2000
"""Letters of what one exception says."""
_FEW = 8
"""Exceptions of a group, notes of one, or links of a chain, that are looked at."""


class RaysearchError(Exception):
    """Something that a user, a file or another program has to change, said in one sentence.

    The command line, the service and its clients show this one and no other: exit status 2, HTTP
    4xx. Whatever else is raised keeps its traceback and is a fault of raysearch (exit status 70).
    """

    def __str__(self) -> str:
        """The sentence, as it was given."""
        return str(self.args[0]) if self.args else type(self).__name__


class UnknownName(RaysearchError, LookupError):
    """There is no search, sweep, experiment, trial, field, module or file of this name."""


class BadSetting(RaysearchError, ValueError):
    """A value that is not allowed: names the field, the rule, the value and what is allowed."""


class Unreachable(RaysearchError, ConnectionError):
    """A cluster, a service, a database or MLflow does not answer, or refuses us."""


class NoRay(Unreachable):
    """A Ray of our own does not start on this machine: exit status 69, nothing was begun."""


class WrongState(RaysearchError, ValueError):
    """A search or its files are not in the state that this needs: in use, finished, damaged."""


class WrittenLater(WrongState):
    """A newer raysearch wrote what is to be read."""


class NothingCompleted(WrongState):
    """No trial of a search completed: says why the first failed, with its traceback."""


KIND_TO = "RAYSEARCH_KIND_TO"
"""The descriptor to which a command says the kind of its error, for the service that runs it."""
KINDS = {one.__name__: one for one in (UnknownName, BadSetting, Unreachable, WrongState)}
"""The kinds by their names, as a service says them to its clients."""


def kind_of(error: RaysearchError) -> str:
    """The name of the kind that an error is, or is derived from."""
    return next((name for name, kind in KINDS.items() if isinstance(error, kind)), "BadSetting")


def sentence(error: BaseException) -> str:
    """What an exception of any kind says, on one line; of pydantic's findings each with its path.

    One that says nothing is called by its type, one whose `str` raises by what it was made with.
    Of a long one beginning and end are kept. It never raises.
    """
    try:
        findings: Any = getattr(error, "errors", None)
        if type(error).__module__.startswith("pydantic") and callable(findings):
            found: Any = findings()
            return one_line("; ".join(map(_finding, found)), MOST) or type(error).__name__
        return one_line(_words(error), MOST) or type(error).__name__
    except BaseException:  # a foreign `str` may do anything
        return _made_with(error)


def described(error: BaseException, most: int = SENTENCE) -> str:
    """Type and words of an exception, its notes, those of a group, and what caused it.

    On one line of at most so many letters; it never raises.
    """
    said = [_named(error)]
    if isinstance(error, BaseExceptionGroup):
        said.append("; ".join(_named(one) for one in error.exceptions[:_FEW]))
    notes: Any = getattr(error, "__notes__", None)
    if isinstance(notes, list):
        said += [one_line(note) for note in notes[:_FEW] if isinstance(note, str)]
    cause = error.__cause__
    for _ in range(_FEW):
        if cause is None or cause.__cause__ is None:
            break
        cause = cause.__cause__
    end = "" if cause is None or cause is error else f" (because of {_named(cause)})"
    text = ": ".join(filter(None, said))
    return one_line(f"{cut(text, max(most - len(end), most // 2))}{end}", most)


def _named(error: BaseException) -> str:
    name, said = type(error).__name__, sentence(error)
    return name if said in ("", name) else f"{name}: {said}"


def _words(error: BaseException) -> str:
    """What `str` says, but that a `KeyError` of a text is that text, without quotes."""
    key = error.args[0] if isinstance(error, KeyError) and len(error.args) == 1 else None
    return key if isinstance(key, str) and type(error).__str__ is KeyError.__str__ else str(error)


def _made_with(error: BaseException) -> str:
    try:
        made = ", ".join(map(repr, error.args))
        return one_line(f"{type(error).__name__}({made})") if made else type(error).__name__
    except BaseException:  # a foreign `repr` too
        return type(error).__name__


def _finding(one: Any) -> str:
    path, rule = ".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")
    return f"{path}: {rule}" if path else rule


def is_complaint(error: BaseException) -> bool:
    """Whether an exception of foreign code is meant for whoever gave a value or a name.

    A `KeyError` or an `IndexError` is not: it says `'a'`, and something went wrong on the way.
    """
    kind = type(error)
    said_so = isinstance(error, (ValueError, LookupError))
    return said_so and (kind in (ValueError, LookupError) or kind.__module__ != "builtins")


def place_of(error: BaseException, file: str | None = None) -> str:
    """`file:line` of where an exception was raised: the innermost frame of that file.

    Without a file, or where it is not on the way: the innermost that is not installed; or empty.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file]
    people = [frame for frame in frames if _is_peoples(frame.filename)]
    last = (own or people)[-1:]
    return f"{last[0].filename}:{last[0].lineno}" if last else ""


def _is_peoples(file: str) -> bool:
    return "site-packages" not in file and not file.startswith(("<frozen", _OWN, _PYTHON))


@contextmanager
def foreign(what: str) -> Generator[None]:
    """The seam to code that is not ours: what it raises becomes a `RaysearchError`.

    A complaint keeps its words; anything else is told as that of `what` (`sweep own:lr`), with
    its type and the file and line of where it was raised. What our own code raises stays as it is.
    `sys.exit` is no end of ours: nothing would be said, and the status might be 0.
    """
    try:
        yield
    except RaysearchError:
        raise
    except (Exception, SystemExit) as error:
        if is_complaint(error):
            kind = UnknownName if isinstance(error, LookupError) else BadSetting
            raise kind(sentence(error)) from error
        place = place_of(error)
        if not place:
            raise
        raise BadSetting(f"{what} raised {_named(error)} ({place})") from error
