"""The fork server of a host: it has imported what trials need, and forks one process a trial."""

from __future__ import annotations

import atexit
import importlib
import logging
import multiprocessing
import os
import select
import signal
import sys
import tempfile
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import process, resource_tracker, util
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any, NoReturn

from raysearch.trial import process_tree
from raysearch.trial.private_folder import FOLDER
from raysearch.trial.sockets import Line

FORK, TRIAL = "raysearch-fork", "raysearch-trial"
"""The names of the server and of the processes that it forks."""

_COMPILED = "TORCHINDUCTOR_CACHE_DIR"
"""Where torch keeps what it has compiled; it sets this when it is imported."""

_SHELTERED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that mean trials, or nobody here: the server ends with its guardian."""


def serve_forks(line: Line, guardian: int, libraries: Sequence[str], experiment: str) -> NoReturn:
    """Imports, says `ready`, and forks at each request until it is killed.

    A request carries two descriptors: the line of the trial's session, and a pipe that is told the
    process id and, when the trial is gone, its exit code. If the pipe closes without a code this
    server was killed, and the trial with it.
    """
    process_tree.call(FORK)
    process_tree.die_with(guardian)
    _become_main(experiment)
    with _temporary_files_that_go_with_ray():
        for name in libraries:
            _import(name)
        _forget_libraries()
        line.send({"said": "experiment"})
        _import(experiment.partition(":")[0])
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _SHELTERED}
    handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
    wakes, waked = os.pipe()
    for end in (wakes, waked):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waked, warn_on_full_buffer=False)
    line.send({"said": "ready"})
    trials: dict[int, int] = {}  # and the pipe that is told of each
    while True:
        ready, _, _ = select.select([line, wakes], [], [])
        if wakes in ready:
            with suppress(BlockingIOError):
                os.read(wakes, 1 << 16)
            _tell_the_dead(trials)
        if line not in ready:
            continue
        message, descriptors = line.receive()
        if message is None:
            os._exit(0)
        session, told = descriptors
        server, pid = os.getpid(), os.fork()
        if pid == 0:
            line.close()
            _restore(handlers, [wakes, waked, told, *trials.values()])
            _begin(session, server, message["sockets"])
        trials[pid] = told
        os.close(session)
        _tell(told, pid)
        line.send({"said": "forked", "pid": pid})


@contextmanager
def _temporary_files_that_go_with_ray() -> Generator[None]:
    """What modules make in the temporary folder when they are imported lies in the private folder
    of our own Ray, if there is one: this server is killed, and its exit handlers never run.
    """
    folder = os.environ.get(FOLDER)
    if folder is not None:
        with suppress(OSError):  # a full disk
            os.makedirs(f"{folder}/imported", exist_ok=True)
            tempfile.tempdir = f"{folder}/imported"
    try:
        yield
    finally:
        tempfile.tempdir = None
        if folder is not None and os.environ.get(_COMPILED, "").startswith(folder):
            del os.environ[_COMPILED]  # which is worth keeping: torch finds its usual place again


def _import(name: str) -> None:
    """Imports a module; one that cannot be imported fails in the trial, where it is told."""
    with suppress(BaseException):
        importlib.import_module(name)


def _become_main(experiment: str) -> None:
    """Looks like the program of a trial: no main module that its processes would import."""
    main = ModuleType("__main__")
    vars(main)["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = main
    sys.argv = [experiment]


def _forget_libraries() -> None:
    """Undoes what importing libraries left for the experiment to find: a start method of processes,
    exit handlers. What the module of the experiment leaves is its own.
    """
    multiprocessing.set_start_method(None, force=True)
    atexit._clear()  # pyright: ignore[reportPrivateUsage]
    for finalizer in list(vars(weakref.finalize)["_registry"]):
        finalizer.atexit = False
    finalize: Any = weakref.finalize
    finalize._registered_with_atexit = False  # the next one registers anew
    atexit.register(logging.shutdown)
    atexit.register(vars(util)["_exit_function"])


def _restore(handlers: Mapping[signal.Signals, Any], descriptors: Sequence[int]) -> None:
    """Takes from a fork what is the server's alone."""
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
    for descriptor in descriptors:
        os.close(descriptor)


def _tell_the_dead(trials: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
            pid, status = ended
            if pid in trials:
                _tell(trials[pid], os.waitstatus_to_exitcode(status))
                os.close(trials.pop(pid))


def _tell(descriptor: int, number: int) -> None:
    with suppress(OSError):  # the host is gone
        os.write(descriptor, f"{number}\n".encode())


def _begin(session: int, server: int, sockets: str) -> NoReturn:
    """The process of a trial, fresh: as if it had been started by itself, with all imported.

    What it starts stays below it, even what forks twice; a session of its own keeps Ctrl-C for the
    driver.
    """
    process_tree.call(TRIAL)
    process_tree.die_with(server)
    process_tree.adopt_orphans()
    os.setsid()
    process.current_process().authkey = os.urandom(32)
    if sockets:
        vars(process.current_process())["_config"]["tempdir"] = sockets
    tracker: dict[str, Any] = vars(vars(resource_tracker)["_resource_tracker"])
    tracker["_fd"] = tracker["_pid"] = None
    try:
        from raysearch.trial.session import serve

        serve(Connection(session))
    finally:
        os._exit(1)
