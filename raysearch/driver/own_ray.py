"""A Ray of our own on this machine: private, started with patience, watched, ended to the last."""

from __future__ import annotations

import ctypes
import itertools
import logging
import os
import re
import secrets
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from raysearch.driver.signals import deferred, unchanged
from raysearch.errors import NoRay, sentence
from raysearch.terminal import say
from raysearch.trial.private_folder import FOLDER, PrivateFolder
from raysearch.trial.process_tree import children, gone, kill_tree, name_of

PATIENCE = "RAYSEARCH_RAY_START"
"""Environment variable: for how many seconds each try to start Ray may take, as `60,180,540`."""
_PATIENCE = "60,180,540"
"""A start takes 4 s on two quiet cores, and took over 30 s, Ray's own limit, under load."""
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Set to 0, Ray's node is 127.0.0.1 and all its servers listen there alone."""
_LOGS = 4096
"""Bytes at the end of a log of Ray in which its reason is looked for."""
_ROUNDS = 10
"""How often what is left is looked for, since a raylet starts agents while it is being ended."""
_LOOK_EVERY, _COMES_OUT = 0.2, 20.0
"""Seconds between two looks at a server while Ray is started, and for `ray.init` to hear of it."""
_PATIENT = 20
"""Looks, one a second: before Ray itself takes the node for dead, which takes half a minute."""


_DRIVERS = {signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP}
"""Signals that mean the driver, whoever gets them."""


class RayLost(BaseException):
    """Our own Ray has ended: says how.

    It is no `Exception`, at which Tune would clean up, and wait for ever for a Ray that is gone.
    """


class OwnRay:
    """A Ray that this process has started: its private folder, and whether it still lives."""

    def __init__(self, folder: Path, node: Any) -> None:
        self.folder = folder
        self._watched: list[tuple[str, Any]] = [
            (name, started.process)
            for name in ("gcs_server", "raylet")
            for started in node.all_processes.get(name, ())
        ]
        for started in itertools.chain(*node.all_processes.values()):
            started.process.terminate = started.process.kill  # they do not hear it: see `_DRIVERS`
        self._stopped: Counter[str] = Counter()

    @property
    def processes(self) -> dict[str, int]:
        """The process ids of what must live: `gcs_server` and `raylet`."""
        return {name: process.pid for name, process in self._watched}

    def loss(self) -> str:
        """What of it has ended by itself or was killed, in words; empty while all lives."""
        for name, process in self._watched:
            if process.poll() is not None:
                return f"Ray's {name} (process {process.pid}) has ended"
        return ""

    def look(self) -> None:
        """Kills what has been stopped alone for so many looks: nothing goes on without it.

        By looks, not by the clock: whoever stops this process too stops them.
        """
        for name, process in self._watched:
            with suppress(psutil.Error):
                stopped = psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
                self._stopped[name] = self._stopped[name] + 1 if stopped else 0
                if self._stopped[name] > _PATIENT:
                    process.kill()

    def remove(self) -> None:
        """Ends all that is left of it, and removes its folder."""
        end_left(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def own_ray(cpus: int, namespace: str) -> Generator[OwnRay]:
    """Starts a Ray that only this user and only this machine reach; ends it with all it started.

    It listens on 127.0.0.1 alone and asks for a token that is drawn for it. What it writes is in a
    folder of mode 0700, which is removed with it; those of killed drivers are removed first.

    Raises:
        NoRay: it did not start in three tries, the later ones more patient.
    """
    for left in PrivateFolder.left():
        end_left(left)
        shutil.rmtree(left, ignore_errors=True)
    with PrivateFolder() as folder, _environment(folder):
        try:
            _start(folder, cpus, namespace)
            from ray._private import worker

            yield OwnRay(folder, vars(worker)["_global_node"])
        finally:
            _end(folder)


def end_left(folder: Path) -> None:
    """Kills what the Ray of a private folder has left of itself, and what that starts meanwhile."""
    for _ in range(_ROUNDS):
        found = marked(folder)
        for pid in found:
            kill_tree(pid)
        if not found or gone(found, 1.0) and not marked(folder):
            return


def marked(folder: Path) -> list[int]:
    """The processes that the Ray of a private folder has started, by the mark in their environment
    or by their logs; this process, which has started it, is none of them.

    Whoever gives itself a title, as Ray's agents do, writes it over its environment.
    """
    mark = f"{FOLDER}={folder}".encode()
    found = [pid for pid in psutil.pids() if pid != os.getpid()]
    return [pid for pid in found if mark in _environ(pid).split(b"\0") or _writes(pid, folder)]


def _writes(pid: int, folder: Path) -> bool:
    """Whether a process has a file in a folder open to write to it; whoever only reads a log is not
    Ray's.
    """
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if os.readlink(link).startswith(f"{folder}/") and _is_to_write(pid, link.name):
                    return True
    return False


def _is_to_write(pid: int, descriptor: str) -> bool:
    said = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text()
    flags = next(line.split()[1] for line in said.splitlines() if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@contextmanager
def _environment(folder: Path) -> Generator[None]:
    """What Ray, and all that it starts, reads from the environment; as it was, afterwards."""
    from ray import _raylet
    from ray._private import ray_constants

    known: Mapping[str, Any] = vars(_raylet)
    tokens = known["AuthenticationTokenLoader"].instance()
    values = {
        FOLDER: str(folder),
        _LOOPBACK: "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    saved = {name: os.environ.get(name) for name in (*values, *_limits(1))}
    clustered = ray_constants.ENABLE_RAY_CLUSTER
    os.environ.update(values)
    ray_constants.ENABLE_RAY_CLUSTER = False  # read when Ray was imported, which may be long ago
    tokens.reset_cache()
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clustered
        _restore(saved)
        tokens.reset_cache()
        known["Config"].initialize("")


def _restore(saved: Mapping[str, str | None]) -> None:
    for name, value in saved.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _start(folder: Path, cpus: int, namespace: str) -> None:
    """Starts Ray in a few tries, each with a longer limit; ends what a failed one has left."""
    limits = [float(text) for text in os.environ.get(PATIENCE, _PATIENCE).split(",")]
    why = ""
    tell(f"starting Ray, for at most {limits[0]:g} s ...")
    for number, limit in enumerate(limits):
        try:
            _try(folder / str(number), limit, cpus, namespace)
            return
        except Exception as error:  # Ray raises bare exceptions too
            why = _reason(folder / str(number), error)
            _end(folder)
        if number + 1 < len(limits):
            tell(
                f"Ray did not start ({why}): trying again, for at most {limits[number + 1]:g} s ..."
            )
    tries = ",".join(f"{limit:g}" for limit in limits)
    raise NoRay(
        f"Ray does not start on this machine, in {len(limits)} tries of at most {tries} s: {why}; "
        f"give the same command again when less runs here, or set {PATIENCE} to more than {tries}"
    )


def _limits(seconds: float) -> dict[str, str]:
    """The limits of Ray's own steps, which are what a slow machine exceeds."""
    return {
        "RAY_raylet_start_wait_time_s": str(round(seconds)),
        "RAY_gcs_server_port_wait_time_s": str(round(seconds)),
        "RAY_py_gcs_connect_timeout_s": str(max(round(seconds), 1)),
        "RAY_agent_register_timeout_ms": str(max(round(1000 * seconds), 1000)),
        "RAY_worker_register_timeout_seconds": str(max(round(seconds), 300)),
        "RAY_gcs_rpc_server_reconnect_timeout_s": "120",  # we see its end long before Ray does
        "RAY_prestart_worker_first_driver": "0",  # hosts have an environment of their own
    }


def _try(folder: Path, limit: float, cpus: int, namespace: str) -> None:
    import ray
    from ray._raylet import Config  # pyright: ignore[reportAttributeAccessIssue]

    os.environ.update(_limits(limit))
    Config.initialize("")  # which was read when Ray was imported
    with _of_its_own(), unchanged(), _watched_start(folder.parent):
        ray.init(
            address="local",  # None would join whatever runs on this machine
            namespace=namespace,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            num_cpus=cpus,
            include_dashboard=False,
            _temp_dir=str(folder),
        )


class _ServerLost(Exception):
    """Ray's first server has ended while Ray was started."""

    def __str__(self) -> str:
        """As it is said between two tries."""
        return "its gcs_server was ended meanwhile"


@contextmanager
def _watched_start(folder: Path) -> Generator[None]:
    """Raises `_ServerLost` here if Ray's first server dies while Ray is started.

    Where Ray waits for it outside of Python, where nothing can be raised, this process is ended in
    a sentence: Ray would do so after two minutes, without a word.
    """
    done, here = threading.Event(), threading.get_ident()
    thread = threading.Thread(target=_watch_start, args=(folder, done, here), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _watch_start(folder: Path, done: threading.Event, here: int) -> None:
    seen = set[int]()
    while not done.wait(_LOOK_EVERY):
        living = {pid for pid in children(os.getpid()) if name_of(pid) == "gcs_server"}
        if seen <= living:
            seen |= living
            continue
        raised = ctypes.py_object(_ServerLost)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(here), raised)
        if not done.wait(_COMES_OUT):
            tell(
                f"error: Ray does not start on this machine: {_ServerLost()}; what was reported "
                f"before is saved: give the same command again, or `raysearch resume`"
            )
            end_left(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(os.EX_UNAVAILABLE)
        return


@contextmanager
def _of_its_own() -> Generator[None]:
    """What is started here hears nothing of a closed terminal, of Ctrl-Z, or of a SIGTERM to all of
    a group, as `timeout` and schedulers send it: the driver does, and lets trials save.
    """
    saved = signal.pthread_sigmask(signal.SIG_BLOCK, _DRIVERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, saved)


def _end(folder: Path) -> None:
    """Ends Ray and everything that bears the mark of its folder; nothing is an error here."""
    import ray

    with deferred():
        with suppress(Exception):
            ray.shutdown()
        end_left(folder)


def _reason(folder: Path, error: Exception) -> str:
    """What Ray says, and the last error in the logs of the two that must start, on one line."""
    said = [sentence(error).partition(" Last ")[0].rstrip(" .")]
    for name in ("gcs_server", "raylet"):
        for log in sorted(folder.glob(f"session_2*/logs/{name}.*")):
            with suppress(OSError):
                text = log.read_text(errors="replace")[-_LOGS:]
                said += re.findall(rf" [CE] \d+ \d+\] \({name}\) \S+ (.*)", text)[-1:]
    return ": ".join(text[:200].rstrip(" .") for text in dict.fromkeys(said))


def tell(text: str) -> None:
    """A line for whoever waits; nobody may be listening any more."""
    with suppress(OSError, ValueError):
        say(text, err=True)
