"""Kinds of failure, and what each means for the trial and the search."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from raysearch.errors import BadSetting, UnknownName

State = Literal["failed", "infeasible"]


class Failure(Protocol):
    """One failed attempt, with the step of the newest checkpoint at that moment."""

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        ...

    @property
    def checkpoint_step(self) -> int | None:
        """The step of the newest checkpoint; None if there is none."""
        ...


@dataclass(frozen=True)
class Kind:
    """What follows from a failure of one kind.

    It is tried again at most `again` times: since the last new checkpoint (`per_checkpoint`), or in
    all, together with the other kinds of that sort; with `alone` only if it shared its device or
    node, and then with no other beside it. After that it is told in `state`. A kind that `stops`
    is nobody's fault and met by all: the search ends, and its resume tries the trial again.
    """

    what: str
    again: int
    per_checkpoint: bool = False
    alone: bool = False
    state: State = "failed"
    stops: bool = False


KINDS: dict[str, Kind] = {
    "host_lost": Kind("its host was lost", 3, per_checkpoint=True),
    "killed": Kind("it was killed from outside", 3, per_checkpoint=True),
    "silent": Kind("its driver was silent", 3, per_checkpoint=True),
    "again": Kind("it asked to be started again", 1000, per_checkpoint=True),
    "exception": Kind("it raised an exception", 1),
    "exit": Kind("it exited", 1),
    "unreported": Kind("it ended without a metric of its sweep", 0),
    "signal": Kind("a signal ended it", 1),
    "hang": Kind("it made no progress within the limit", 1),
    "full": Kind("no space is left on the disk; make some, and resume", 0, stops=True),
    "memory": Kind("it ran out of memory", 1, alone=True, state="infeasible"),
    "diverged": Kind("it diverged", 0, state="infeasible"),
}
FIRST = 10
"""If so many first trials all fail alike, it is a bug that no sampler gets around."""
LAST = 20
"""Of so many last trials at most half may fail."""


@dataclass(frozen=True)
class Verdict:
    """What follows from a failure.

    `again`: try it again, from its last checkpoint (`alone`: with no other trial beside it).
    Otherwise it is told in `state`, with `constraint` 1 if it is infeasible. `stop_search` is the
    reason to end the whole search, or empty: nobody's fault, and met by all trials.
    """

    again: bool
    state: State | None
    constraint: int
    reason: str
    alone: bool = False
    stop_search: str = ""


def verdict(kind: str, *, history: Sequence[Failure], shared: bool = False) -> Verdict:
    """What follows from a failure of this kind.

    Args:
        kind: one of `KINDS`.
        history: all failures of the trial in order, this one last.
        shared: whether it shared its device or node with another trial.

    Raises:
        UnknownName: there is no such kind.
    """
    if kind not in KINDS:
        raise UnknownName(f"kind of failure must be one of {', '.join(KINDS)}, got {kind!r}")
    rule = KINDS[kind]
    if rule.stops:
        return Verdict(True, None, 0, rule.what, stop_search=rule.what)
    failures = _since_checkpoint(history) if rule.per_checkpoint else list(history)
    same = sum(_sort(failure.kind) == _sort(kind) for failure in failures)
    if same <= rule.again and (shared or not rule.alone):
        reason = f"{rule.what}: tried again ({same} of {rule.again})"
        return Verdict(True, None, 0, reason, alone=rule.alone)
    constraint = int(rule.state == "infeasible")
    return Verdict(False, rule.state, constraint, f"{rule.what}: {rule.state}")


class Failures:
    """How the trials of a search have ended, and whether too many have failed.

    By default a search ends for failures only if its first `FIRST` trials all failed alike, or more
    than half of the last `LAST` did. A `limit` changes that: `"5"` allows five failed trials,
    `"20%"` that share of all once `FIRST` have ended. Infeasible trials have not failed.

    Args:
        limit: `parse_limit` says what it may be; None: the default.
        ended: by trial, in the order of their ends: the digest of what it failed by, or None.
    """

    def __init__(self, limit: str | None = None, ended: Iterable[str | None] = ()) -> None:
        self._limit, self._ended = limit, list(ended)

    def add(self, digest: str | None) -> None:
        """A trial has ended; None: it has not failed."""
        self._ended.append(digest)

    def too_many(self) -> str:
        """The reason to end the search, or empty."""
        if self._limit is None:
            return self._too_many_of_the_last()
        ended, failed = len(self._ended), sum(one is not None for one in self._ended)
        if self._limit.endswith("%"):
            share = float(self._limit[:-1]) / 100
            passed = ended >= FIRST and failed > share * ended
        else:
            passed = failed > int(self._limit)
        if not passed:
            return ""
        return f"{failed} of {ended} trials failed, more than --max-failures {self._limit}"

    def _too_many_of_the_last(self) -> str:
        first, last = self._ended[:FIRST], self._ended[-LAST:]
        if len(self._ended) == FIRST and first[0] is not None and len(set(first)) == 1:
            return f"the first {FIRST} trials all failed alike"
        failed = sum(one is not None for one in last)
        if len(last) == LAST and failed > LAST / 2:
            return f"{failed} of the last {LAST} trials failed"
        return ""


def parse_limit(text: str) -> str:
    """A limit of failures: a whole number of trials, or a share such as `20%`.

    Raises:
        BadSetting: it is neither.
    """
    given = text.strip()
    is_share = re.fullmatch(r"\d{1,3}(\.\d{1,9})?%", given) and float(given[:-1]) <= 100
    if not is_share and not re.fullmatch(r"\d{1,9}", given):
        raise BadSetting(
            f"--max-failures must be a number of trials such as 5, or a share of them from 0% to "
            f"100% such as 20%, got {text!r}"
        )
    return given


_DIGESTED = 20_000
"""Characters of a traceback that are compared: its end, where the error stands."""
_LINE = 500


def traceback_digest(traceback: str) -> str:
    """A hash that equal errors share, although addresses, attempts and processes differ.

    Its cost grows with `_DIGESTED` at most: lines are cut before anything is looked for in them.
    """
    lines = [line.strip()[:_LINE] for line in traceback[-_DIGESTED:].strip().splitlines()]
    text = re.sub(r"0x[0-9a-fA-F]+", "0x", "\n".join(lines))
    words = ["attempt" if _ATTEMPT.search(word) else word for word in re.split(r"(\s+)", text)]
    text = re.sub(r"(?i)\b(pid|process)([ =:]{1,3})\d+", r"\1\2", "".join(words))
    text = re.sub(r"/tmp/[^\s'\":]+", "/tmp", text)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


_ATTEMPT = re.compile(r"/\d{4,}/(attempt|test)-\d+")


def _sort(kind: str) -> Kind | str:
    """Kinds that are counted together: those of one rule."""
    rule = KINDS[kind]
    return f"{rule.again} {rule.per_checkpoint} {rule.alone}"


def _since_checkpoint(history: Sequence[Failure]) -> list[Failure]:
    """The last failures that happened with the same newest checkpoint as the very last one."""
    newest = history[-1].checkpoint_step if history else None
    since: list[Failure] = []
    for failure in reversed(history):
        if failure.checkpoint_step != newest:
            break
        since.append(failure)
    return since
