"""How long a trial waits for the answer to its report, with 1,000 finished trials behind it.

    python -m benchmarks.decisions [--samplers nothing random tpe gp] [--finished 1000]

A search of 1,000 finished trials of at most 30 reports, median pruner, events in SQLite, the same
for each sampler; then 16 trials report in turn, idle in between, while the thread that computes
suggestions ahead computes them without pause: what was computed is forgotten as soon as enough are
ready. The trials live in a process of their own and speak through a pipe; the driver's side is the
conductor of a search, with everything but Ray: event, view, decision. What ends is followed by a
new trial, whose start is not timed.

Printed are, of the time from a report to its answer as the trial sees it: median, 99th percentile
and the longest, in milliseconds; how many suggestions were computed meanwhile. The row `nothing`
has no such thread: the part of the waits that other processes on the machine are to blame for.

Expected: at most 10 ms at the 99th percentile, for each sampler.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.inside import Inside, end, report

TRIALS, REPORTS = 16, 30
ROUNDS = 2000
"""Reports that are timed."""
_IDLE = 0.003
"""Seconds between two reports of all the trials together."""


def trials(connection: Connection) -> None:
    """The process of the trials: takes attempts, reports for each in turn, times the answers."""
    running: list[tuple[dict[str, Any], int]] = []
    waited: list[float] = []
    for _ in range(TRIALS):
        running.append((connection.recv(), 0))
    while len(waited) < ROUNDS:
        time.sleep(_IDLE)
        attempt, epoch = running.pop(0)
        message = report(attempt["params"], epoch + 1)
        begin = time.perf_counter()
        connection.send((attempt, message))
        goes_on = connection.recv()
        waited.append(time.perf_counter() - begin)
        if goes_on and epoch + 1 < REPORTS:
            running.append((attempt, epoch + 1))
            continue
        connection.send((attempt, end() if goes_on else None))
        running.append((connection.recv(), 0))
    connection.send(waited)


@dataclass
class Sampling:
    """The thread that computes suggestions without pause, and how many it has computed."""

    inside: Inside
    ended: bool = False
    computed: int = 0

    def run(self) -> None:
        """Computes as many as a search keeps ready, forgets them, begins again."""
        while not self.ended:
            self.inside.study.prepare(TRIALS + 1)
            self.computed += TRIALS + 1
            self.inside.study.drop_prepared()

    @contextmanager
    def on(self) -> Generator[None]:
        """While it runs."""
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.ended = True
            thread.join()


def answers(inside: Inside, connection: Connection, *, alone: bool) -> list[float]:
    """The driver's side: hands out trials, hears them, answers; returns what they have timed.

    `alone` says that no other thread computes suggestions.
    """
    for _ in range(TRIALS):
        connection.send(_start(inside, alone))
    while True:
        news = connection.recv()
        if isinstance(news, list):
            return news
        attempt, message = news
        if message is not None and message["kind"] == "report":
            connection.send(inside.hear(attempt, message) is None)
            continue
        if message is not None:
            inside.hear(attempt, message)
        connection.send(_start(inside, alone))


def _start(inside: Inside, alone: bool) -> dict[str, Any]:
    """The next attempt, as soon as there is a suggestion."""
    if alone:
        inside.study.prepare(1)
    while (attempt := inside.start()) is None:
        time.sleep(0.001)
    params = inside.study.trials[attempt["trial"]].params
    return {"trial": attempt["trial"], "attempt": attempt["attempt"], "params": params}


def measure(inside: Inside, *, thinks: bool) -> tuple[list[float], int]:
    """Seconds that each report waited, and how many suggestions were computed meanwhile."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=trials, args=(theirs,))
    process.start()
    sampling = Sampling(inside)
    with sampling.on() if thinks else nullcontext():
        waited = answers(inside, ours, alone=not thinks)
    process.join()
    return waited, sampling.computed


def main() -> None:
    """Makes the finished search once, measures each sampler on a copy, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samplers", nargs="+", default=["nothing", "random", "tpe", "gp"])
    parser.add_argument("--finished", type=int, default=1000)
    arguments = parser.parse_args()
    print(f"{'':10} {'p50 ms':>8} {'p99 ms':>8} {'most ms':>8} {'suggestions':>12}")
    with tempfile.TemporaryDirectory() as folder:
        begun = Path(folder, "begun")
        finished = Inside.begin(
            begun, trials=arguments.finished, concurrent=TRIALS, pruner="median"
        )
        while finished.run(REPORTS):
            pass
        for sampler in arguments.samplers:
            thinks = sampler != "nothing"
            inside = finished.copy(Path(folder, sampler), sampler if thinks else "random", 10**6)
            waited, computed = measure(inside, thinks=thinks)
            cuts = quantiles([1000 * seconds for seconds in waited], n=100)
            most = 1000 * max(waited)
            print(
                f"{sampler:10} {cuts[49]:8.2f} {cuts[98]:8.2f} {most:8.2f} {computed:12}",
                flush=True,
            )


if __name__ == "__main__":
    main()
