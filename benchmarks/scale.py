"""What a trial costs the driver of a search, and whether that grows with the number of trials.

    python -m benchmarks.scale [--sizes 100 1000 3000] [--only random]

Whole searches through Ray, each in a process of its own, each trial a forked process that makes
three reports and does nothing else (`benchmarks.bowl`, eight parameters), as many at once as there
are CPUs: with random points and without MLflow, and with TPE and one MLflow run a trial (SQLite).

Printed are, a trial: seconds of the wall, milliseconds of the driver's processor time, kB of its
memory. All are slopes, from a tenth of the trials (at least 20) to the last one, so that the start
of Ray is not counted; for 3,000 trials also those of the last two thirds: growth is linear where
these are the same. Processor time is that of the driver alone, all its threads (MLflow's too),
without hosts and trials; memory is what it has that is not shared (RssAnon). The last column says
how long it took after the last trial until Ray had ended and MLflow, for which trials never wait,
had everything.

Expected: at most 40 ms of processor time a trial for random, 80 ms for TPE with MLflow, 70 kB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
SIZES = (100, 1000, 3000)
KINDS: Mapping[str, tuple[str, str | None]] = {
    "random": ("random", "none"),
    "tpe": ("tpe", None),
}
"""Sampler and address of MLflow: none, or a database in the folder of the runs."""
_MARK_EVERY = 0.25
"""Seconds; a mark looks at all trials."""
TITLES = {"random": "random, no MLflow", "tpe": "TPE, MLflow"}


@dataclass(frozen=True)
class Mark:
    """The driver at some trial: how many are told, and seconds of the wall, of its processor time,
    and kB of memory until then.
    """

    told: int
    wall: float
    cpu: float
    memory: float

    @classmethod
    def here(cls, told: int) -> Mark:
        """Now."""
        status = Path("/proc/self/status").read_text()
        found = re.search(r"RssAnon:\s*(\d+)", status)
        assert found is not None
        return cls(told, time.perf_counter(), time.process_time(), int(found[1]) * 1.024)


def slopes(marks: list[Mark], first: int) -> tuple[float, float, float]:
    """Seconds of the wall, milliseconds of the processor, kB of memory a trial, from one on."""
    a = next(mark for mark in marks if mark.told >= first)
    b = marks[-1]
    count = b.told - a.told
    return (
        (b.wall - a.wall) / count,
        1000 * (b.cpu - a.cpu) / count,
        (b.memory - a.memory) / count,
    )


def search(kind: str, trials: int) -> tuple[list[Mark], float]:
    """One search: its marks, and the seconds from its last trial until all was written."""
    from rich.console import Console

    from raysearch.driver.plan import Request
    from raysearch.driver.progress import Watch
    from raysearch.driver.search import start
    from raysearch.results.view import SearchView
    from raysearch.settings import Settings

    sampler, tracking = KINDS[kind]
    marks: list[Mark] = []

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        watch = Watch(Console(file=nowhere))

        def listen(view: SearchView) -> None:
            watch.listen(view)  # as the command does
            late = not marks or time.perf_counter() - marks[-1].wall > _MARK_EVERY
            if late or view.state == "finished":
                marks.append(Mark.here(view.done()))

        request = Request("benchmarks.bowl_sweep:bowl", trials=trials, sampler=sampler)
        settings = Settings.locate(folder, tracking_uri=tracking)
        outcome = start(request, settings, listen)
        assert outcome.view.counts().get("complete") == trials and not outcome.untracked
        return marks, time.perf_counter() - marks[-1].wall


def main() -> None:
    """Runs each size of each kind and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--only", choices=list(KINDS))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        marks, rest = search(arguments.only, arguments.one)
        print(json.dumps({"marks": [asdict(mark) for mark in marks], "rest": rest}))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"{'':20} {'trials':>14} {'s a trial':>10} {'CPU ms':>8} {'kB':>8} {'s at end':>9}")
    for kind in [arguments.only] if arguments.only else KINDS:
        for trials in arguments.sizes:
            print_size(kind, trials)


def print_size(kind: str, trials: int) -> None:
    """Runs one search in a process of its own and prints its row or rows."""
    command = [sys.executable, "-m", "benchmarks.scale", "--only", kind, "--one", str(trials)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{TITLES[kind]}, {trials} trials: failed\n{done.stderr[-2000:]}", flush=True)
        return
    found = json.loads(done.stdout.strip().splitlines()[-1])
    marks = [Mark(**mark) for mark in found["marks"]]
    first = max(trials // 10, min(20, trials // 2))
    for begin in [first, trials // 3] if trials >= 3000 else [first]:
        wall, cpu, memory = slopes(marks, begin)
        span = f"{begin}-{trials}"
        print(
            f"{TITLES[kind]:20} {span:>14} {wall:10.3f} {cpu:8.1f} {memory:8.1f} "
            f"{found['rest']:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
