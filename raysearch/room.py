"""What there is to run on, what a trial needs of it, and how many trials fit at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raysearch.declare.sweep import Resources, Sweep

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class Machine:
    """What there is to run on: CPUs, GPUs, and bytes of memory."""

    cpus: int
    gpus: int
    memory: int

    @classmethod
    def here(cls) -> Machine:
        """This machine, as far as this process may use it."""
        import psutil

        cpus = len(os.sched_getaffinity(0))
        shown = os.environ.get("CUDA_VISIBLE_DEVICES")
        devices = Path("/proc/driver/nvidia/gpus")
        gpus = len(list(devices.iterdir())) if devices.is_dir() else 0
        if shown is not None:
            gpus = min(gpus, len([part for part in shown.split(",") if part.strip()]))
        return cls(cpus, gpus, psutil.virtual_memory().total)


def parse_memory(text: str, option: str = "--memory") -> int:
    """Bytes: `800M`, `2G`, `2GiB` or a plain number. Raises ValueError naming what is allowed."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match or float(match[1]) <= 0:
        raise ValueError(f"{option} must be a positive size such as 800M or 2G, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def resources(
    sweep: Sweep,
    machine: Machine,
    *,
    workers: int | None = None,
    gpus: float | None = None,
    memory: int | None = None,
    concurrent: int | None = None,
) -> dict[str, Any]:
    """What each trial may use, and how many run at once: no more than fit, so that none waits.

    A group of workers that found no room would hold its place and wait for ever. Its host needs no
    CPU. What is None is as the sweep says, or as much as there is.

    Raises:
        ValueError: a trial can never fit, or so many cannot at once; says what exists.
    """
    given: Mapping[str, Any] = {"workers": workers, "gpus": gpus}
    need = replace(
        sweep.resources, **{name: value for name, value in given.items() if value is not None}
    )
    at_once = _at_once(sweep.name, need, machine, concurrent)
    share = parse_memory(need.memory) if need.memory else machine.memory // at_once
    if memory is not None and memory > machine.memory:
        raise ValueError(
            f"--memory must be at most the {machine.memory >> 20}M that exist, got {memory >> 20}M"
        )
    return {
        "concurrent": at_once,
        "threads": max(1, int(machine.cpus / (at_once * need.workers))),
        "workers": need.workers,
        "cpus": need.cpus,
        "gpus": need.gpus,
        "memory": memory or share,
        "patience": need.patience,
    }


def _at_once(sweep: str, need: Resources, machine: Machine, asked: int | None) -> int:
    places = _places(sweep, need, machine)
    if need.workers > places:
        raise ValueError(
            f"resources.workers of sweep {sweep} must be at most {places} ({_each(need)} each, "
            f"{_exists(machine)}), got {need.workers}"
        )
    room = places // need.workers
    if asked is not None and not 1 <= asked <= room:
        trial = f"{need.workers} workers with {_each(need)}" if need.workers > 1 else _each(need)
        raise ValueError(
            f"--concurrent must be between 1 and {room} ({trial} a trial, {_exists(machine)}), "
            f"got {asked}"
        )
    return room if asked is None else asked


def _places(sweep: str, need: Resources, machine: Machine) -> int:
    """How many workers fit, at least one: a GPU is shared by as many as it has parts for."""
    for name, wanted, there in (
        ("CPU", need.cpus, machine.cpus),
        ("GPU", need.gpus, machine.gpus),
    ):
        if wanted > there:
            raise ValueError(
                f"resources.{name.lower()}s of sweep {sweep} must be at most the {there} {name}s "
                f"that exist, got {wanted:g}"
            )
    places = int(machine.cpus / need.cpus) if need.cpus else machine.cpus
    if need.gpus >= 1:
        places = min(places, int(machine.gpus / need.gpus))
    elif need.gpus:
        places = min(places, machine.gpus * int(1 / need.gpus))
    return max(places, 1)


def _each(need: Resources) -> str:
    return f"{need.cpus:g} CPUs" + (f" and {need.gpus:g} GPUs" if need.gpus else "")


def _exists(machine: Machine) -> str:
    return f"{machine.cpus} CPUs and {machine.gpus} GPUs exist"
