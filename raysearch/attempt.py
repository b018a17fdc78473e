"""What one attempt at a trial is told: its job, made of its course and the search's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysearch.course import Course
from raysearch.run.job import Job


@dataclass(frozen=True)
class Limits:
    """What a search may use. `memory` in bytes a trial (0: no limit), times in seconds."""

    concurrent: int
    threads: int = 1
    memory: int = 0
    patience: float = 1800.0
    time: float | None = None


def attempt_job(
    course: Course,
    name: str,
    spec: Mapping[str, Any],
    limits: Limits,
    folder: Path,
    paths: list[str],
) -> Job:
    """The job of the next attempt, which writes to `folder / name`.

    A trial goes on from its last checkpoint, the evaluation on the test split takes the best one; a
    checkpoint that is not on disk is as good as none.
    """
    kept = [
        {"step": kept.step, "path": str(folder / kept.path), "value": kept.value}
        for kept in course.keeper.kept()
    ]
    wanted = course.last if course.role is None else course.best
    restored = folder / wanted.path if wanted is not None else None
    return Job(
        search=str(spec["search"]),
        trial=course.number,
        attempt=course.attempt,
        experiment=str(spec["experiment"]),
        config=course.config,
        folder=str(folder / name),
        purpose="run" if course.role is None else "test",
        restored=str(restored) if restored is not None and restored.exists() else None,
        threads=limits.threads,
        memory=limits.memory,
        patience=limits.patience,
        objectives=[
            {"name": metric["name"], "direction": metric["direction"]} for metric in spec["metrics"]
        ],
        kept=kept,
        paths=paths,
    )
