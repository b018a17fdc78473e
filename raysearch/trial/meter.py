"""Use of an attempt over time: CPU, memory, GPU and energy of its process and all below it."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from raysearch.costs import COSTS, CPU_SECONDS, ENERGY, MEMORY
from raysearch.trial import process_tree

EVERY = "RAYSEARCH_METER"
"""Environment variable: seconds between two looks, by default 15; 0 for none."""
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB, _WH = 1 << 20, 3600.0
POWERCAP = Path("/sys/class/powercap")
"""Where Linux tells the energy of processors (RAPL), if this user may read it."""


class Meter:
    """Measures a process tree; `read` is called every 15 s or so.

    Energy is that of the processors, by the share of all CPU time of the machine that the tree had,
    and that of its GPUs, times the share of them that it was given. Where the machine tells neither
    there is none. A tree whose processes have ended keeps what they had used when last seen.

    Args:
        pid: the process of the attempt.
        gpus: how many it was given; of a share of one that share of its energy is counted.
        memory: bytes of a process.
        devices: the GPUs, as CUDA_VISIBLE_DEVICES names them.
        powercap: the folder of RAPL.
    """

    def __init__(
        self,
        pid: int,
        gpus: float,
        memory: Callable[[int], int],
        devices: str = "",
        powercap: Path = POWERCAP,
    ) -> None:
        self._pid, self._memory = pid, memory
        self._every = float(os.environ.get(EVERY, "15"))
        self._processors = _Processors(powercap)
        self._gpus = Gpus(devices.split(","), min(gpus, 1.0)) if gpus and devices else None
        self._cpu = self._energy = 0.0
        self._looked = time.monotonic()
        self._busy = busy_seconds()

    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return bool(self._every) and time.monotonic() - self._looked >= self._every

    def read(self) -> dict[str, float]:
        """What is used now, by names of costs: CPU in percent of one core since the last look,
        memory in MiB, CPU seconds and energy in Wh since the attempt began.
        """
        now, family = time.monotonic(), process_tree.family(self._pid)
        used = max(sum(map(cpu_seconds, family)), self._cpu)
        spent, passed, busy = used - self._cpu, now - self._looked, busy_seconds()
        found = {
            f"{COSTS}cpu_percent": 100 * spent / passed if passed else 0.0,
            MEMORY: sum(map(self._memory, family)) / _MIB,
            CPU_SECONDS: used,
        }
        joules = self._processors.since_last()
        share = min(spent / (busy - self._busy), 1.0) if busy > self._busy else 0.0
        told = joules is not None
        self._energy += share * (joules or 0.0)
        if self._gpus is not None and (gpus := self._gpus.read()):
            self._energy += gpus.pop("joules", 0.0)
            told = told or self._gpus.tells_energy
            found |= {f"{COSTS}{name}": value for name, value in gpus.items()}
        self._cpu, self._looked, self._busy = used, now, busy
        return {**found, ENERGY: self._energy / _WH} if told else found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of its children that it has waited for; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS
    except (OSError, ValueError):
        return 0.0


def busy_seconds() -> float:
    """CPU time that all processes of this machine have had since it started."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + softirq + steal) / _TICKS


class _Processors:
    """The counters of energy of all processors, in microjoules; they begin again at a limit."""

    def __init__(self, folder: Path) -> None:
        packages = sorted(folder.glob("intel-rapl:*")) if folder.is_dir() else []
        self._packages = [one for one in packages if one.name.count(":") == 1]
        self._last = self._read()

    def since_last(self) -> float | None:
        """Joules since the last call; None where they are not told."""
        now, before = self._read(), self._last
        self._last = now
        if not now or now.keys() != before.keys():
            return None
        used = 0.0
        for package, value in now.items():
            passed = value - before[package]
            used += passed if passed >= 0 else passed + _number(package / "max_energy_range_uj")
        return used / 1e6

    def _read(self) -> dict[Path, int]:
        with suppress(OSError, ValueError):
            return {package: _number(package / "energy_uj") for package in self._packages}
        return {}


def _number(file: Path) -> int:
    return int(file.read_text())


class Gpus:
    """GPUs as NVML tells of them, by the package nvidia-ml-py; nothing where it lacks or fails.

    Args:
        devices: their numbers or UUIDs.
        share: of the energy of each.
    """

    def __init__(self, devices: Iterable[str], share: float) -> None:
        self._share, self._last = share, dict[int, float]()
        self._nvml, self._handles = _nvml(), list[Any]()
        self.tells_energy = False
        with suppress(Exception):  # a library of a driver, whatever it raises
            if self._nvml is not None:
                self._nvml.nvmlInit()
                self._handles = [_handle(self._nvml, one.strip()) for one in devices]
                self._joules()

    def read(self) -> dict[str, float]:
        """Mean utilisation in percent; MiB and watts of all; joules since the last call."""
        if self._nvml is None or not self._handles:
            return {}
        try:
            rates = [self._nvml.nvmlDeviceGetUtilizationRates(one).gpu for one in self._handles]
            used = [self._nvml.nvmlDeviceGetMemoryInfo(one).used for one in self._handles]
            watts = [self._nvml.nvmlDeviceGetPowerUsage(one) / 1000 for one in self._handles]
            found = {"gpu_percent": sum(rates) / len(rates), "gpu_memory_mib": sum(used) / _MIB}
            return {**found, "gpu_watts": sum(watts), "joules": self._joules() * self._share}
        except Exception:
            self._handles = []
            return {}

    def _joules(self) -> float:
        total = 0.0
        with suppress(Exception):  # older GPUs do not count it
            for place, handle in enumerate(self._handles):
                now = self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
                total += now - self._last.get(place, now)
                self._last[place] = now
                self.tells_energy = True
        return total


def _nvml() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def _handle(nvml: Any, device: str) -> Any:
    if device.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(device))
    return nvml.nvmlDeviceGetHandleByUUID(device)
