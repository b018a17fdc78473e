"""Loss curves of one and of two workers beside one another.

    python -m benchmarks.groups [--steps 100] [--ray]

A small vision transformer on the digits of scikit-learn, with augmentation, MixUp and CutMix, in
double precision and without dropout; the global batch is the same: 24 images, in one piece and in
two micro-batches. Two workers are two processes over gloo, with `--ray` also a Ray Train group, as
a trial with `--workers 2` is run. Printed are training losses, the largest difference of any
reported number from one worker's, and the seconds of each.

Expected: differences below 1e-10; they are rounding, which the steps make larger.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.trainables import groups
from tests.trainables.group_configs import TWENTY_STEPS
from tests.trainables.groups import together

ROOT = Path(__file__).parents[1]
Reports = dict[int, dict[str, float]]


def alone(config: dict[str, Any], folder: Path) -> Reports:
    """One worker, in this process."""
    return groups.run("precise", config, None, 0, folder)["reports"]


def over_gloo(config: dict[str, Any], folder: Path) -> Reports:
    """Two processes."""
    return together(2, folder, partial(groups.run, "precise", config, None, 0))[0]["reports"]


def under_ray(config: dict[str, Any], folder: Path) -> Reports:
    """Two workers of a Ray Train group, without a search around it."""
    from raysearch.trial.group.workers import Group
    from raysearch.trial.job import Job

    experiment, paths = "tests.trainables.groups:Precise", [str(ROOT)]
    job = Job("", str(folder), 0, 1, experiment, config, str(folder), paths=paths, workers=2)
    group, reports = Group(job), Reports()
    while (message := group.next(1.0)) is None or message["kind"] != "end":
        if message is not None and message["kind"] == "report":
            reports[message["step"]] = message["metrics"]
            group.answer(stop=False)
    assert message["outcome"] == "complete", message["message"]
    return reports


def begin_ray() -> None:
    """A Ray of two CPUs, as a search on two has it."""
    import ray

    from raysearch.driver.cluster import RAY_SETTINGS

    os.environ.update({**RAY_SETTINGS, "PYTHONPATH": str(ROOT)})
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    ray.init(num_cpus=2, include_dashboard=False, **quiet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--ray", action="store_true")
    given = parser.parse_args()
    ways: list[tuple[str, Callable[..., Reports], int]] = [
        ("one", alone, 1),
        ("two", over_gloo, 1),
        ("two, accumulated", over_gloo, 2),
    ]
    if given.ray:
        begin_ray()
        ways.append(("two under Ray", under_ray, 1))
    found: dict[str, Reports] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, way, parts in ways:
            values: dict[str, Any] = {
                "training.steps": given.steps,
                "training.num_micro_batches": parts,
                "optimizer.lr": 0.01,
            }
            config = TWENTY_STEPS.with_values(values).to_json()
            began = time.perf_counter()
            found[name] = way(config, Path(scratch) / name.replace(" ", "-"))
            seconds[name] = time.perf_counter() - began
    print("step  " + "".join(f"{name:>20}" for name in found))
    for step in found["one"]:
        if step == 1 or step % max(given.steps // 10, 1) == 0:
            losses = [reports[step]["train/loss"] for reports in found.values()]
            print(f"{step:4}  " + "".join(f"{loss:20.15f}" for loss in losses))
    for name, reports in found.items():
        apart = max(
            abs(value - reports[step][key])
            for step, report in found["one"].items()
            for key, value in report.items()
        )
        print(f"{name}: at most {apart:.1e} from one worker; {seconds[name]:.1f} s with its start")


if __name__ == "__main__":
    main()
