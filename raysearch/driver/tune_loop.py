"""Ray Tune's loop around the conductor, and what Ray reserves for each host."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from raysearch.driver.conductor import Conductor, Halted
from raysearch.driver.own_ray import OwnRay, RayLost
from raysearch.driver.resources import trial_of
from raysearch.errors import RaysearchError
from raysearch.study.failures import KINDS
from raysearch.sweeps.search_spec import SearchSpec

_SCRATCH = ".raysearch-tune-"


def host_resources(spec: SearchSpec) -> dict[str, float]:
    """What Ray reserves for the host of a trial.

    The workers of a group have their own; its host then holds a byte of memory, since Ray wants it
    to hold something, and no CPU, so that two workers fit where there are two CPUs.
    """
    need = trial_of(spec)
    if need.workers > 1:
        return {"cpu": 0, "memory": 1}
    return {"cpu": max(need.cpus, 0.01), **({"gpu": need.gpus} if need.gpus else {})}


def tune(conductor: Conductor, spec: SearchSpec, own: OwnRay | None, shared: Path | None) -> None:
    """Ray Tune's loop around the conductor; on a cluster all nodes see the `shared` folder.

    Raises:
        RayLost: our own Ray has ended.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(conductor.limits.concurrent)
    from ray import tune as ray_tune
    from ray.air._internal import usage
    from ray.tune import progress_reporter as shown

    from raysearch.driver.tune import Begin, Decisions, Halt, Suggestions
    from raysearch.trial.endings import outcome_of
    from raysearch.trial.host import Host

    for old in shared.glob(f"{_SCRATCH}*") if shared is not None else ():
        shutil.rmtree(old, ignore_errors=True)  # of a driver that was killed
    scratch = tempfile.mkdtemp(prefix=_SCRATCH, dir=shared or (own and own.folder))
    decisions = Decisions(conductor)
    # To count callbacks it would import four loggers' libraries, of which one leaves folders.
    usage.tag_callbacks = lambda callbacks: False
    # In a notebook it would clear what the cell has shown, to show nothing at this verbosity.
    for module in (sys.modules["ray.tune.tune"], shown):
        setattr(module, "IS_NOTEBOOK", False)  # noqa: B010
    try:
        ray_tune.Tuner(
            ray_tune.with_resources(Host, host_resources(spec)),
            tune_config=ray_tune.TuneConfig(
                num_samples=-1,
                reuse_actors=True,
                search_alg=Suggestions(conductor, decisions),
                trial_dirname_creator=lambda trial: str(trial.trial_id),
                trial_name_creator=lambda trial: str(trial.trial_id),
                scheduler=decisions,
            ),
            run_config=ray_tune.RunConfig(
                name="tune",
                storage_path=scratch,
                verbose=0,
                stop=Halt(conductor),
                callbacks=[Begin(decisions)],
                failure_config=ray_tune.FailureConfig(max_failures=0),
                checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
    except Exception as error:
        # Once all is decided, or on a full disk, Tune's own files are no reason to fail.
        if own is not None and (lost := own.loss()):
            raise RayLost(lost) from error
        if (ours := _in_chain(error)) is not None:
            raise ours from None  # Tune has made a traceback of it
        full = outcome_of(error) == "full"
        if not full and not conductor.over:
            raise
        if full:
            conductor.halt = conductor.halt or Halted("stopped", f"{KINDS['full'].what}: {error}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _in_chain(error: BaseException | None) -> RaysearchError | None:
    """What the store or another part of ours has refused, behind the error that Tune made of it."""
    from ray.tune.error import TuneError

    while isinstance(error, TuneError):
        error = error.__cause__ or error.__context__
    return error if isinstance(error, RaysearchError) else None
