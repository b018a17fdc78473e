"""A campaign that hurts all of a search on one machine, and proves that nothing is lost.

    python -m tests.cluster.faults --local --seed 0 --kills 60 --folder FOLDER

Rounds of one search each, in turn on a walk with a random state, on TPE with the median pruner,
and on `ssl.digits_vit`. The folder of runs is a small disk of its own, where this user may mount
one; `log.jsonl` gets a line for each injury, `rounds.jsonl` one for each search that ended and what
is wrong with it: each trial must equal an uninterrupted one bit for bit. What is wrong is kept in
`wrong`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from raysearch.events.log import Store
from raysearch.results.view import SearchView, TrialView
from raysearch.trial import process_tree
from raysearch.trial.fork_server import FORK, TRIAL
from raysearch.trial.guard import INNER, OUTER
from tests.cluster.target import fill, mount, unmount
from tests.raysearch.command import ENVIRONMENT
from tests.raysearch.searches.wander import walk

WALK, PRUNED = (f"tests.raysearch.searches.wander:{name}" for name in ("wander", "pruned"))
DIGITS = "ssl.digits_vit"
COMMANDS = (
    (WALK, "--concurrent", "2"),
    (PRUNED, "--concurrent", "2"),
    (DIGITS, "--sampler", "random", "--pruner", "none", "--trials", "6", "--concurrent", "2"),
)
IN_A_ROUND = 8
"""Injuries of one search at most."""
_STARTS, _ENDS = 600.0, 3600.0
"""Seconds after which a driver that does not start, or end, counts as hung."""
_LEFT = ("running", "interrupted", "paused", "stopped", "unborn")
"""As what a search is left by a driver that did not come to drive it."""
_SPOKEN = ("0 finished", "-9 running", "124 paused", "130 interrupted", "2 running", "2 unborn")
_SPOKEN += tuple(f"{status} {state}" for status in (69, 124) for state in _LEFT)
_SPOKEN += ("1 stopped",)  # by itself, on a full disk
"""How a driver may end, and its search be left: done, killed, told to by one signal or another, or
with a sentence: on a full disk, of which the store could not be told, or as Ray did not start."""
_LONG_STOP = 330.0
_LOCKED = 8.0
_DISK = 512 << 20
"""Bytes of the disk of a campaign, where this user may mount one."""

Facts = dict[str, Any]


class Target:
    """One search and its driver."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.scratch = Path(tempfile.gettempdir()) / f"rs-{os.getpid()}"
        self.scratch.mkdir(exist_ok=True)
        self.driver: subprocess.Popen[bytes] | None = None

    def drive(self, *arguments: str) -> None:
        """Starts a driver in a session of its own, as a terminal or a scheduler does."""
        with (self.folder / "driver.txt").open("ab") as output:
            self.driver = subprocess.Popen(
                [sys.executable, "-m", "raysearch.cli", *arguments],
                cwd=self.folder,
                env={**ENVIRONMENT, "TMPDIR": str(self.scratch)},
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """How the driver ended; None while it lives."""
        return self.driver.poll() if self.driver is not None else -1

    def family(self) -> list[psutil.Process]:
        """All below the driver."""
        with suppress(psutil.Error):
            assert self.driver is not None
            return psutil.Process(self.driver.pid).children(recursive=True)
        return []

    def named(self, *words: str) -> list[psutil.Process]:
        """Those below the driver whose command has one of these words."""
        found: list[psutil.Process] = []
        for process in self.family():
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if any(word in line for word in words):
                    found.append(process)
        return found

    def called(self, *names: str) -> list[psutil.Process]:
        """Those below the driver that gave themselves one of these names."""
        return [process for process in self.family() if process_tree.name_of(process.pid) in names]

    def trials(self) -> list[psutil.Process]:
        """The processes of trials, without what they have started."""
        return self.called(TRIAL)

    def left(self) -> list[str]:
        """What is there of it: processes that work in its folder, and temporary files."""
        found: list[str] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                said = [process.cwd(), *process.environ().values(), *process.cmdline()]
                if any(str(one) in text for one in (self.folder, self.scratch) for text in said):
                    found.append(f"process {process.pid} {' '.join(process.cmdline())[:80]}")
        made = [path for path in sorted(self.scratch.iterdir()) if "torchinductor" not in path.name]
        return found + [str(path) for path in made]  # but the cache that is worth keeping

    def view(self) -> SearchView | None:
        """What the events say so far."""
        store = Store(f"sqlite:///{self.folder / 'runs' / 'raysearch.db'}")
        return SearchView.read(store, self.name) if store.exists(self.name) else None


def _kill(processes: list[psutil.Process], draw: random.Random) -> Facts | None:
    if not processes:
        return None
    victim = draw.choice(sorted(processes, key=lambda process: process.pid))
    with suppress(psutil.Error):
        victim.send_signal(signal.SIGKILL)
    return {"pid": victim.pid}


def _signal(number: signal.Signals) -> Callable[[Target, random.Random], Facts | None]:
    def send(target: Target, draw: random.Random) -> Facts | None:
        assert target.driver is not None
        target.driver.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            target.driver.wait(240)
        return {"status": target.status}

    return send


def _stop(seconds: Callable[[random.Random], float]) -> Callable[[Target, random.Random], Facts]:
    """A laptop's lid: the driver and its Ray stand still, the trials too or not."""

    def stop(target: Target, draw: random.Random) -> Facts:
        assert target.driver is not None
        length, everybody = seconds(draw), draw.random() < 0.5
        still = [psutil.Process(target.driver.pid), *(target.family() if everybody else [])]
        for process in still:
            with suppress(psutil.Error):
                process.suspend()
        time.sleep(length)
        for process in reversed(still):
            with suppress(psutil.Error):
                process.resume()
        return {"seconds": round(length, 1), "everybody": everybody}

    return stop


def _lock_mlflow(target: Target, draw: random.Random) -> Facts | None:
    """Another program holds MLflow's database."""
    file = target.folder / "runs" / "mlflow.db"
    if not file.exists():
        return None
    connection = sqlite3.connect(file, timeout=5)
    with suppress(sqlite3.OperationalError):
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(_LOCKED)
        connection.rollback()
    connection.close()
    return {}


def _fill(target: Target, draw: random.Random) -> Facts | None:
    """No byte is left for some seconds, for anybody who writes to the folder of runs."""
    runs = target.folder / "runs"
    return fill(runs) if os.path.ismount(runs) else None


INJURIES: dict[str, Callable[[Target, random.Random], Facts | None]] = {
    "trial": lambda target, draw: _kill(target.trials(), draw),
    "host": lambda target, draw: _kill(target.named("ray::"), draw),
    "fork server": lambda target, draw: _kill(target.called(FORK), draw),
    "guardian": lambda target, draw: _kill(target.called(OUTER, INNER), draw),
    "raylet": lambda target, draw: _kill(target.named("raylet/raylet"), draw),
    "gcs": lambda target, draw: _kill(target.named("gcs_server"), draw),
    "driver KILL": _signal(signal.SIGKILL),
    "driver TERM": _signal(signal.SIGTERM),
    "driver HUP": _signal(signal.SIGHUP),
    "driver INT": _signal(signal.SIGINT),
    "driver STOP": _stop(lambda draw: draw.uniform(2, 20)),
    "mlflow": _lock_mlflow,
    "disk": _fill,
}
"""What is hurt, and how; None: there was nothing to hurt."""
ONCE = {"driver STOP 330": _stop(lambda draw: _LONG_STOP)}
"""What takes too long to be drawn often."""


class Campaign:
    """Rounds of one search each, until there were `kills` injuries."""

    def __init__(self, seed: int, kills: int, folder: Path) -> None:
        self.seed, self.kills, self.folder = seed, kills, folder
        self.log, self.rounds = folder / "log.jsonl", folder / "rounds.jsonl"
        self.done, self.round = len(_lines(self.log)), len(_lines(self.rounds))
        self._expected: dict[str, Any] = {}

    def run(self) -> None:
        """Runs what is left of it."""
        while self.done < self.kills:
            self._search(COMMANDS[self.round % len(COMMANDS)])
            self.round += 1

    def _search(self, command: tuple[str, ...]) -> None:
        """One search under fire, and the proof."""
        name, begun, first = f"round-{self.round}", time.time(), self.done
        if command[0] == DIGITS and not self._expected:
            self._expected = self._unhurt(command)
        target, ended = Target(self.folder, name), list[str]()
        while len(ended) < 30:
            view = target.view()
            target.drive(*(("resume", name) if view else ("search", *command, "--name", name)))
            while target.status is None:
                draw = random.Random(f"{self.seed}/{self.done}")
                hits = self.done - first < IN_A_ROUND and self.done < self.kills
                if not hits or not self._trains(target, draw.uniform(0, 5)):
                    assert target.driver is not None
                    target.driver.wait(_ENDS)
                    break
                self._injure(target, draw)
            view = target.view()
            ended.append(f"{target.status} {view.state if view else 'unborn'}")
            if view is not None and view.state == "finished":
                break
        wrong = self._proved(target, command[0]) + self._left(target)
        wrong += [f"a driver ended with {end}" for end in ended if end not in _SPOKEN]
        if wrong:
            self._keep(name)
        line = {"round": self.round, "sweep": command[0], "took": round(time.time() - begun, 1)}
        _append(self.rounds, {**line, "ended": ended, "wrong": wrong})

    def _keep(self, name: str) -> None:
        """A copy of the runs, by another process: whoever closes a file of SQLite's that he has
        read himself also gives up the locks that this process has on it.
        """
        target = self.folder / "wrong" / name
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", str(self.folder / "runs"), str(target)], check=True)

    def _unhurt(self, command: tuple[str, ...]) -> dict[str, Any]:
        target = Target(self.folder, "unhurt")
        target.drive("search", *command, "--name", "unhurt")
        assert target.driver is not None and target.driver.wait(_ENDS) == 0
        view = target.view()
        assert view is not None
        return {json.dumps(one.params): _reports(one) for one in view.trials.values()}

    def _trains(self, target: Target, then: float) -> bool:
        """Waits until a trial trains and some seconds more; False if the driver has ended."""
        deadline = time.monotonic() + _STARTS
        while target.status is None and time.monotonic() < deadline:
            if target.trials():
                time.sleep(then)
                return target.status is None
            time.sleep(0.2)
        return False

    def _injure(self, target: Target, draw: random.Random) -> None:
        """One injury, in the log: each kind comes once before any comes twice."""
        turn, place = divmod(self.done, len(INJURIES))
        order = sorted(INJURIES)
        random.Random(f"{self.seed}/order/{turn}").shuffle(order)
        what = order[place]
        if self.done == self.kills // 2:
            what = next(iter(ONCE))
        begun = time.time()
        facts = (INJURIES | ONCE)[what](target, draw)
        line = {"kill": self.done + 1, "round": self.round, "what": what, "time": begun}
        _append(self.log, {**line, "hit": facts is not None, **(facts or {})})
        self.done += 1

    def _proved(self, target: Target, sweep: str) -> list[str]:
        """What differs from uninterrupted trials, and what `check` finds."""
        view = target.view()
        if view is None or view.state != "finished":
            return [f"the search is {view.state if view else 'not there'}"]
        wrong: list[str] = []
        for trial in view.trials.values():
            if trial.state not in ("complete", "pruned"):
                wrong.append(f"trial {trial.number} is {trial.state}: {trial.reason}")
            if trial.differed:
                wrong.append(f"trial {trial.number}: {trial.differed}")
            if _reports(trial) != self._uninterrupted(trial, sweep):
                wrong.append(f"trial {trial.number} does not equal an uninterrupted one")
        command = [sys.executable, "-m", "raysearch.cli", "check", target.name]
        done = subprocess.run(
            command, cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            wrong.append(f"check: {done.stdout[-500:]}{done.stderr[-500:]}")
        return wrong

    def _uninterrupted(self, trial: TrialView, sweep: str) -> Any:
        """What a run of this configuration reports that nobody hurts, as far as this one went."""
        if sweep == DIGITS:
            return self._expected.get(json.dumps(trial.params))
        walked = walk(trial.config["x"], trial.config["steps"])
        reports = [[step, metrics] for step, metrics in enumerate(walked, 1)]
        return reports[: len(trial.reports)] if trial.state == "pruned" else reports

    def _left(self, target: Target) -> list[str]:
        """Processes and files that are there after the end; they have half a minute to go."""
        deadline = time.monotonic() + 30
        while (left := target.left()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return [f"left: {one}" for one in left]


def _reports(trial: TrialView) -> list[Any]:
    return [[step, metrics] for step, _, _, metrics in trial.reports]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _append(file: Path, line: dict[str, Any]) -> None:
    with file.open("a") as output:
        output.write(json.dumps(line) + "\n")


def summary(folder: Path) -> str:
    """What was hurt, and what was wrong."""
    kills, rounds = _lines(folder / "log.jsonl"), _lines(folder / "rounds.jsonl")
    counted = Counter(line["what"] for line in kills if line["hit"])
    wrong = [f"  round {line['round']}: {what}" for line in rounds for what in line["wrong"]]
    return "\n".join(
        [
            f"{len(kills)} injuries, {sum(counted.values())} hit, in {len(rounds)} searches",
            "  " + ", ".join(f"{what} {number}" for what, number in sorted(counted.items())),
            f"wrong: {len(wrong)}",
            *wrong,
        ]
    )


def campaign(seed: int, kills: int, folder: Path) -> None:
    """Runs a campaign to its end; the folder must be free, or hold one that goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs").mkdir(exist_ok=True)
    mount(folder / "runs", _DISK)
    try:
        Campaign(seed, kills, folder).run()
    finally:
        unmount(folder / "runs")
