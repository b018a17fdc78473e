"""A program that ends, with all that it has started, when whoever waits for it is gone."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

from raysearch.driver.signals import Signalled, heard
from raysearch.trial import process_tree

_GRACE = 5.0
"""Seconds in which it may end in order."""


def attended(
    command: Sequence[str],
    environment: Mapping[str, str],
    begun: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
    output: IO[bytes] | None = None,
) -> None:
    """Runs a program to its end, or to SIGTERM or SIGHUP of this process; Ctrl-C is raised on.

    `begun` is called with it while it runs; what it says goes to `output`, by default where this
    process speaks.
    """
    with suppress(Signalled), heard():
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            begun(process)
            process.wait()
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    members = process_tree.family(process.pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for member in members:
            process_tree.send(member, number)
        process.poll()
        if process_tree.gone(members, _GRACE):
            break
    process.wait()
