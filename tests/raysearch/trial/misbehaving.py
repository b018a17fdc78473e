"""An experiment that ends in every way a process can end; named by its configuration."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from typing import Any

import torch


def run(config: dict[str, Any], session: Any) -> None:
    print(f"attempt in {session.folder.name}")
    modules = sorted(set(sys.modules) & {"torch", "torch._dynamo", "timm"})
    session.describe({"modules": modules, "folder": os.getcwd()})
    for step in range(1, config.get("reports", 2) + 1):
        session.report(step, {"score": step / 10})
    way = config["way"]
    if way == "raise":
        raise ValueError("this experiment always fails")
    elif way == "diverge":
        raise FloatingPointError("loss is nan at step 3")
    elif way == "exit":
        os._exit(int(config.get("code", 3)))
    elif way == "segv":
        ctypes.string_at(0)
    elif way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "memory error":
        raise MemoryError("no room")
    elif way == "grow":
        grown = [bytearray(64 << 20) for _ in range(12)]
        time.sleep(20)
        del grown
    elif way == "hang":
        time.sleep(1000)
    elif way == "lives":
        for _ in range(50):
            session.alive()
            time.sleep(0.1)
    elif way == "lives and grows":
        grown = list[bytearray]()
        while True:
            session.alive()
            grown.append(bytearray(16 << 20))
            time.sleep(0.01)
    elif way == "offspring":
        sleeper = [sys.executable, "-c", "import time; time.sleep(1000)"]
        subprocess.Popen(sleeper, start_new_session=True)
        subprocess.Popen(["sh", "-c", "(setsid sleep 1000 &)"])
        time.sleep(0.5)
        if config.get("hang"):
            time.sleep(1000)
    elif way == "goes back":
        session.report(1, {"score": 0.1})
    elif way == "two values":
        session.report(2, {"score": 0.3})
    elif way.startswith("sys.exit"):
        sys.exit({"()": None, "(0)": 0, "(1)": 1}[way.removeprefix("sys.exit")])
    elif way == "no watches":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "inotify")
    elif way == "no memory in torch":
        torch.empty(1 << 60, dtype=torch.uint8)
    elif way == "fork goes on":
        if child := os.fork():
            os.waitpid(child, 0)
            raise ValueError("said by the trial itself")
        sys.exit(0)
    elif way == "fork reports":
        if child := os.fork():
            assert os.waitpid(child, 0)[1] != 0
            return
        session.report(3, {"score": 0.5})
    elif way == "writes on":
        path = session.folder / "step-9.pt"
        path.write_text("weights of step 9")
        session.report(9, {"score": 0.9}, path)
        path.write_text("weights of step 10")
    elif way == "raises in a circle":
        sys.excepthook = None
        error = ValueError("because of itself")
        raise error from error
    elif way == "closes its output":
        sys.stdout.close()
    elif way == "closes its errors":
        sys.stderr.close()
        raise ValueError("said all the same")
    elif way == "no output":
        sys.stdout = sys.stderr = None
    elif way == "describes on":
        for count in range(3000):
            session.describe({"count": count})
    elif way == "text metric":
        session.report(9, {"score": "high"})
    else:
        assert way == "well"
