"""A group of workers as Ray Train starts it, and what Ray holds for it until it is given back."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._raylet import PlacementGroupID
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysearch.files import appearing
from raysearch.trial.group.rank import attend
from raysearch.trial.job import Job

START_LIMIT = 300.0
"""Seconds in which all workers of a group must have arrived, 15 to 20 on two quiet cores, and then
at least so many until the first word of the experiment."""
_BEYOND_PATIENCE = 600
"""Seconds by which collectives are more patient than the host: others wait while rank 0 evaluates.
"""
_TRAIN = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # a trial's output goes to its own log
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # how soon a lost worker ends its group
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(START_LIMIT),
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
_launchers: dict[str, Any] = {}


@ray.remote(num_cpus=0, max_restarts=0)
class Launcher:
    """Runs the trainer of one group after the other; whoever ends it ends its group with it."""

    def fit(self, job: str, invitation: dict[str, Any]) -> str:
        """Runs a group to its end; returns what Ray Train says of a failure, which the host may
        know already. The controller of the group ends when nothing here refers to it any more.
        """
        os.environ.update(_TRAIN)
        reason = ""
        try:
            trainer(Job.read(job), invitation).fit()
        except Exception as error:
            reason = str(error).strip().splitlines()[-1][:300]
        gc.collect()
        return reason


def trainer(job: Job, invitation: dict[str, Any]) -> Any:
    """The `TorchTrainer` of a job: so many workers, each with its CPUs and share of a GPU.

    NCCL needs a GPU for each worker; workers that share one, or have none, speak over gloo.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    class Trainer(TorchTrainer):
        """Without the process that guards the group's resources: `give_back` does that.

        It needs Ray's dashboard to see that a group is gone; where there is none it stays for ever.
        """

        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [one for one in callbacks if "PlacementGroupCleaner" not in type(one).__name__]

    storage = storage_of(job)
    resources = {"CPU": job.cpus, **({"GPU": job.gpus} if job.gpus else {})}
    if mark_of(job).exists():
        resources["memory"] = float(mark_of(job).read_text().split()[0])
    return Trainer(
        _work,
        train_loop_config={"job": job.to_json(), **invitation},
        torch_config=TorchConfig(
            backend="nccl" if job.gpus >= 1 else "gloo",
            timeout_s=int(job.patience) + _BEYOND_PATIENCE,
        ),
        scaling_config=ScalingConfig(
            num_workers=job.workers, use_gpu=job.gpus > 0, resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=storage.name,
            storage_path=str(storage.parent),
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
        ),
    )


def _work(config: dict[str, Any]) -> None:
    from ray.train import get_context

    me = ray.get_runtime_context()
    names = {"node": me.get_node_id(), "actor": me.current_actor}
    attend(get_context().get_world_rank(), names, config)


def storage_of(job: Job) -> Path:
    """The folder that Ray Train wants for itself; nothing in it is needed afterwards."""
    return Path(job.folder) / "group"


def mark_of(job: Job) -> Path:
    """The file with the mark of a group and the process of its host.

    The mark is a random number of bytes of memory, below a MiB, that each of its workers reserves:
    by that the group's resources are found.
    """
    return Path(job.folder) / "group.txt"


def set_mark(job: Job, number: int) -> None:
    """Writes the mark of a group of this process, whole or not at all: other hosts look for it."""
    mark = mark_of(job)
    with appearing(mark) as partial:
        partial.write_text(f"{number} {os.getpid()}")


def give_back(mark: Path) -> None:
    """Gives back what Ray holds for the group of this mark: without its host nobody else would."""
    wanted = float(mark.read_text().split()[0])
    for number, group in ray.util.placement_group_table().items():
        marks = {bundle.get("memory") for bundle in group["bundles"].values()}
        if marks == {wanted} and group["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(number)))


def give_back_orphans(root: Path) -> None:
    """Gives back what the lost hosts of a search held for their groups."""
    for mark in root.glob("*/*/group.txt"):
        if not psutil.pid_exists(int(mark.read_text().split()[1])):
            give_back(mark)
            mark.unlink(missing_ok=True)


def launcher(node: str) -> Any:
    """The launcher of this host, kept from one group to the next: it has imported what it needs."""
    if node not in _launchers:
        here = NodeAffinitySchedulingStrategy(node, soft=False)
        _launchers[node] = Launcher.options(scheduling_strategy=here).remote()
    return _launchers[node]


def end_launcher(node: str) -> None:
    """Ends the launcher of this host, and so the group that it runs; the next group has another."""
    ray.kill(_launchers.pop(node))
