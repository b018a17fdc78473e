"""Seconds a trial: raysearch with everything on against what its users would write instead.

    python -m benchmarks.overhead [--trials 120] [--slow-trials 15]

Every contender does the work of `benchmarks.tiny`: a tiny ViT, three reports, one checkpoint; two
trials at once. Fast contenders are timed from the 50th trial on (or the middle, with fewer), slow
ones from the 5th: the slope of finishing times, so that starting Ray is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
WORKERS = 2


def slope(finished: list[float], first: int) -> float:
    """Seconds a trial between the `first` finished trial and the last."""
    times = sorted(finished)
    first = min(first, len(times) // 2)
    return (times[-1] - times[first]) / (len(times) - 1 - first)


def raysearch(trials: int) -> list[float]:
    """TPE, median pruner, committed events, MLflow with a run a trial, checkpoints kept."""
    from raysearch.driver.plan import Request
    from raysearch.driver.search import start
    from raysearch.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        request = Request("benchmarks.tiny_sweep:tiny", trials=trials, concurrent=WORKERS)
        view = start(request, Settings.locate(folder)).view
        assert view.counts().get("complete", 0) + view.counts().get("pruned", 0) == trials
        return [trial.ended / 1000 for trial in view.trials.values() if trial.ended is not None]


def plain_tune(trials: int) -> list[float]:
    """Plain Ray Tune, function trainable, a fresh actor a trial."""
    import ray
    from ray import tune

    finished: list[float] = []

    class Clock(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any):
            finished.append(time.time())

    def train(config: dict[str, Any]) -> None:
        from benchmarks.tiny import work

        def report(step: int, loss: float, checkpoint: Path | None) -> None:
            if checkpoint is None:
                tune.report({"loss": loss})
            else:
                folder = tune.Checkpoint.from_directory(checkpoint.parent)
                tune.report({"loss": loss}, checkpoint=folder)

        work(config, report, Path(tempfile.mkdtemp()))

    with tempfile.TemporaryDirectory() as folder:
        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
        tune.Tuner(
            train,
            param_space={"lr": tune.loguniform(1e-4, 1e-1)},
            tune_config=tune.TuneConfig(num_samples=trials, metric="loss", mode="min"),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Clock()]),
        ).fit()
        ray.shutdown()
    return finished


def tune_and_train(trials: int) -> list[float]:
    """Ray Tune with OptunaSearch, each trial a TorchTrainer of one worker."""
    import optuna
    import ray
    from ray import train as ray_train
    from ray import tune
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    finished: list[float] = []

    class Clock(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any):
            finished.append(time.time())

    def loop(config: dict[str, Any]) -> None:
        from benchmarks.tiny import work

        def report(step: int, loss: float, checkpoint: Path | None) -> None:
            kept = ray_train.Checkpoint.from_directory(checkpoint.parent) if checkpoint else None
            ray_train.report({"loss": loss}, checkpoint=kept)

        work(config, report, Path(tempfile.mkdtemp()))

    with tempfile.TemporaryDirectory() as folder:

        def trainable(config: dict[str, Any]) -> None:
            TorchTrainer(
                loop,
                train_loop_config=config,
                scaling_config=ray_train.ScalingConfig(
                    num_workers=1, resources_per_worker={"CPU": 0.9}
                ),
                run_config=ray_train.RunConfig(
                    storage_path=folder,
                    name=f"train-{tune.get_context().get_trial_id()}",
                    callbacks=[TuneReportCallback()],
                ),
            ).fit()

        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": 0.1}),
            param_space={"lr": tune.loguniform(1e-4, 1e-1)},
            tune_config=tune.TuneConfig(
                num_samples=trials,
                metric="loss",
                mode="min",
                search_alg=OptunaSearch(seed=0),
                max_concurrent_trials=WORKERS,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Clock()]),
        ).fit()
        ray.shutdown()
    return finished


def processes(trials: int) -> list[float]:
    """One Python process a trial, as a shell loop over `train.py` starts them, two at a time."""
    code = (
        "import json, sys, tempfile, pathlib; from benchmarks.tiny import work;"
        "work(json.loads(sys.argv[1]), lambda *report: None, pathlib.Path(tempfile.mkdtemp()))"
    )

    def one(index: int) -> float:
        config = json.dumps({"lr": 1e-3 * (index + 1)})
        subprocess.run([sys.executable, "-c", code, config], cwd=ROOT, check=True)
        return time.time()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, range(trials)))


CONTENDERS = {
    "raysearch": (raysearch, 50),
    "plain Tune, fresh actor": (plain_tune, 5),
    "Tune + OptunaSearch + TorchTrainer": (tune_and_train, 5),
    "one Python process a trial": (processes, 5),
}


def main() -> None:
    """Runs each contender in a process of its own and prints seconds a trial and the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=150, help="trials of raysearch")
    parser.add_argument("--slow-trials", type=int, default=15, help="trials of each other")
    parser.add_argument("--only", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        contender, first = CONTENDERS[arguments.only]
        trials = arguments.trials if arguments.only == "raysearch" else arguments.slow_trials
        print(json.dumps(slope(contender(trials), first)))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, 2 at a time")
    seconds: dict[str, float] = {}
    for name in CONTENDERS:
        command = [sys.executable, "-m", "benchmarks.overhead", "--only", name]
        command += ["--trials", str(arguments.trials)]
        command += ["--slow-trials", str(arguments.slow_trials)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: failed\n{done.stderr[-2000:]}")
            continue
        seconds[name] = float(done.stdout.strip().splitlines()[-1])
        ratio = seconds[name] / seconds.get("raysearch", seconds[name])
        print(f"{name:36} {seconds[name]:8.3f} s a trial   {ratio:6.1f} x", flush=True)


if __name__ == "__main__":
    main()
