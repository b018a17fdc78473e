"""A process beside a worker of a group, which outlives it and ends what it leaves.

A worker is Ray's own process: no guardian can be above it. So what is below it is looked at again
and again; it stays there as long as the worker lives, which is a subreaper.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import NoReturn

from raysearch.trial import process_tree

_EVERY = 0.3
_PROGRAM = "from raysearch.trial.group.watcher import main; main()"


def watch_this_process() -> None:
    """Starts a watcher of this process; what it starts from now on stays below it.

    The watcher is no child of it: Ray kills those of a worker that ends.
    """
    command = [sys.executable, "-c", _PROGRAM, str(os.getpid())]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    process_tree.adopt_orphans()


def main() -> NoReturn:
    """Watches the process `sys.argv[1]` from a process of its own, until that one is gone."""
    if os.fork():
        os._exit(0)
    os.setsid()
    process_tree.call("raysearch-watch")
    watch(int(sys.argv[1]))
    os._exit(0)


def watch(pid: int) -> None:
    """Waits for the end of a process; then ends all that was seen below it the last two times.

    What is there and was not seen then had been started within the last third of a second.
    """
    born, before, seen = process_tree.birth(pid), set[tuple[int, int]](), set[tuple[int, int]]()
    while process_tree.alive(pid) and process_tree.birth(pid) == born:
        before, seen = (
            seen,
            {(each, process_tree.birth(each)) for each in process_tree.family(pid)[1:]},
        )
        time.sleep(_EVERY)
    for each, its_birth in before | seen:
        if process_tree.birth(each) == its_birth:
            process_tree.kill_tree(each)
