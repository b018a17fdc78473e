"""`os._exit` in people's code: it would end the command without a word, maybe with status 0."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

_HERE = threading.local()
_LEAVE = os._exit


@contextmanager
def staying() -> Generator[None]:
    """Lets `os._exit` raise `SystemExit` in this thread; what is forked meanwhile leaves by it."""
    os._exit = _leave  # for good: other threads may be in here too
    before: int | None = getattr(_HERE, "process", None)
    _HERE.process = os.getpid()
    try:
        yield
    finally:
        _HERE.process = before


def _leave(status: Any = 0) -> Any:
    if getattr(_HERE, "process", None) == os.getpid():
        raise SystemExit(f"it called os._exit({status!r})")
    _LEAVE(status)
