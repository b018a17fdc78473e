"""The environment that decides numbers: packages, Python, processor, environment variables."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "DNNL_MAX_CPU_ISA",
    "KMP_AFFINITY",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "TF_ENABLE_ONEDNN_OPTS",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "XLA_FLAGS",
)
"""The only environment variables that are kept: others may hold passwords."""


def current_environment(threads: int) -> dict[str, Any]:
    """All of it as plain JSON; `threads` is the number of CPU threads of each trial."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}, {'-'.join(platform.libc_ver())}",
        "cpu": cpu_model(),
        "gpus": gpu_models(),
        "threads": threads,
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """The versions of all installed packages, by name; the first on the search path counts.

    Read from the names of their folders where those say it, since reading each package's metadata
    takes a hundred times as long.
    """
    found: dict[str, str] = {}
    for entry in sys.path:
        folder = Path(entry)
        if not entry or not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if path.suffix not in (".dist-info", ".egg-info"):
                continue
            name, dash, version = path.stem.partition("-")
            if not dash or path.suffix == ".egg-info":
                name, version = _stated(path)
            if name:
                found.setdefault(name.lower().replace("_", "-"), version)
    return dict(sorted(found.items()))


def _stated(path: Path) -> tuple[str, str]:
    """Name and version as a package's own metadata say it; empty where there are none."""
    metadata = Distribution.at(path).metadata
    return str(metadata["Name"] or ""), str(metadata["Version"] or "")


def cpu_model() -> str:
    """The processor, as the kernel names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def gpu_models() -> list[str]:
    """The graphics processors that the driver lists, as it names them."""
    found: list[str] = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = file.read_text().splitlines()
        found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return found


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What differs, as name, value then and value now; `absent` where there is none."""
    found: list[tuple[str, str, str]] = []
    for name in ("python", "platform", "cpu", "gpus", "threads", "environment", "packages"):
        before, after = then.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            keys = sorted({*before, *after})
            pairs = [(key, before.get(key, "absent"), after.get(key, "absent")) for key in keys]
        else:
            pairs = [(name, _text(before), _text(after))]
        found += [(key, str(one), str(other)) for key, one, other in pairs if one != other]
    return found


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "absent" if value is None else str(value)
