"""What must be true of a search after all that was done to it, from its events and its own logs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysearch.events.log import Store
from raysearch.events.schema import Told
from raysearch.results.view import SearchView, TrialView
from tests.cluster import written
from trainables.core import checkpoint

LONGEST_OVERLAP = 2.0
"""Seconds for which an attempt whose node was lost may still write, in a folder of its own; one
that was frozen and given up meanwhile does so when it wakes."""


@dataclass
class Proof:
    """What was found: `wrong` is what must not be; `handovers` is from which attempt to which a
    trial went, with the seconds between the last line of the one and the first of the other; the
    `late` lines are those that the one wrote after that, in so many seconds of `overlap`.
    """

    wrong: list[str] = field(default_factory=list[str])
    handovers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failures: dict[str, int] = field(default_factory=dict[str, int])

    def must(self, holds: bool, what: str) -> None:
        """Notes what does not hold."""
        if not holds:
            self.wrong.append(what)


def results(view: SearchView, folder: Path) -> dict[str, Any]:
    """Each trial by its configuration: reports, data of each step, hash of the last checkpoint."""
    return {
        json.dumps(trial.params, sort_keys=True): {
            "reports": [[step, metrics] for step, _, _, metrics in trial.reports],
            "data": {str(step): sorted(seen) for step, seen in _data(folder, trial).items()},
            "last": checkpoint.fingerprint(folder / str(trial.last_checkpoint)),
            "best": checkpoint.fingerprint(folder / str(trial.best_checkpoint)),
            "tested": trial.tested.get("metrics"),
        }
        for trial in view.trials.values()
    }


def prove(
    store: Store, name: str, folder: Path, expected: dict[str, Any], check: list[str]
) -> Proof:
    """Compares a finished search with an unhurt one; `check` is the command of the audit."""
    proof = Proof()
    view = SearchView.read(store, name)
    proof.must(view.state == "finished", f"the search is {view.state}: {view.reason}")
    told = [int(event.trial or 0) for event in store.events(name, kinds=[Told])]
    proof.must(sorted(told) == sorted(view.trials), f"told were {told} of {sorted(view.trials)}")
    for trial in view.trials.values():
        proof.must(trial.state == "complete", f"trial {trial.number} is {trial.state}")
        for failure in trial.failures:
            kind = failure["kind"]
            proof.failures[kind] = proof.failures.get(kind, 0) + 1
        _goes_on(proof, trial, folder)
    if not proof.wrong:
        _equal(proof, results(view, folder), expected)
    done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=300)
    proof.must(done.returncode == 0, f"check: {done.stdout[-500:]}{done.stderr[-500:]}")
    return proof


def _equal(proof: Proof, found: dict[str, Any], expected: dict[str, Any]) -> None:
    proof.must(found.keys() == expected.keys(), "other configurations were run")
    for key in sorted(found.keys() & expected.keys()):
        for what, value in json.loads(json.dumps(found[key])).items():
            if what == "tested" and value is None and expected[key][what] is None:
                continue
            proof.must(value == expected[key][what], f"{what} of {key} differs")


def _goes_on(proof: Proof, trial: TrialView, folder: Path) -> None:
    """Each attempt goes on from the last checkpoint on record, and after the one before it."""
    before: list[dict[str, Any]] = []
    saved = 0
    for attempt in trial.attempts:
        where = f"trial {trial.number}, attempt {attempt['attempt']}"
        log = folder / attempt["folder"] / written.LOG
        lines = written.read(log) if log.exists() else []
        restored = attempt["restored"]
        step = int(Path(restored).stem.rpartition("-")[2]) if restored else 0
        proof.must(step >= saved, f"{where}: goes on from step {step}, {saved} was reported")
        saved = max([saved, *_reported(trial, attempt["folder"])])
        batches = [line["step"] for line in lines if line["what"] == "batch"]
        proof.must(not batches or batches[0] == step + 1, f"{where}: begins at {batches[:1]}")
        if lines and before:
            late = [line for line in before if line["time"] >= lines[0]["time"]]
            overlap = late[-1]["time"] - late[0]["time"] if late else 0.0
            done = [line["step"] for line in before if line["what"] == "batch"]
            proof.handovers.append(
                {
                    "trial": trial.number,
                    "attempt": attempt["attempt"],
                    "gap": round(lines[0]["time"] - before[-1]["time"], 3),
                    "late": len(late),
                    "overlap": round(overlap, 3),
                    "repeated": max(done, default=0) - step,
                    "nodes": [before[-1]["node"], lines[0]["node"]],
                    "time": lines[0]["time"],
                }
            )
            proof.must(overlap < LONGEST_OVERLAP, f"{where}: the one before wrote {overlap:.2f} s")
        before = lines or before


def _reported(trial: TrialView, folder: str) -> list[int]:
    """Steps with a checkpoint in this folder that are on record."""
    return [step for step, where in _checkpoints(trial) if where.startswith(f"{folder}/")]


def _checkpoints(trial: TrialView) -> list[tuple[int, str]]:
    kept = {trial.last_checkpoint, trial.best_checkpoint} - {None}
    kept |= {attempt["restored"] for attempt in trial.attempts} - {None}
    return [(int(Path(str(path)).stem.rpartition("-")[2]), str(path)) for path in kept]


def _data(folder: Path, trial: TrialView) -> dict[int, set[str]]:
    """Which data each step saw, in any attempt."""
    seen: dict[int, set[str]] = {}
    for attempt in trial.attempts:
        log = folder / attempt["folder"] / written.LOG
        for line in written.read(log) if log.exists() else []:
            if line["what"] == "batch":
                seen.setdefault(line["step"], set()).add(line["text"])
    return seen
