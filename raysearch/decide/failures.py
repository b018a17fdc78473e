"""What kinds of failure there are and what each means for the trial and the search."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from raysearch.errors import UnknownName

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
    "exception": Kind("it raised an exception", 1),
    "exit": Kind("it exited", 1),
    "signal": Kind("a signal ended it", 1),
    "hang": Kind("it made no progress within the limit", 1),
    "full": Kind("no space is left on the disk; make some, and resume", 0, stops=True),
    "memory": Kind("it ran out of memory", 1, alone=True, state="infeasible"),
    "diverged": Kind("it diverged", 0, state="infeasible"),
}
EQUAL_TRACEBACKS = 5
"""So many equal tracebacks in a search are a bug of the experiment: two trials, tried twice, may
share one by chance of their configuration; the third one stops the search."""


@dataclass(frozen=True)
class Verdict:
    """What follows from a failure.

    `again`: try it again, from its last checkpoint (`alone`: with no other trial beside it).
    Otherwise it is told in `state`, with `constraint` 1 if it is infeasible. `stop_search` is the
    reason to end the whole search, or empty.
    """

    again: bool
    state: State | None
    constraint: int
    reason: str
    alone: bool = False
    stop_search: str = ""


def verdict(
    kind: str,
    *,
    history: Sequence[Failure],
    shared: bool = False,
    tracebacks: Iterable[str] = (),
) -> Verdict:
    """What follows from a failure of this kind.

    Args:
        kind: one of `KINDS`.
        history: all failures of the trial in order, this one last.
        shared: whether it shared its device or node with another trial.
        tracebacks: those of all failed attempts of the search, this one's last.

    Raises:
        LookupError: there is no such kind.
    """
    if kind not in KINDS:
        raise UnknownName(f"kind of failure must be one of {', '.join(KINDS)}, got {kind!r}")
    rule = KINDS[kind]
    if rule.stops:
        return Verdict(True, None, 0, rule.what, stop_search=rule.what)
    stop = _common_traceback(tracebacks)
    failures = _since_checkpoint(history) if rule.per_checkpoint else list(history)
    same = sum(_sort(failure.kind) == _sort(kind) for failure in failures)
    if same <= rule.again and (shared or not rule.alone):
        reason = f"{rule.what}: tried again ({same} of {rule.again})"
        return Verdict(True, None, 0, reason, alone=rule.alone, stop_search=stop)
    constraint = int(rule.state == "infeasible")
    return Verdict(False, rule.state, constraint, f"{rule.what}: {rule.state}", stop_search=stop)


def traceback_digest(traceback: str) -> str:
    """A hash that equal errors share, although addresses, attempts and processes differ."""
    text = re.sub(r"0x[0-9a-fA-F]+", "0x", traceback)
    text = re.sub(r"\S*/\d{4,}/(attempt|test)-\d+", "attempt", text)
    text = re.sub(r"(?i)\b(pid|process)([ =:]+)\d+", r"\1\2", text)
    text = re.sub(r"/tmp/[^\s'\":]+", "/tmp", text)
    lines = [line.strip() for line in text.strip().splitlines()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


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


def _common_traceback(tracebacks: Iterable[str]) -> str:
    digests = [traceback_digest(text) for text in tracebacks if text.strip()]
    if not digests:
        return ""
    count = Counter(digests)[digests[-1]]
    if count < EQUAL_TRACEBACKS:
        return ""
    return f"{count} attempts failed with the same traceback"
