"""How long a search of 3,000 trials with 300 reports each takes to come back.

    python -m benchmarks.recovery [--trials 3000] [--reports 300] [--profile]

The events, 900,000 reports among them, are written by a search's own study and log (random points,
nothing pruned), into SQLite; two trials are left in the middle. Then, in a process of its own, all
that a resumed search does before it goes on: the events are read, the view, the study and the
unfinished trials rebuilt.

Printed are seconds of processor time for each of these, of the wall for all, and the most memory.
With --profile also the functions in which most of it is spent.

Expected: under 4 s of processor time in all.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.inside import Inside, report
from raysearch.driver.live_trial import unfinished
from raysearch.events.formats import spec_of
from raysearch.events.log import Store
from raysearch.results.collecting import uncollected
from raysearch.results.view import SearchView
from raysearch.settings import Settings
from raysearch.study.study import Study
from raysearch.sweeps.catalog import find_sweep
from raysearch.sweeps.space import Space

ROOT = Path(__file__).parents[1]


def write(folder: Path, trials: int, reports: int) -> int:
    """Writes the events of the search; returns how many there are."""
    inside = Inside.begin(folder, trials=trials + 2, concurrent=2)
    for _ in range(trials):
        inside.run(reports)
    for _ in range(2):
        inside.study.prepare(1)
        attempt = inside.start()
        assert attempt is not None
        params = inside.study.trials[attempt["trial"]].params
        for epoch in range(1, reports // 2):
            inside.hear(attempt, report(params, epoch))
    inside.log.flush()
    return inside.log.last


def recover(folder: Path, profile: bool) -> None:
    """Does what `raysearch.driver.search.resume` does before it drives on; prints what it took."""
    settings, name = Settings.locate(folder), "inside"
    store = Store(settings.store)
    spec = spec_of(name, next(store.events(name)).body.plain())
    space = Space(find_sweep(spec.sweep, settings.sweeps), spec.fixed)
    marks = [("", time.process_time())]
    wall, profiler = time.perf_counter(), cProfile.Profile()
    with ExitStack() as stack:
        stack.enter_context(uncollected())
        if profile:
            stack.enter_context(profiler)
        events = list(store.events(name))
        marks.append(("events", time.process_time()))
        view = SearchView.of(name, events)
        marks.append(("view", time.process_time()))
        study = Study.rebuild(space, view.begun, store.log(name), events)
        marks.append(("study", time.process_time()))
        unfinished_trials = unfinished(events, view.spec)
        marks.append(("unfinished", time.process_time()))
    wall = time.perf_counter() - wall
    assert len(study.trials) == len(view.trials) and len(unfinished_trials) == 2
    for (_, begin), (what, end) in zip(marks, marks[1:], strict=False):
        print(f"{what:12} {end - begin:6.2f} s")
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{'all':12} {marks[-1][1] - marks[0][1]:6.2f} s of the processor, {wall:.2f} s of the wall"
    )
    print(f"{'memory':12} {largest:6.0f} MB at most")
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(15)


def main() -> None:
    """Writes the events, then recovers in a fresh process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--reports", type=int, default=300)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        recover(arguments.folder, arguments.profile)
        return
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        count = write(Path(folder), arguments.trials, arguments.reports)
        print(f"{count} events, written in {time.process_time() - begin:.0f} s of the processor")
        command = [sys.executable, "-m", "benchmarks.recovery", "--folder", folder]
        command += ["--profile"] if arguments.profile else []
        subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
