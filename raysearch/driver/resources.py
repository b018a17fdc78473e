"""Resources: what a machine or cluster has, what a trial needs, how many trials fit at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting
from raysearch.sweeps.program import PROGRAM
from raysearch.sweeps.search_spec import SearchSpec
from raysearch.sweeps.sweep import Resources, Sweep
from raysearch.texts import cut

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LARGEST = 2.0**62
LEAST = 16 << 20
"""Bytes below which no process of a trial lives: Python alone has almost as many."""
_DEVICES = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Machine:
    """The resources to run on: CPUs, GPUs, and bytes of memory; of a cluster in all, and its nodes.

    No trial's worker is spread over two nodes: what fits is counted on each.
    """

    cpus: int
    gpus: int
    memory: int
    nodes: tuple[Machine, ...] = ()

    @classmethod
    def here(cls) -> Machine:
        """This machine, as far as this process may use it."""
        import psutil

        cpus = len(os.sched_getaffinity(0))
        shown = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = len(list(_DEVICES.iterdir())) if _DEVICES.is_dir() else 0
        if shown is not None:
            named = takewhile(_is_device, map(str.strip, shown.split(",")))
            gpus = min(gpus, len(list(named)))
        return cls(cpus, gpus, psutil.virtual_memory().total)

    @classmethod
    def cluster(cls, nodes: Iterable[Machine]) -> Machine:
        """All nodes of a cluster together."""
        each = tuple(nodes)
        return cls(
            sum(node.cpus for node in each),
            sum(node.gpus for node in each),
            sum(node.memory for node in each),
            each,
        )

    @property
    def alone(self) -> tuple[Machine, ...]:
        """The nodes of a cluster, or this machine as its only one."""
        return self.nodes or (self,)


def _is_device(name: str) -> bool:
    """Whether CUDA takes it for a device: at -1, or another word that is none, its list ends."""
    return name.isdecimal() or name.startswith(("GPU-", "MIG-"))


def parse_memory(text: str, option: str = "--memory") -> int:
    """Bytes: `800M`, `2G`, `2GiB` or a plain number. Raises ValueError naming what is allowed."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = float(match[1]) * _UNITS[match[2].upper()] if match else 0.0
    if not 1 <= size <= _LARGEST:
        shown = cut(text, 80)
        raise BadSetting(f"{option} must be a positive size such as 800M or 2G, got {shown!r}")
    return int(size)


def in_one_piece(need: Resources, experiment: str) -> Resources:
    """What is asked of a node: a program starts its workers itself, so all are on one machine.

    Raises:
        BadSetting: together they have a part of a GPU beside a whole one, which Ray cannot give.
    """
    if experiment != PROGRAM or need.workers == 1:
        return need
    cpus, gpus = need.cpus * need.workers, need.gpus * need.workers
    if gpus > 1 and gpus != int(gpus):
        raise BadSetting(
            f"resources.gpus of all workers of a program together must be whole or below 1, got "
            f"{need.workers} × {need.gpus:g} = {gpus:g}"
        )
    return replace(need, workers=1, cpus=cpus, gpus=gpus)


def resources(
    sweep: Sweep,
    machine: Machine,
    *,
    experiment: str = "",
    workers: int | None = None,
    gpus: float | None = None,
    memory: int | None = None,
    concurrent: int | None = None,
) -> dict[str, Any]:
    """What each trial may use, and how many run at once: no more than fit, so that none waits.

    A group of workers that found no room would hold its place and wait for ever. Its host needs no
    CPU. What is None is as the sweep says, or as much as there is. Of a program, which
    `experiment` tells, each trial is in one piece.

    Raises:
        ValueError: a trial can never fit, or so many cannot at once; says what exists.
    """
    given: Mapping[str, Any] = {"workers": workers, "gpus": gpus}
    asked = replace(
        sweep.resources, **{name: value for name, value in given.items() if value is not None}
    )
    need = in_one_piece(asked, experiment)
    at_once = _at_once(sweep.name, need, machine, concurrent)
    used = [node for node in machine.alone if _places_on(node, need)]
    shares = [_shares_of(node, need, machine, at_once) for node in used]
    share = min(node.memory // parts for node, parts in zip(used, shares, strict=True))
    largest = max(node.memory for node in machine.alone)
    if memory is not None and not LEAST <= memory <= largest:
        got = f"{memory >> 20}M" if memory > largest else f"{memory} bytes"
        raise BadSetting(
            f"--memory must be from {LEAST >> 20}M, with less nothing runs, to the "
            f"{largest >> 20}M that exist, got {got}"
        )
    workers_at = zip(used, shares, strict=True)
    here = max(asked.workers // need.workers, _together(machine, need))
    threads = min(int(node.cpus / (parts * here)) for node, parts in workers_at)
    return {
        "concurrent": at_once,
        "threads": max(1, threads),
        "workers": asked.workers,
        "cpus": asked.cpus,
        "gpus": asked.gpus,
        "memory": memory or (parse_memory(asked.memory) if asked.memory else share),
        "patience": asked.patience,
    }


def fits(spec: SearchSpec, machine: Machine) -> int:
    """How many trials of a search that has begun fit on this machine at once.

    What a trial needs stays as it was, and so does its number of threads, which decides the last
    bits of its numbers.

    Raises:
        ValueError: not one fits; says what it needs, what there is, and what can be changed.
    """
    need = trial_of(spec)
    workers = need.workers
    places = sum(_places_on(node, need) for node in machine.alone)
    if places >= workers:
        return places // workers
    what = f"{workers} workers with {_each(need)} each" if workers > 1 else _each(need)
    change = "--workers or --gpus" if workers > 1 else "resources of its sweep"
    raise BadSetting(
        f"search {spec.search!r} cannot go on here: each of its trials needs {what}, and "
        f"{_exists(machine)} for this process; resume it where there are as many (--concurrent "
        f"does not help: not one trial fits), or begin a new search with fewer ({change})"
    )


def trial_of(spec: SearchSpec) -> Resources:
    """What a trial of a search that has begun asks of the nodes."""
    need = Resources(cpus=spec.cpus, gpus=spec.gpus, workers=spec.workers)
    return in_one_piece(need, spec.experiment)


def _together(machine: Machine, need: Resources) -> int:
    """How many workers of a trial share a machine: all, where there is only one."""
    return 1 if machine.nodes else need.workers


def _shares_of(node: Machine, need: Resources, machine: Machine, at_once: int) -> int:
    """Into how many parts a machine is divided: trials at once; on a cluster, all it has room for.

    Which node a trial meets is Ray's choice.
    """
    return _places_on(node, need) if machine.nodes else at_once


def _at_once(sweep: str, need: Resources, machine: Machine, asked: int | None) -> int:
    places = _places(sweep, need, machine)
    if need.workers > places:
        raise BadSetting(
            f"resources.workers of sweep {sweep} must be at most {places} ({_each(need)} each, "
            f"{_exists(machine)}), got {need.workers}"
        )
    most = places // need.workers
    if asked is not None and not 1 <= asked <= most:
        trial = f"{need.workers} workers with {_each(need)}" if need.workers > 1 else _each(need)
        raise BadSetting(
            f"--concurrent must be between 1 and {most} ({trial} a trial, {_exists(machine)}), "
            f"got {asked}"
        )
    return most if asked is None else asked


def _places(sweep: str, need: Resources, machine: Machine) -> int:
    """How many workers fit; a clear refusal if there is not room for one."""
    for name, wanted, there in (
        ("CPU", need.cpus, max(node.cpus for node in machine.alone)),
        ("GPU", need.gpus, max(node.gpus for node in machine.alone)),
    ):
        if wanted > there:
            where = " on one node" if machine.nodes else ""
            raise BadSetting(
                f"resources.{name.lower()}s of sweep {sweep} must be at most the {there} {name}s "
                f"that exist{where}, got {wanted:g}"
            )
    places = sum(_places_on(node, need) for node in machine.alone)
    if not places:
        raise BadSetting(
            f"resources of sweep {sweep} must fit on one node ({_each(need)}), and no node has both"
        )
    return places


def _places_on(node: Machine, need: Resources) -> int:
    """How many workers fit on one machine: a GPU is shared by as many as it has parts for."""
    if need.cpus > node.cpus or need.gpus > node.gpus or not node.cpus:
        return 0  # a head without CPUs runs no trial, not even one that asks for none
    places = int(node.cpus / need.cpus) if need.cpus else node.cpus
    if need.gpus >= 1:
        places = min(places, int(node.gpus / need.gpus))
    elif need.gpus:
        places = min(places, node.gpus * int(1 / need.gpus))
    return max(places, 1)


def _each(need: Resources) -> str:
    return f"{need.cpus:g} CPUs" + (f" and {need.gpus:g} GPUs" if need.gpus else "")


def _exists(machine: Machine) -> str:
    return f"{machine.cpus} CPUs and {machine.gpus} GPUs exist"
