"""The former place of `raysearch.sweeps.sweep`: the same names, for sweeps written before it."""

from raysearch.sweeps.sweep import (
    Config,
    Direction,
    Fidelity,
    Incomplete,
    Metric,
    Resources,
    Sweep,
    Trial,
    sweep,
)

__all__ = [
    "Config",
    "Direction",
    "Fidelity",
    "Incomplete",
    "Metric",
    "Resources",
    "Sweep",
    "Trial",
    "sweep",
]
