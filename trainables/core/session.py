"""The session of an experiment: reports, artifacts and stops; one for tests and runs by hand."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Session(Protocol):
    """The other side of an experiment: it hands out the checkpoint and takes the reports.

    `folder` is where this attempt may write; checkpoints go to `folder/checkpoints`, each under a
    name of its own step, under which it is not written again.
    """

    folder: Path

    def restored(self) -> Path | None:
        """The checkpoint to go on from, or None for a fresh start."""
        ...

    def describe(self, facts: Mapping[str, object]) -> None:
        """Facts of this run: data set and fingerprint, parameter count, versions."""
        ...

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Metrics after `step` optimiser steps, and the checkpoint saved there.

        It may wait, and the process may end in it. Steps are whole numbers and never go back within
        a run. Several reports of one step are one: `train/…` first, then `val/…`; what was said is
        not said otherwise. A checkpoint may follow without metrics: of a run told to stop. `costs`,
        such as `cost/step_seconds`, are kept and shown; they are never the same twice, so nothing
        compares them.
        """
        ...

    def artifact(self, name: str, path: Path) -> None:
        """A file, under a name such as `figures/confusion.png`."""
        ...

    def alive(self) -> None:
        """Says that the run lives, while it reports nothing for long: as often as one likes.

        A run without a word for longer than the patience of its search counts as hanging.
        """
        ...

    def should_stop(self) -> bool:
        """Whether to save and end now: asked after each step, so it must cost nothing."""
        ...


class LocalSession:
    """A session that keeps all it hears; what was said of a step is not said otherwise."""

    def __init__(self, folder: Path, restored: Path | None = None) -> None:
        self.folder = folder
        self.reports: dict[int, dict[str, float]] = {}
        self.costs: dict[int, dict[str, float]] = {}
        self.checkpoints: dict[int, Path] = {}
        self.facts: dict[str, object] = {}
        self.artifacts: dict[str, Path] = {}
        self.signs_of_life = 0
        self.stop = False
        self._restored = restored

    def restored(self) -> Path | None:
        """The checkpoint given at the start."""
        return self._restored

    def describe(self, facts: Mapping[str, object]) -> None:
        """Keeps the facts."""
        self.facts.update(facts)

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Keeps what is first said of each step, and checkpoints."""
        if metrics:
            self.reports[step] = {**metrics, **self.reports.get(step, {})}
        if costs:
            self.costs[step] = {**costs, **self.costs.get(step, {})}
        if checkpoint is not None:
            self.checkpoints.setdefault(step, checkpoint)

    def artifact(self, name: str, path: Path) -> None:
        """Keeps where it lies."""
        self.artifacts[name] = path

    def alive(self) -> None:
        """Counts how often that was said."""
        self.signs_of_life += 1

    def should_stop(self) -> bool:
        """What `stop` was set to."""
        return self.stop


class Follower:
    """The session of a rank above 0: it hands out the same checkpoint, and says and asks nothing.

    Rank 0 speaks for all; its answers reach the others by `distributed.first`.
    """

    def __init__(self, session: Session) -> None:
        self.folder = session.folder
        self.restored = session.restored

    def describe(self, facts: Mapping[str, object]) -> None:
        """Nothing."""

    def report(
        self,
        step: int,
        metrics: Mapping[str, float],
        checkpoint: Path | None = None,
        *,
        costs: Mapping[str, float] | None = None,
    ) -> None:
        """Nothing."""

    def artifact(self, name: str, path: Path) -> None:
        """Nothing."""

    def alive(self) -> None:
        """Nothing."""

    def should_stop(self) -> bool:
        """Never: rank 0 is asked."""
        return False


def hears_costs(session: Session) -> bool:
    """Whether the reports of a session have `costs`: sessions that people wrote may be older."""
    parameters = inspect.signature(session.report).parameters
    is_open = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return is_open or "costs" in parameters
