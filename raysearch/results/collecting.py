"""Python's garbage collector, kept away while a whole search is read."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Generator[None]:
    """For reading many events: no object that is made meanwhile is searched for garbage, ever.

    Almost all of them stay: a million reports are three million objects, through which the
    collector would go again and again while they are read (40 % of that time), and at some moments
    later (a second each, in which no report is answered).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
