"""Signs of life of evaluations that take long: to the search, and to the other workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

from trainables.core import distributed
from trainables.core.session import Session

_SAID_EVERY = 10.0
"""Seconds between two words to the other workers."""
_hearer: ContextVar[Callable[[], None]] = ContextVar("_hearer", default=lambda: None)
"""Who is told that an evaluation lives."""


def alive() -> None:
    """Says that an evaluation lives: for one that may take minutes, as often as it likes.

    The search hears it, for which a run without a word hangs in the end, and so do the other
    workers of a group, whose wait for rank 0 is limited too. To be called in the thread of the
    evaluation; elsewhere, and outside of one, it says nothing.
    """
    _hearer.get()()


@contextmanager
def heard_by(session: Session) -> Generator[None]:
    """Within the block, and on rank 0 alone, `alive` reaches a session and the other workers.

    They are in `distributed.await_first` meanwhile, and go on when it ends well.
    """
    said, mine = time.monotonic(), os.getpid()
    say = getattr(session, "alive", lambda: None)  # sessions that people wrote may be older

    def hear() -> None:
        nonlocal said
        if os.getpid() != mine:  # a process that loads data: nobody knows it
            return
        say()
        if time.monotonic() - said >= _SAID_EVERY:
            said = time.monotonic()
            distributed.first(False)

    token = _hearer.set(hear)
    try:
        yield
    finally:
        _hearer.reset(token)
    distributed.first(True)
