"""Trains one experiment under torchrun, or alone, without a search.

    torchrun --nproc-per-node 2 -m trainables.core.launch \\
        trainables.ssl.experiment:SupervisedExperiment config.json --folder run

`config.json` is a configuration, or a record that has one as `config`. Checkpoints, figures,
`reports.jsonl` (step and metrics of each report, a line each) and `costs.jsonl` (step and costs) go
to the folder; the same command again goes on from the newest checkpoint there, with as many workers
as one likes. SIGTERM to all ranks saves and ends.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from trainables.core import distributed


class FolderSession:
    """A session that prints reports and appends them to files; nobody decides anything.

    It hands out the newest checkpoint in its folder, and stops once `stop` is set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.stop = folder, False

    def restored(self) -> Path | None:
        """The newest checkpoint in the folder."""
        return max((self.folder / "checkpoints").glob("*.pt"), default=None)

    def describe(self, facts: Mapping[str, object]) -> None:
        """Prints the facts."""
        print(json.dumps(dict(facts)), flush=True)

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Prints what has at most one part after the first `/`, and keeps all."""
        for file, found in (("reports.jsonl", metrics), ("costs.jsonl", costs or {})):
            if not found:
                continue
            with (self.folder / file).open("a") as lines:
                lines.write(json.dumps({"step": step, **found}) + "\n")
            shown = {name: value for name, value in found.items() if name.count("/") <= 1}
            values = ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
            print(f"step {step}: {values}")

    def artifact(self, name: str, path: Path) -> None:
        """Prints where a picture lies."""
        print(f"{name}: {path}")

    def alive(self) -> None:
        """Nothing: nobody waits for a word."""

    def should_stop(self) -> bool:
        """Whether SIGTERM has come."""
        return self.stop


def main(arguments: list[str] | None = None) -> None:
    """Joins the group that torchrun describes in the environment, if it does, and trains."""
    parser = argparse.ArgumentParser(prog="trainables.core.launch", description=__doc__)
    parser.add_argument("experiment", help="module:attribute")
    parser.add_argument("config", type=Path, help="a JSON file")
    parser.add_argument("--folder", type=Path, default=Path("run"), help="where to write")
    given = parser.parse_args(arguments)
    session = FolderSession(given.folder.absolute())
    session.folder.mkdir(parents=True, exist_ok=True)

    def end(number: int, frame: Any) -> None:
        session.stop = True

    signal.signal(signal.SIGTERM, end)
    is_group = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if is_group:
        _join()
    module, _, attribute = str(given.experiment).partition(":")
    sys.path.insert(0, os.getcwd())
    experiment: Any = getattr(importlib.import_module(module), attribute)
    read: dict[str, Any] = json.loads(given.config.read_text())
    experiment.run(read.get("config", read), session)
    if is_group:
        dist.barrier()  # rank 0 may still be saving
        dist.destroy_process_group()


def _join() -> None:
    """A group over NCCL where each rank has a GPU of its own, otherwise over gloo."""
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
    has_its_own = torch.cuda.is_available() and torch.cuda.device_count() >= here
    dist.init_process_group("nccl" if has_its_own else "gloo")
    assert distributed.size() == int(os.environ["WORLD_SIZE"])


if __name__ == "__main__":
    main()
