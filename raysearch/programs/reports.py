"""What a program is heard to report, made reports of its trial: nothing it says ends it."""

from __future__ import annotations

import errno
import math
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.sweeps.nearest import listed, nearest
from raysearch.trial.endings import KnownFailure
from raysearch.trial.lending import copy_file

PROGRESS = "progress/epochs"
"""For a program the step is what trials are compared at."""
_EVERY = 1.0
"""Seconds between two reports that have no metric of the sweep."""
_HELD = 200
"""Reports that are kept until it is known which source has the sweep's metric."""
_LONGEST_NAME = 200
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class _Said:
    step: int | None
    metrics: dict[str, float]
    source: str
    checkpoint: Path | None = None
    at: float = 0.0


@dataclass
class _Now:
    """The step that was reported last, and what is known of it."""

    step: int = -1
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    at: float = 0.0


class Reports:
    """The reports of one attempt, of all sources.

    The source that first has a metric of the sweep counts the steps. What others say is reported
    together with its next report. Without a step, one begins with each metric that is said again;
    a step that goes back, and another value of a metric in one step, are dropped.

    Args:
        session: that of the trial.
        say: writes a line into its log.
    """

    def __init__(self, session: Any, say: Callable[[str], None]) -> None:
        self._session, self._say, self._told = session, say, set[str]()
        job = getattr(session, "job", None)
        self.objectives: list[str] = list(getattr(session, "objectives", ()))
        self._before = set[str](getattr(job, "reported", ()))
        self._clock: str | None = None
        self._now, self._base = _Now(), max(_restored_step(job), 0)
        self._held: list[_Said] = []
        self._pending: dict[str, float] = {}
        self.heard: Counter[str] = Counter()
        self.kept: Path | None = None

    @property
    def step(self) -> int | None:
        """The step that was reported last by this attempt."""
        return self._now.step if self._now.at else None

    @property
    def begins_after(self) -> int:
        """The step of the checkpoint from which this attempt goes on; 0 for a fresh start."""
        return self._base

    @property
    def at(self) -> float:
        """When that was, in seconds since 1970; 0: not yet."""
        return self._now.at

    def take(
        self,
        step: int | None,
        metrics: Mapping[str, float],
        checkpoint: Path | None,
        source: str,
        at: float | None = None,
    ) -> None:
        """Takes in a report of one source, and reports what there is to report.

        It was made `at` a time, in seconds since 1970, or now.
        """
        plain = self._plain(metrics)
        self.heard.update(list(plain))
        said = _Said(step, plain, source, checkpoint, at or time.time())
        if self._clock is None and (not self.objectives or set(plain) & set(self.objectives)):
            self._clock = source
            held, self._held = self._held, []
            for each in held:
                self._sort(each)
        if self._clock is None and checkpoint is None:
            self._held = [*self._held[1 - _HELD :], said]
        else:
            self._sort(said)

    def last(self, metrics: Mapping[str, float]) -> None:
        """What is said at the end, without a step: nothing new if it was just said."""
        plain = self._plain(metrics)
        if any(self._now.metrics.get(name) != value for name, value in plain.items()):
            self.take(None, metrics, None, self._clock or "end")

    def hand_over(self, checkpoint: Path) -> None:
        """A checkpoint of the step that was reported last."""
        if self.step is not None:
            self._send(self.step, {}, checkpoint)

    def close(self) -> None:
        """Reports what is left. Raises KnownFailure: a metric of the sweep was never heard.

        A later attempt may have little left to do: what an earlier one reported counts.
        """
        for each in self._held:
            self._pending |= {name: one for name, one in each.metrics.items()}
        if self._pending:
            self._send(max(self._now.step, 0), self._fresh(self._pending), None)
        missing = [name for name in self.objectives if not self.heard[name]]
        if lacking := [name for name in missing if name not in self._before]:
            raise KnownFailure("unreported", self._lack(lacking[0]))
        if missing:
            self.note(f"this attempt ended without {missing[0]}: those before it count")

    def note(self, text: str) -> None:
        """A line in the log, once."""
        if text not in self._told:
            self._told.add(text)
            self._say(text)

    def _lack(self, missing: str) -> str:
        names = [name for name in self.heard if name != PROGRESS]
        how = (
            f"report it by raysearch.report(step, {{{missing!r}: value}}), or say by --read (in "
            f"Python read=) how it is written"
        )
        if not names:
            return f"it ended well, and nothing was heard of it: no {missing}; {how}"
        count = sum(self.heard[name] for name in names)
        values = f"{count} {'value' if count == 1 else 'values'}"
        near = nearest(missing, names)
        return (
            f"it ended well without {missing}; heard were {values} of {listed(names)}{near}: name "
            f"one of them as the metric, {how}"
        )

    def _plain(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The metrics by the names that the sweep has for them."""
        found: dict[str, float] = {}
        for given, value in metrics.items():
            name = self._named(given)
            if len(name) > _LONGEST_NAME or not name.isprintable() or not name:
                self.note(f"a metric named {given[:40]!r} … is left out: its name is no name")
            elif name.startswith("progress/") and not (math.isfinite(value) and value >= 0):
                self.note(f"metric {name!r} is left out: it counts progress and is {value}")
            else:
                found[name] = float(value)
        return found

    def _named(self, name: str) -> str:
        """`val_acc` is the `val/acc` of the sweep, unless that one is heard as such."""
        if name in self.objectives:
            return name
        same = [one for one in self.objectives if _letters(one) == _letters(name)]
        return same[0] if len(same) == 1 else name

    def _sort(self, said: _Said) -> None:
        if said.source != self._clock and self._clock is not None:
            others = {key: one for key, one in said.metrics.items() if key not in self.objectives}
            self._pending |= others
            if said.checkpoint is not None:
                self._send(max(self._now.step, 0), {}, said.checkpoint)
            return
        step = self._counted(said.metrics) if said.step is None else said.step
        if step < self._now.step:
            self.note(
                f"a report of step {step} after step {self._now.step} is left out, as all that go "
                f"back: steps must be counted from the beginning of the run"
            )
            return
        self._report(step, said)

    def _counted(self, metrics: Mapping[str, float]) -> int:
        """The step of what was said without one."""
        now = self._now
        if not now.at:
            return self._base + 1
        return now.step + 1 if set(metrics) & set(now.metrics) else now.step

    def _report(self, step: int, said: _Said) -> None:
        is_full = bool(set(said.metrics) & set(self.objectives)) or not self.objectives
        is_due = time.time() - self._now.at >= _EVERY or said.checkpoint is not None
        if not is_full and not is_due:
            self._pending |= said.metrics
            return
        if step > self._now.step:
            self._now.metrics = {}
        self._now.step = step
        metrics, self._pending = {**self._pending, **said.metrics}, {}
        metrics.setdefault(PROGRESS, float(step))
        self._send(step, self._fresh(metrics), said.checkpoint)
        self._now.at = said.at

    def _fresh(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """What is new at this step; another value of a metric is dropped."""
        known = self._now.metrics
        for name in metrics:
            if name in known and known[name] != metrics[name] and name in self.objectives:
                self.note(f"metric {name!r} has several values in one step: the first one counts")
        return {name: value for name, value in metrics.items() if name not in known}

    def _send(self, step: int, metrics: dict[str, float], checkpoint: Path | None) -> None:
        if not metrics and checkpoint is None:
            return
        self._now.step, self._now.at = step, time.time()
        self._now.metrics |= metrics
        kept = None if checkpoint is None else self._copied(step, checkpoint)
        if not metrics and kept is None:
            return
        self.kept = kept or self.kept
        try:
            self._session.report(step, metrics, kept)
        except (ValueError, TypeError, OSError) as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                raise
            self.note(f"a report of step {step} cannot be taken: {error}")
            if kept is not None and metrics:
                self._now.metrics = {}
                self._send(step, metrics, None)

    def _copied(self, step: int, path: Path) -> Path | None:
        """A copy of a checkpoint that the program will not write to."""
        place, number = self._session.folder / "reported" / f"{step:08d}", 1
        while place.exists():
            number += 1
            place = place.with_name(f"{step:08d}-{number}")
        try:
            place.mkdir(parents=True)
            if path.is_dir():
                shutil.copytree(path, place / path.name, copy_function=_copy)
            else:
                copy_file(path, place / path.name)
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            if error.errno in _FULL:
                raise
            self.note(f"checkpoint {path} cannot be kept: {error}")
            return None
        return place / path.name


def _copy(source: str, target: str) -> str:
    copy_file(Path(source), Path(target))
    return target


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def _restored_step(job: Any) -> int:
    """The step after which an attempt goes on; -1 for a fresh start."""
    if job is None or job.restored is None:
        return -1
    return next((int(kept["step"]) for kept in job.kept if kept["path"] == job.restored), -1)
