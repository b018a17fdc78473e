"""How many trials at once one driver serves, and how soon a search on a cluster begins and returns.

    python -m benchmarks.cluster [--only reports answers submit recovery] [--trials 100]

Each part in processes of its own, on this machine:

- reports: 100 trials at once, each a Ray actor that reports as soon as it was answered: reports a
  second that the driver takes in, decides on (median pruner) and writes (SQLite). Only the trials
  are simulated (`benchmarks.simulated`): Tune's loop, conductor, study, events, view are real.
- answers: the same 100 report at the same moment, every few seconds: milliseconds from a report to
  its answer as the trial sees it, median, 99th percentile and longest.
- submit: a head with its service, job server, MLflow and PostgreSQL; seconds from `raysearch
  submit` to the name, and to the first event of the first trial's start and first report.
- recovery: a table of 1,000 trials with 100 reports each, whose driver was killed; seconds from
  `raysearch resume` to its first trial's start, Ray's start included.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
PARTS = ("reports", "answers", "submit", "recovery")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
COMMAND = [sys.executable, "-m", "raysearch.cli"]


def simulated(folder: Path, trials: int, reports: int, every: float) -> None:
    """One search of simulated trials, all at once, driven in this process."""
    import raysearch.trial.host as hosts
    from benchmarks.simulated import SimulatedHost
    from raysearch.driver.plan import Request
    from raysearch.driver.search import start
    from raysearch.settings import Settings

    setattr(hosts, "Host", SimulatedHost)  # noqa: B010 (typed as the class that it was)
    values: dict[str, object] = {"reports": reports, "every": every, "together": trials}
    request = Request(
        "benchmarks.simulated_sweep:simulated",
        values,
        trials=trials,
        concurrent=trials,
        name="simulated",
    )
    outcome = start(request, Settings.locate(folder, tracking_uri="none"))
    assert outcome.view.counts() == {"complete": trials}, outcome


def measure_reports(trials: int) -> str:
    """Reports a second, between the moment at which all trials run and the first one's end."""
    with tempfile.TemporaryDirectory() as folder:
        run_apart(folder, trials, reports=300, every=0.0)
        events = [
            event for event in events_of(Path(folder), "simulated") if event.trial is not None
        ]
        begun = [
            min(e.time for e in events if e.trial == n and e.kind == "report")
            for n in range(trials)
        ]
        ends = [event.time for event in events if event.kind == "told"]
        begin, end = max(begun), min(ends)
        if end <= begin:
            return "reports: the first trial ended before the last began"
        count = sum(e.kind == "report" and begin <= e.time < end for e in events)
        return f"reports: {1000 * count / (end - begin):.0f} a second of {trials} trials at once"


def measure_answers(trials: int, every: float) -> str:
    """Milliseconds from report to answer, when all trials run and report at the same moment."""
    with tempfile.TemporaryDirectory() as folder:
        run_apart(folder, trials, reports=40, every=every)
        files = sorted(Path(folder).glob("simulated/*/attempt-*/answers.json"))
        assert len(files) == trials
        waited = [1000 * one for file in files for one in json.loads(file.read_text())[-20:]]
        cuts = quantiles(waited, n=100)
        return (
            f"answers: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, most {max(waited):.0f} ms, "
            f"{trials} trials that report at once every {every:g} s"
        )


def run_apart(folder: str, trials: int, *, reports: int, every: float) -> None:
    """The search of simulated trials in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.cluster", "--folder", folder]
    command += ["--trials", str(trials), "--reports", str(reports), "--every", str(every)]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True)


def events_of(folder: Path, name: str) -> Iterator[Any]:
    """The events of a search in a folder of runs."""
    from raysearch.events.log import Store

    return Store(f"sqlite:///{folder / 'raysearch.db'}").events(name)


def measure_recovery() -> str:
    """Seconds from `resume` to the start of its first trial, with 100,000 reports in the table."""
    from benchmarks.inside import Inside

    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder, "runs")
        inside = Inside.begin(runs, trials=1004, concurrent=2)
        for _ in range(1000):
            inside.run(100)
        inside.log.flush()
        last = inside.log.last
        begin = time.time()
        command = [*COMMAND, "resume", "inside", "--runs", str(runs), "--tracking-uri", "none"]
        driver = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        try:
            started = first_event(runs, "inside", last, "started")
            reported = first_event(runs, "inside", last, "report")
        finally:
            driver.send_signal(signal.SIGTERM)
            driver.wait(60)
        return (
            f"recovery: {last} events; first trial started {started / 1000 - begin:.1f} s after "
            f"`resume`, its first report after {reported / 1000 - begin:.1f} s"
        )


def measure_submit(submissions: int = 4) -> str:
    """Seconds from `submit` to the name, to the first trial's start, and to its first report."""
    from raysearch.events.log import Store
    from raysearch.server.state import ServiceState
    from tests.raysearch.events.servers import free_port
    from tests.raysearch.server.head import Head

    class Whole(Head):
        """With the real service in place of the gateway alone."""

        def start_service(self) -> None:
            ports = [f"--port={self.ports['service']}", f"--mlflow-port={free_port()}"]
            places = [f"--state={self.state}", f"--runs={self.runs}"]
            ray = f"--ray-address=127.0.0.1:{self.ports['gcs']}"
            self._start([*COMMAND, "serve", *places, *ports, ray], "service.log")
            self._wait(f"{self.address}/health", {}, 120)

    head, rows = Whole(), list[list[float]]()
    try:
        for _ in range(submissions):
            begin = time.time()
            name = head.raysearch("submit", "own:valley", "--trials", "2").stdout.strip()
            named = time.time()
            store = Store(ServiceState.read(head.state).store)
            moments = [named]
            for kind in ("started", "report"):
                while (event := next(store.events(name, kinds=[kind]), None)) is None:
                    time.sleep(0.05)
                moments.append(event.time / 1000)
            rows.append([moment - begin for moment in moments])
            while not {"finished", "stopped"} & {event.kind for event in store.events(name)}:
                time.sleep(0.1)
    finally:
        head.close()
    shown = "; ".join(" / ".join(f"{seconds:.1f}" for seconds in row) for row in rows)
    return f"submit: seconds to the name / first trial's start / its first report: {shown}"


def first_event(runs: Path, name: str, after: int, kind: str, limit: float = 120) -> int:
    """When the first event of a kind behind a number was written, in ms since 1970."""
    from raysearch.events.log import Store

    store, deadline = Store(f"sqlite:///{runs / 'raysearch.db'}"), time.monotonic() + limit
    while time.monotonic() < deadline:
        for event in store.events(name, after, kinds=[kind]):
            return event.time
        time.sleep(0.05)
    raise TimeoutError(f"no event {kind!r} within {limit:g} s")


def main() -> None:
    """Measures each part and prints a line for it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--reports", type=int, default=100, help=argparse.SUPPRESS)
    parser.add_argument("--every", type=float, default=3.0)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        simulated(arguments.folder, arguments.trials, arguments.reports, arguments.every)
        return
    if "recovery" in arguments.only:
        print(measure_recovery(), flush=True)
    if "submit" in arguments.only:
        print(measure_submit(), flush=True)
    if "reports" in arguments.only:
        print(measure_reports(arguments.trials), flush=True)
    if "answers" in arguments.only:
        print(measure_answers(arguments.trials, arguments.every), flush=True)


if __name__ == "__main__":
    main()
