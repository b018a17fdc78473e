"""One run of one experiment, without a search: to try a configuration by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from raysearch.declare.catalog import find_experiment
from raysearch.plan import parse_overrides
from raysearch.run.checkpoints import Keeper, Kept, remove
from raysearch.settings import EXPERIMENTS


class PrintingSession:
    """A session that prints each report and keeps the last checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keeper = Keeper("maximize")

    def restored(self) -> Path | None:
        """The checkpoint to go on from: the newest in the folder."""
        found = sorted((self.folder / "checkpoints").glob("*.pt"))
        return found[-1] if found else None

    def describe(self, facts: Mapping[str, object]) -> None:
        """Prints facts such as the data set and the parameter count."""
        for name, value in facts.items():
            print(f"{name}: {value}")

    def report(
        self, step: int, metrics: Mapping[str, float], checkpoint: Path | None = None
    ) -> None:
        """Prints the metrics with at most one part after the first `/`."""
        shown = {name: value for name, value in metrics.items() if name.count("/") <= 1}
        print(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in shown.items()))
        if checkpoint is not None:
            remove(self._keeper.add(Kept(step, str(checkpoint))))

    def artifact(self, name: str, path: Path) -> None:
        """Prints where a picture lies."""
        print(f"{name}: {path}")

    def should_stop(self) -> bool:
        """Never: Ctrl-C ends it, and the same command goes on."""
        return False


def train(name: str, overrides: Iterable[str], folder: Path | None, runs: Path) -> None:
    """Trains one configuration in this process; the same command again goes on where it was.

    Raises:
        LookupError: no such experiment or path. ValueError: a value that is not allowed.
    """
    kind = find_experiment(name, EXPERIMENTS)
    config = kind().with_values(parse_overrides(overrides))
    target = folder or runs / "train" / f"{kind.name}-{config.digest()}-{config.seed}"
    target = target.absolute()
    target.mkdir(parents=True, exist_ok=True)
    (target / "config.json").write_text(json.dumps(config.to_json(), indent=2))
    print(f"folder: {target}")
    from raysearch.run.process import entry_point, resolve

    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    session: Any = PrintingSession(target)
    entry_point(resolve(kind.experiment), "run")(config.to_json(), session)
