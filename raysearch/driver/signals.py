"""Signals that reach a driver before or after its search runs: it ends in order, and says so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

_outcomes = threading.Event()
"""Whether somebody waits for `Signalled`."""


class Signalled(BaseException):
    """SIGTERM or SIGHUP came while no search ran; `str` is the signal's name.

    It is no `Exception`: what is being started must not take it for a failed start.
    """


@contextmanager
def heard() -> Generator[None]:
    """Raises `Signalled` here at the first SIGTERM or SIGHUP, once, unless that is ignored (nohup).

    While a search runs the driver has handlers of its own. Elsewhere than in the main thread, which
    alone hears signals, nothing happens.
    """

    def raise_once(number: int, frame: Any) -> None:
        for each in saved:
            signal.signal(each, signal.SIG_IGN)  # what ends in order is not to be torn down
        raise Signalled(signal.Signals(number).name)

    saved: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                saved[number] = signal.signal(number, raise_once)
    if saved:
        _outcomes.set()
    try:
        yield
    finally:
        if saved:
            _outcomes.clear()
        for number, handler in saved.items():
            signal.signal(number, handler)


@contextmanager
def unchanged() -> Generator[None]:
    """Undoes that `ray.init` replaces the handler of SIGTERM by one that exits with status 15.

    Raises:
        Signalled: SIGTERM came while that one stood, and it is `heard`; otherwise it exits as Ray
            has it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as error:
        if error.code == signal.SIGTERM and _outcomes.is_set():
            raise Signalled(signal.SIGTERM.name) from None
        raise
    finally:
        if signal.getsignal(signal.SIGTERM) != signal.SIG_IGN:  # as `heard` leaves it for the end
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def deferred() -> Generator[None]:
    """Lets a SIGTERM or SIGHUP wait for the end of the block, so that what it ends is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    saved: dict[int, Any] = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            saved[number] = signal.signal(number, lambda which, _: came.append(which))
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
