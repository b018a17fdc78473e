"""Groups of processes that train one experiment, without dropout and in double precision."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from tests.trainables.group_configs import PreciselySupervised
from tests.trainables.runs import Asked
from trainables.core import distributed, liveness, measuring
from trainables.core.experiment import Batch, Evaluated, Evaluation, Experiment, Loss
from trainables.core.loop import train
from trainables.core.session import LocalSession
from trainables.ssl.config import Supervised
from trainables.ssl.experiment import SupervisedExperiment


class Precise(SupervisedExperiment):
    """As its parent, in double precision."""

    config_class = PreciselySupervised

    def __init__(self, config: Supervised) -> None:
        super().__init__(config)
        self.double()

    def forward(self, batch: Batch, step: int) -> Loss:
        labels = batch["labels"]
        soft = labels.double() if labels.is_floating_point() else labels
        logits = self.network(batch["images"].double())
        return Loss(functional.cross_entropy(logits, soft), {"size": logits.square().mean()})

    def _noisy(self, images: Tensor, positions: Tensor) -> Tensor:
        return super()._noisy(images, positions).double()


class Comparing(Precise):
    """Its loss compares all examples of a micro-batch, less a centre that follows their mean."""

    def __init__(self, config: Supervised) -> None:
        super().__init__(config)
        self.register_buffer("centre", torch.zeros(10, dtype=torch.float64))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.unused = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, batch: Batch, step: int) -> Loss:
        own = self.network(batch["images"].double())
        logits = distributed.gather(own) - self.get_buffer("centre")
        likeness = functional.normalize(logits) @ functional.normalize(logits).T
        loss = super().forward(batch, step).total + torch.logsumexp(10 * likeness, 1).mean()
        with torch.no_grad():
            self.get_buffer("centre").mul_(0.9).add_(0.1 * own.mean(0))
            self.get_buffer("passes").add_(1)
        return Loss(loss, {"likeness": likeness.mean()})


class Normalizing(Precise):
    """A small convolutional network with batch normalisation."""

    def __init__(self, config: Supervised) -> None:
        super().__init__(config)
        self.network = nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(288, 10),
            nn.BatchNorm1d(10, affine=False),
        ).double()
        self.network.__dict__["weights"] = None  # none that were learned before


PROBED = "probed"
"""The name of the evaluation of `Probed`."""


class Probes(SupervisedExperiment):
    """With an evaluation that trains a probe and differentiates the networks, in training mode."""

    def evaluations(self) -> list[Evaluation]:
        """One more."""
        every = self.config.training.evaluate_every
        return [*super().evaluations(), Evaluation(PROBED, "val", self._probed, every)]

    def _probed(self, is_last: bool) -> Evaluated:
        images, labels = self._data.val.take(torch.arange(64)), self._data.val.labels[:64]
        kind = next(self.parameters()).dtype
        logits = self.network(images.to(kind))
        with measuring.learning(self, PROBED) as draw:
            features = measuring.differentiable(logits)[:, :8].float()
            dropout, probe, loss = nn.Dropout(0.3), nn.Linear(8, 10), torch.zeros(())
            optimizer = torch.optim.Adam(probe.parameters(), 0.1)
            for _ in range(3):
                chosen = torch.randperm(64, generator=draw)[:32]
                loss = functional.cross_entropy(probe(dropout(features[chosen])), labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            self.network.train()
            seen = measuring.differentiable(images).to(kind).requires_grad_()
            self.network(seen).square().sum().backward()
            assert seen.grad is not None
            values = {"loss": float(loss.detach()), "gradient": float(seen.grad.norm())}
            weight = probe.weight.detach().numpy()
        liveness.alive()
        return Evaluated(values, files={"weights.npz": partial(np.savez, weight=weight)})


class Probed(Probes):
    """Supervised training, and a probe."""


class ProbedPrecise(Probes, Precise):
    """In double precision, and a probe."""


class ProbedNormalizing(Probes, Normalizing):
    """With batch normalisation, and a probe."""


KINDS: dict[str, type[Experiment]] = {
    "precise": Precise,
    "comparing": Comparing,
    "normalizing": Normalizing,
    "single": SupervisedExperiment,
    "probed precise": ProbedPrecise,
    "probed normalizing": ProbedNormalizing,
}
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.trainables.groups", "torch._dynamo"])


def together(size: int, folder: Path, work: partial[Any]) -> list[Any]:
    """What `work(folder of this rank)` returns on each rank of a group of processes."""
    folder.mkdir(parents=True, exist_ok=True)
    processes = [
        _context.Process(target=_one, args=(rank, size, folder, work)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(900)
        process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _one(rank: int, size: int, folder: Path, work: partial[Any]) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    place = f"file://{folder / 'rendezvous'}"
    dist.init_process_group("gloo", init_method=place, rank=rank, world_size=size)
    torch.save(work(folder / f"rank-{rank}"), folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def run(
    kind: str, config: Mapping[str, Any], restored: Path | None, stop_at: int, folder: Path
) -> dict[str, Any]:
    """Trains on this rank, alone or in a group; what its session heard, and its state."""
    session = Asked(folder, stop_at) if stop_at else LocalSession(folder)
    session.__dict__["_restored"] = restored
    experiment = KINDS[kind].create(config)
    train(experiment, session)
    return {
        "reports": session.reports,
        "checkpoints": session.checkpoints,
        "facts": session.facts,
        "state": experiment.state_dict(),
    }


def limited(wait: float, every: float, work: partial[Any], folder: Path) -> Any:
    """Does some work where a collective may take `wait` seconds, and signs come so often."""
    dist.destroy_process_group()
    place = f"file://{folder.parent / 'limited'}"
    rank = int(folder.name.removeprefix("rank-"))
    dist.init_process_group(
        "gloo", init_method=place, rank=rank, world_size=2, timeout=timedelta(seconds=wait)
    )
    liveness.__dict__["_SAID_EVERY"] = every
    return work(folder)
