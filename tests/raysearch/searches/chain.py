"""A small experiment without torch: a hash chain shows whether a step was lost or doubled."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any


def run(config: dict[str, Any], session: Any) -> None:
    """Goes `steps` steps, reports and saves after each second one; ends in the way it is told."""
    restored = session.restored()
    state: dict[str, Any] = {"step": 0, "chain": "start"}
    if restored:
        state = json.loads(restored.read_text())
    session.describe({"data.name": "chain", "data.fingerprint": "0" * 16, "parameters": 1})
    first = restored is None
    for step in range(state["step"] + 1, config["steps"] + 1):
        time.sleep(config["pause"])
        state = {"step": step, "chain": advance(state["chain"], step)}
        if step % 2 == 0 or step == config["steps"]:
            session.report(step, metrics(config, state), save(session.folder, state))
        if step == config["steps"] // 2 + 1 and (first or config["way"] not in ("killed", "host")):
            misbehave(config["way"])
    (session.folder / "end.json").write_text(json.dumps(state))
    session.artifact("end.json", session.folder / "end.json")


def advance(chain: str, step: int) -> str:
    """The next link."""
    return hashlib.sha256(f"{chain}/{step}".encode()).hexdigest()


def metrics(config: dict[str, Any], state: dict[str, Any]) -> dict[str, float]:
    """A score that grows with the steps towards a value that depends on x and y."""
    goal = 1.0 - (config["x"] - 0.3) ** 2 - 0.1 * abs(config["y"] - 3)
    score = goal * (1 - 0.5 ** state["step"])
    if config["way"] == "nan":
        score = float("nan")
    link = int(state["chain"][:6], 16)
    return {"val/score": score, "val/link": float(link), "progress/epochs": float(state["step"])}


def save(folder: Path, state: dict[str, Any]) -> Path:
    """Atomic: a temporary name first."""
    path = folder / "checkpoints" / f"step-{state['step']:08d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(state))
    os.replace(temporary, path)
    return path


def misbehave(way: str) -> None:
    """Every way in which foreign code can end."""
    if way == "raise":
        raise RuntimeError("this configuration always fails")
    elif way == "exit":
        os._exit(7)
    elif way == "segv":
        ctypes.string_at(0)
    elif way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "host":
        os.kill(int(os.environ["RAYSEARCH_HOST"].rpartition("@")[2]), signal.SIGKILL)
        time.sleep(30)
    elif way == "memory":
        raise MemoryError("no room for this configuration")
    elif way == "grow":
        grown = [bytearray(64 << 20) for _ in range(40)]
        time.sleep(30)
        del grown
    elif way == "hang":
        time.sleep(1000)
