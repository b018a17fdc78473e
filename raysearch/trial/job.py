"""The job of a trial's process, and the messages it sends back: plain data, no torch, no Ray."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Message = dict[str, Any]
"""One message of a child. `kind` is `describe`, `artifact`, `report`, `refused`, `alive` or `end`;
the rest is in `PipeSession`, which sends the first five, and in `process`, which sends the last."""

ALIVE = "alive"
"""The kind of a message that says nothing else: the host takes it in, and it goes no further."""


@dataclass(frozen=True)
class Job:
    """One attempt at one trial.

    Paths are absolute: `root` is the folder of the search, `folder` that of the attempt. `purpose`
    is `run` (training), `test` (the test split) or `evaluate` (other evaluations). `threads`
    is the number of CPU threads of the process, `memory` its limit in bytes (0: none), `patience`
    the longest silence in seconds before it counts as hung, `lease` the longest wait for an answer
    before it looks whether the `driver` (its mark) is still there, and ends itself if it is not.
    `objectives` are names, directions and reductions of the metrics; `kept` the checkpoints that
    earlier attempts left (as `checkpoints.Kept`). `paths` go to the front of `sys.path`, and the
    last is the working folder. `workers` above 1 are a group, each with so many `cpus` and `gpus`.
    `own_workers` are those that a program is to start by itself, with all of these for its own.
    `code` names the snapshot of the code in the folder of the search. What the process started has
    `grace` seconds to end by SIGTERM when the attempt is ended (0: it is killed at once).
    `reported` are the objectives that earlier attempts have reported.
    """

    search: str
    root: str
    trial: int
    attempt: int
    experiment: str
    config: dict[str, Any]
    folder: str
    purpose: str = "run"
    restored: str | None = None
    threads: int = 1
    memory: int = 0
    patience: float = 1800.0
    lease: float = 300.0
    driver: str = ""
    objectives: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    kept: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    paths: list[str] = field(default_factory=list[str])
    workers: int = 1
    own_workers: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    code: str = ""
    grace: float = 0.0
    reported: list[str] = field(default_factory=list[str])

    def to_json(self) -> str:
        """This job as one line of JSON: all that Ray Tune gets to copy."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Job:
        """The job written by `to_json`."""
        data: Mapping[str, Any] = json.loads(text)
        return cls(**data)

    @property
    def label(self) -> str:
        """What marks the processes of this search: no search in another folder shares it."""
        return label_of(Path(self.root))

    @property
    def log(self) -> Path:
        """The file that collects standard output and error of this attempt."""
        return Path(self.folder) / "log.txt"

    @property
    def traceback(self) -> Path:
        """The file with the traceback, written when the attempt raised."""
        return Path(self.folder) / "traceback.txt"


def label_of(folder: Path) -> str:
    """The label of all processes of the search in a folder: its name and a hash of where it is."""
    return f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
