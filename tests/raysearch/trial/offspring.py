"""An experiment whose processes try to outlive it, speak for it, or leave what they share."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.shared_memory
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import process, resource_tracker
from pathlib import Path
from typing import Any

WAYS_TO_HIDE = {
    "session": ["setsid", "sh", "-c"],
    "empty": ["env", "-i", "/bin/sh", "-c"],
    "both": ["env", "-i", "setsid", "/bin/sh", "-c"],
}


def run(config: dict[str, Any], session: Any) -> None:
    WAYS[config["way"]](config, session)


def hide(folder: Path) -> list[Path]:
    """Starts a process in each way to hide, and again below one that ends at once; each says its
    process id in a file and goes on writing to another."""
    files: list[Path] = []
    for name, begin in WAYS_TO_HIDE.items():
        for depth in ("child", "orphan"):
            file = folder / f"{name}-{depth}.pid"
            act = f"echo $$ > {file}; while :; do echo x >> {folder}/written; sleep 0.05; done"
            command = [*begin, act if depth == "child" else f"({act}) & exit 0"]
            if depth == "orphan":
                command[-1] = f"/bin/sh -c '{act}' >/dev/null 2>&1 & exit 0"
            subprocess.Popen(command)
            files.append(file)
    while not all(file.exists() and file.read_text().strip() for file in files):
        time.sleep(0.01)
    return files


def hiding(config: dict[str, Any], session: Any) -> None:
    hide(session.folder)
    session.report(1, {"score": 1.0})
    if config["end"] == "hang":
        time.sleep(1000)
    if config["end"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)


def forking(config: dict[str, Any], session: Any) -> None:
    """Forks a process that leaves `run` by itself, and one that tries to report."""
    if (pid := os.fork()) == 0:
        if config["fork"] == "returns":
            return
        if config["fork"] == "raises":
            raise ValueError("in a fork")
        session.report(99, {"score": 99.0})
    os.waitpid(pid, 0)
    session.report(1, {"score": 1.0})


class Squares:
    """Something that a process which was spawned must import from here."""

    def __call__(self, number: int) -> int:
        return number**2


def fresh(config: dict[str, Any], session: Any) -> None:
    """Says what a program of its own would see, and starts processes in every way."""
    handlers = {name: signal.getsignal(getattr(signal, name)) for name in ("SIGINT", "SIGHUP")}
    facts: dict[str, Any] = {
        "method": multiprocessing.get_start_method(allow_none=True),
        "parent": multiprocessing.parent_process() is not None,
        "name": process.current_process().name,
        "daemon": process.current_process().daemon,
        "arguments": len(sys.argv),
        "tracker": vars(vars(resource_tracker)["_resource_tracker"])["_pid"],
        "main": getattr(sys.modules["__main__"], "__file__", None),
        "default": handlers == {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL},
    }
    multiprocessing.set_start_method(config["method"])
    with multiprocessing.Pool(1) as pool:
        facts["squares"] = pool.map(Squares(), range(3))
    facts["draws"] = draws()
    note = session.folder / "handled.txt"
    atexit.register(lambda: note.write_text("handled"))
    session.describe(facts)
    session.report(1, {"score": 1.0})


def draws() -> list[float]:
    """One number from each global generator."""
    import numpy
    import torch

    return [random.random(), float(numpy.random.random()), float(torch.rand(()))]


def sharing(config: dict[str, Any], session: Any) -> None:
    """Makes shared memory and semaphores, uses a block of somebody else's, and never cleans up."""
    import torch
    import torch.multiprocessing

    made = multiprocessing.shared_memory.SharedMemory(create=True, size=1 << 16)
    other = config["other"] and multiprocessing.shared_memory.SharedMemory(config["other"])
    semaphore = multiprocessing.get_context("spawn").Semaphore()
    torch.multiprocessing.set_sharing_strategy("file_system")
    tensor = torch.zeros(1 << 16).share_memory_()
    session.describe({"made": made.name, "tensor": len(tensor)})
    session.report(1, {"score": float(other is None)})
    if config["end"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if config["end"] == "exit":
        os._exit(3)
    del semaphore


def talking(config: dict[str, Any], session: Any) -> None:
    """Says more than anybody reads."""
    print("the first line")
    for number in range(config["lines"]):
        print(f"{number:08d} " + "x" * 1014)
    subprocess.run(["sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' y; echo"], check=True)
    print("the last line")
    session.report(1, {"score": 1.0})


def lingering(config: dict[str, Any], session: Any) -> None:
    """Has an exit handler, a thread and a pool that do not end by themselves."""
    vars(sys.modules["raysearch.trial.own_process"])["_HANDLERS_LIMIT"] = 0.3
    session.report(1, {"score": 1.0})
    threading.Thread(target=time.sleep, args=(1000,)).start()
    ThreadPoolExecutor(1).submit(time.sleep, 1000)
    atexit.register(time.sleep, 1000)


WAYS = {
    "lingering": lingering,
    "hiding": hiding,
    "forking": forking,
    "fresh": fresh,
    "sharing": sharing,
    "talking": talking,
}
