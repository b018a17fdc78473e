"""The process that keeps the broker of slots alive, also after Ray has lost it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from raysearch.files import write_privately
from raysearch.server.state import ServiceState

_LOOK_EVERY = 5.0
_STALE = 60.0


def keep(state: Path) -> None:
    """Makes the broker if it is not there, again and again, and writes down what it says.

    It ends with what Ray says if that refuses.
    """
    from raysearch.driver.broker import describe, ensure

    while True:
        service = ServiceState.read(state)
        service.use_token()
        ensure(service.ray_address, service.options.get("user_limit"))
        write_privately(_sign(state), json.dumps(describe(service.ray_address)))
        time.sleep(_LOOK_EVERY)


def answers(state: Path) -> str:
    """Nothing if the broker was seen within a minute."""
    sign = _sign(state)
    age = time.time() - sign.stat().st_mtime if sign.exists() else float("inf")
    return "" if age < _STALE else "the broker of slots is not there"


def slots(state: Path) -> list[dict[str, Any]]:
    """Who has which slots, as the broker said it last; a row for each search that is driven."""
    try:
        return list(json.loads(_sign(state).read_text())["searches"])
    except FileNotFoundError:
        return []


def forget(state: Path) -> None:
    """The broker has to be seen anew."""
    _sign(state).unlink(missing_ok=True)


def _sign(state: Path) -> Path:
    return state / "broker.json"


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
