"""Two guardians above the fork server of a host: whichever process is killed, the tree ends.

    host → outer guardian → inner guardian → fork server → trial → what the trial started

Both are subreapers, run no code of an experiment, and ignore what a terminal or a scheduler sends.
The inner one ends everything below it when the host, the node or the outer one is gone; the outer
one when the inner one is. Two, because Ray kills the children of a host that ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

from raysearch.trial import process_tree
from raysearch.trial.guardian import Guardian
from raysearch.trial.private_folder import remove_sockets
from raysearch.trial.sockets import Line

OUTER, INNER = "raysearch-watch", "raysearch-guard"
"""The names of the two processes."""

_TICK = 0.2


def main() -> NoReturn:
    """Starts both; `sys.argv[1]` is JSON: descriptors of two lines to the host, what to import."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    host = os.getppid()
    # Whatever the host ignores or blocks would be inherited by all trials.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    process_tree.adopt_orphans()
    watch, guard = Line(spec["watch"]), Line(spec["guard"])
    alive, held = os.pipe()
    inner = os.fork()
    if inner == 0:
        watch.close()
        os.close(held)
        process_tree.call(INNER)
        process_tree.adopt_orphans()
        Guardian(guard, alive, host, spec).run()
    guard.close()
    os.close(alive)
    process_tree.call(OUTER)
    _outlast(watch, inner)


def _outlast(watch: Line, inner: int) -> NoReturn:
    """Waits for the end of the inner guardian; then nothing may be left."""
    deadline = float("inf")
    while os.waitpid(inner, os.WNOHANG)[0] == 0:
        ready, _, _ = select.select([watch] if deadline == float("inf") else [], [], [], _TICK)
        if ready:  # the host says nothing here: it is gone, and the inner one at work
            deadline = time.monotonic() + 3 * process_tree.DYING
        if time.monotonic() > deadline:
            process_tree.send(inner, signal.SIGKILL)
    process_tree.end_children()
    remove_sockets(inner)
    os._exit(0)
