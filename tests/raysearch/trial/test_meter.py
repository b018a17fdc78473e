"""What an attempt uses, against the operating system and files of known counters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from raysearch.trial import meter
from raysearch.trial.child import private_memory
from raysearch.trial.meter import EVERY, Gpus, Meter, busy_seconds, cpu_seconds

WORKS = """
import os, sys, time
held = bytearray(64 << 20)
if os.fork() == 0:
    while time.process_time() < 0.2: pass
    print("x", flush=True)
    time.sleep(60)
while time.process_time() < 0.2: pass
print("y", flush=True)
time.sleep(60)
"""


def counters(folder: Path, **energy: int) -> Path:
    """A folder as RAPL's, with microjoules by package; a part of one is none of its own."""
    for name, value in energy.items():
        package = folder / f"intel-rapl:{name.removeprefix('p')}"
        package.mkdir(parents=True, exist_ok=True)
        (package / "energy_uj").write_text(f"{value}\n")
        (package / "max_energy_range_uj").write_text("1000000000\n")
    (folder / "intel-rapl:0:0").mkdir(parents=True, exist_ok=True)
    (folder / "intel-rapl:0:0/energy_uj").write_text("999999")
    return folder


def test_cpu_and_memory_are_those_of_the_whole_tree(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKS], stdout=subprocess.PIPE)
    measured = Meter(process.pid, 0.0, private_memory, powercap=tmp_path / "none")
    try:
        assert process.stdout is not None and len(process.stdout.read(4)) == 4
        found = measured.read()
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        used = sum(sum(one.cpu_times()[:2]) for one in tree)
        assert len(tree) == 2 and used >= 0.3
        assert found["cost/cpu_seconds"] == pytest.approx(used, abs=0.1)
        assert found["cost/cpu_percent"] > 0 and "cost/energy_wh" not in found
        assert 64 < found["cost/memory_mib"] < 200
        for one in tree:
            one.kill()
        process.wait()
        after = measured.read()
        assert after["cost/cpu_seconds"] >= found["cost/cpu_seconds"]  # what was seen is kept
        assert after["cost/memory_mib"] == 0
    finally:
        for one in psutil.Process(process.pid).children() if process.poll() is None else ():
            one.kill()
        process.kill()
        process.communicate()


def test_energy_is_shared_by_cpu_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = counters(tmp_path, p0=5_000_000, p1=999_000_000)
    cpu, busy = [10.0], [100.0]
    monkeypatch.setattr(meter, "cpu_seconds", lambda pid: cpu[0])
    monkeypatch.setattr(meter, "busy_seconds", lambda: busy[0])
    measured = Meter(os.getpid(), 0.0, private_memory, powercap=folder)
    measured._cpu = 10.0
    members = len(meter.process_tree.family(os.getpid()))
    # A quarter of what the machine did was ours; the second counter began again at its limit.
    counters(tmp_path, p0=3_600_000_000 + 5_000_000, p1=999_000_000 - 640_000_000)
    cpu[0], busy[0] = (10.0 + 4.0) / members, 116.0
    found = measured.read()
    assert found["cost/energy_wh"] == pytest.approx((3600 + 360) / 3600 / 4)
    (tmp_path / "intel-rapl:1/energy_uj").unlink()  # it cannot be read any more
    busy[0] += 1
    assert "cost/energy_wh" not in measured.read()


def test_the_counters_of_the_system_are_those_of_psutil() -> None:
    me, times = psutil.Process(), psutil.cpu_times()
    expected = sum(me.cpu_times()[:4])
    assert cpu_seconds(os.getpid()) == pytest.approx(expected, abs=0.2)
    names = ("user", "nice", "system", "irq", "softirq", "steal")
    busy = sum(getattr(times, name) for name in names)
    assert busy_seconds() == pytest.approx(busy, abs=20)
    assert cpu_seconds(2**22 + 1) == 0.0


def test_it_is_due_by_the_clock_and_may_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EVERY, "1000")
    later = Meter(os.getpid(), 0.0, private_memory)
    assert not later.is_due()
    later._looked -= 1000
    assert later.is_due()
    monkeypatch.setenv(EVERY, "0")
    never = Meter(os.getpid(), 0.0, private_memory)
    never._looked -= 1e9
    assert not never.is_due()


def test_without_nvml_or_a_gpu_nothing_is_said_of_gpus() -> None:
    found = Gpus(["0", "GPU-none"], 0.5)
    assert found.read() == {} and not found.tells_energy


def nvml(energy: Mapping[Any, int]) -> SimpleNamespace:
    """Two GPUs as NVML tells of them: millijoules since the driver was loaded, milliwatts."""
    return SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetUtilizationRates=lambda one: SimpleNamespace(gpu=90 if one == 0 else 50),
        nvmlDeviceGetMemoryInfo=lambda one: SimpleNamespace(used=3 << 30),
        nvmlDeviceGetPowerUsage=lambda one: 250_000,
        nvmlDeviceGetTotalEnergyConsumption=lambda one: energy[one],
    )


def test_gpus_are_added_and_a_share_of_one_has_its_share_of_the_energy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy: dict[Any, int] = {0: 1_000_000, "GPU-b": 5_000_000}
    monkeypatch.setattr(meter, "_nvml", lambda: nvml(energy))
    none = tmp_path / "none"
    whole = Meter(os.getpid(), 2.0, private_memory, "0,GPU-b", none)
    half = Meter(os.getpid(), 0.5, private_memory, "0", none)
    energy[0] += 7_200_000
    energy["GPU-b"] += 3_600_000
    found = whole.read()
    assert found["cost/gpu_percent"] == 70 and found["cost/gpu_memory_mib"] == 6 * 1024
    assert found["cost/gpu_watts"] == 500 and found["cost/energy_wh"] == pytest.approx(3.0)
    assert half.read()["cost/energy_wh"] == pytest.approx(1.0)
    assert whole.read()["cost/energy_wh"] == pytest.approx(3.0)  # nothing since
