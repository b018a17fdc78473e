"""W&B's and Hydra's own engines, asked for what they would run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from raysearch.imports.fields import Fields
from raysearch.imports.sweeps import Wanted, import_sweep
from raysearch.settings import Settings
from raysearch.sweeps.sweep import Metric, Sweep
from trainables.ssl.config import Supervised

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # `sweeps` 0.2 has a setting that pydantic has renamed
    import sweeps as engine
    from sweeps.params import HyperParameter
    from wandb.sdk.sweeps.scheduler.wandb import WandbOptimizer
    from wandb.sdk.sweeps.sweep_info import SweepInfo

SWEEPS = Path(__file__).parent / "sweeps"
__all__ = ["HyperParameter", "engine"]

Run = dict[str, Any]


def wandb_runs(config: Mapping[str, Any], most: int) -> list[Run]:
    """The runs that W&B's local scheduler would start, at most so many: values by dotted names."""
    optimizer = WandbOptimizer(SweepInfo("id", "name", "me", "project", dict(config), "c"))
    return [_flat(found.config.flat_dict()) for found in optimizer.ask_n_runs(most)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Run:
    flat: Run = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def hydra_jobs(overrides: list[str]) -> list[Run]:
    """The jobs that Hydra's own sweeper would launch: values, as text, by keys."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    [batch] = BasicSweeper.split_arguments(parsed, None)
    return [dict(each.split("=", 1) for each in job) for job in batch]


def stated(name: str) -> dict[str, Any]:
    """A fixture as W&B reads it."""
    return yaml.safe_load((SWEEPS / f"{name}.yaml").read_text())


def fields(mapped: Mapping[str, str] | None = None) -> Fields:
    """The paths of ssl.supervised."""
    return Fields(Supervised, mapped)


def imported(folder: Path, **wanted: Any) -> Sweep:
    """The sweep that is written for what is wanted."""
    wanted.setdefault("out", folder / "brought_here.py")
    wanted.setdefault("experiment", "ssl.supervised")
    wanted.setdefault("metric", Metric("val/accuracy", "maximize", "best"))
    return import_sweep(Wanted(**wanted), Settings.locate(folder)).sweep
