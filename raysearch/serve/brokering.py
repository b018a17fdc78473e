"""A process that sees to it that the broker of slots is there, also after Ray has lost it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from raysearch.serve.state import ServiceState

_LOOK_EVERY = 5.0
_STALE = 60.0


def keep(state: Path) -> None:
    """Makes the broker if it is not there, again and again; ends with what Ray says."""
    from raysearch.serve.broker import ensure

    while True:
        service = ServiceState.read(state)
        ensure(service.ray_address, service.options.get("user_limit"))
        _sign(state).touch(mode=0o600)
        time.sleep(_LOOK_EVERY)


def answers(state: Path) -> str:
    """Nothing if the broker was seen within a minute."""
    sign = _sign(state)
    age = time.time() - sign.stat().st_mtime if sign.exists() else float("inf")
    return "" if age < _STALE else "the broker of slots is not there"


def forget(state: Path) -> None:
    """The broker has to be seen anew."""
    _sign(state).unlink(missing_ok=True)


def _sign(state: Path) -> Path:
    return state / "broker.seen"


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
