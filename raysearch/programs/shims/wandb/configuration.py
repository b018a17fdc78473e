"""`wandb.config`: what the program says of itself, and above it the parameters of this trial."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from .harmless import say

DEFAULTS = "config-defaults.yaml"
"""A file in the working folder, which W&B reads at each start."""


class Config:
    """A mapping with attributes. A parameter of the trial keeps its value, whoever sets another.

    A parameter with dots, such as `optimizer.lr`, is also found in the mapping `optimizer`.
    """

    def __init__(self) -> None:
        object.__setattr__(self, "_items", {})
        object.__setattr__(self, "_trial", {})

    def begin_run(self, trial: Mapping[str, Any], given: Any) -> None:
        """Takes in the parameters of the trial, the file of defaults and what `init` was given."""
        self._trial.update(trial)
        self.setdefaults(_defaults())
        self.update(given)

    def update(self, values: Any = None, allow_val_change: Any = None, **named: Any) -> None:
        """Takes in a mapping, the options of argparse, or the path of a YAML file."""
        self._items.update(_mapping(values))
        self._items.update(named)
        for name, value in self._trial.items():
            self._items[name] = value
            _nest(self._items, name.split("."), value)

    def setdefaults(self, values: Any) -> None:
        """Takes in what is not there yet."""
        self.update({k: v for k, v in _mapping(values).items() if k not in self._items})

    def as_dict(self) -> Any:
        """A plain mapping."""
        return dict(self._items)

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __getattr__(self, name: str) -> Any:
        try:
            return self._items[name]
        except KeyError:
            raise AttributeError(f"wandb.config has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __contains__(self, name: Any) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, or something else."""
        return self._items.get(name, default)

    def pop(self, name: str, default: Any = None) -> Any:
        """Takes out a name."""
        return self._items.pop(name, default)

    def keys(self) -> Any:
        """The names."""
        return self._items.keys()

    def values(self) -> Any:
        """The values."""
        return self._items.values()

    def items(self) -> Any:
        """Names and values."""
        return self._items.items()

    def persist(self) -> None:
        """There is nobody to send it to."""

    def update_locked(self, values: Any, user: Any = None, **named: Any) -> None:
        """Takes in what a launcher of W&B would set."""
        self.update(values)


def _nest(items: Any, path: Any, value: Any) -> None:
    """Sets what lies at a path of several names, as far as there are mappings."""
    for name in path[:-1]:
        items = items.get(name)
        if not isinstance(items, dict):
            return
    if len(path) > 1:
        items[path[-1]] = value


def _mapping(values: Any) -> Any:
    if values is None:
        return {}
    if isinstance(values, (str, os.PathLike)):
        return _read(os.fspath(values))
    if hasattr(values, "flag_values_dict"):  # absl
        return values.flag_values_dict()
    if isinstance(values, Mapping) or hasattr(values, "keys"):
        return {str(key).strip("-"): values[key] for key in values.keys()}
    if hasattr(values, "__dict__"):  # argparse
        return dict(vars(values))
    return dict(values)


def _defaults() -> Any:
    return _read(DEFAULTS) if os.path.isfile(DEFAULTS) else {}


def _read(path: str) -> Any:
    """The values of a YAML file of W&B: `name: {value: …}`, with a description perhaps."""
    try:
        yaml = importlib.import_module("yaml")  # there is none in the standard library
    except ImportError:
        say(f"{path} is not read: this Python has no package yaml")
        return {}
    with open(path, encoding="utf-8") as file:
        found = yaml.safe_load(file) or {}
    return {
        name: said["value"] if isinstance(said, dict) and "value" in said else said
        for name, said in found.items()
        if name != "wandb_version"
    }
