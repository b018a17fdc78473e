"""One part that somebody else runs: asked how it is, never started, never ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from raysearch.errors import Unreachable

_ASK_EVERY = 2.0


class Outside:
    """Ray, or a database that was there before; it has the methods of a part."""

    def __init__(self, name: str, answers: Callable[[], str]) -> None:
        self.name, self._answers = name, answers
        self._state, self._reason, self._since = "starting", "", time.time()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)
        self.listeners: list[Callable[[], None]] = []

    def start(self, limit: float) -> None:
        """Asks it once. Raises ConnectionError if it does not answer."""
        self._ask()
        if self._state != "up":
            raise Unreachable(f"{self.name} does not answer: {self._reason}")
        self._thread.start()

    def stop(self) -> None:
        """Asks it no more."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def status(self) -> dict[str, Any]:
        """State (`up`, `down`), since when, and what is wrong."""
        since = round(self._since, 3)
        return {"state": self._state, "since": since, "reason": self._reason, "outside": True}

    def _watch(self) -> None:
        while not self._ending.wait(_ASK_EVERY):
            self._ask()

    def _ask(self) -> None:
        try:
            reason = self._answers()
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
        state = "down" if reason else "up"
        is_news = (state, reason) != (self._state, self._reason)
        if state != self._state:
            self._since = time.time()
        self._state, self._reason = state, reason
        if is_news:
            for listener in self.listeners:
                listener()
