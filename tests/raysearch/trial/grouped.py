"""An experiment for groups of workers that ends in the way its configuration names."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import torch.distributed as dist

from tests.raysearch.trial.offspring import hide
from tests.trainables.group_configs import TWENTY_STEPS
from tests.trainables.groups import Precise
from trainables.core.loop import train


class Dying(Precise):
    """Its rank 1 is killed after the twelfth step."""

    def after_update(self, step: int) -> None:
        if step == 12 and dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def run(config: dict[str, Any], session: Any) -> None:
    """Twenty steps; or rank 0 is at work for 20 seconds and says so; or a rank hangs, raises, or is
    killed if this is no second attempt; or both start processes that hide, and are killed."""
    way = config["way"]
    if way == "hide":
        folder = session.folder / f"rank-{dist.get_rank()}"
        folder.mkdir()
        hide(folder)
        time.sleep(1)  # long enough to be seen
        dist.barrier()
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "hang":
        session.report(1, {"score": 0.0})
        if dist.get_rank() == 1:
            time.sleep(1000)
        dist.barrier()
    if way == "live":
        session.report(1, {"score": 0.0})
        for _ in range(200 if dist.get_rank() == 0 else 0):
            session.alive()
            time.sleep(0.1)
        dist.barrier()
        return
    if way == "raise" and dist.get_rank() == 1:
        raise ValueError("rank 1 has its reasons")
    kind = Dying if way == "die" and session.restored() is None else Precise
    train(kind.create(TWENTY_STEPS.to_json()), session)
