"""Stands for W&B in the program of a trial: what it logs is reported to the search, offline."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import secrets
import string
import sys
import types
from typing import Any

from .configuration import Config
from .harmless import Harmless, harmless, say
from .runs import Run, Summary, reporting

__version__ = "0.31.0+raysearch"

run: Any = None
config: Any = Config()
summary: Any = Summary()


class Error(Exception):
    """What W&B raises."""


class CommError(Error):
    """What W&B raises when its server does not answer."""


class UsageError(Error):
    """What W&B raises when it is called in a wrong way."""


class ConfigError(Error):
    """What W&B raises when a value of the configuration is changed."""


class RunDisabled(Run):
    """A run that is switched off; in a search there is none."""


class Settings(Harmless):
    """Settings of a client that is not there."""


class Image(Harmless):
    """A picture, which is not kept."""


class Histogram(Harmless):
    """A histogram, which is not kept."""


class Table(Harmless):
    """A table, which is not kept; it has its columns and rows while the program runs."""

    def __init__(self, columns: Any = None, data: Any = None, *arguments: Any, **named: Any):
        frame = named.get("dataframe")
        self.columns = list(columns if columns is not None else getattr(frame, "columns", ()))
        self.data = list(data) if data is not None else []

    def add_data(self, *row: Any) -> None:
        """Appends a row."""
        self.data.append(list(row))


class Artifact(Harmless):
    """Files under a name, which are not kept."""

    def __init__(self, name: Any = "", type: Any = "", *arguments: Any, **named: Any):
        self.name, self.type = name, type
        self.metadata = dict(named.get("metadata") or {})


def init(*arguments: Any, **stated: Any) -> Any:
    """Begins a run, or returns the one that has not ended.

    Its configuration is what it is given, below it `config-defaults.yaml`, and above it the
    parameters of this trial.
    """
    global run, config, summary
    if run is None:
        run = Run(**stated)
        if len(config) == 0:  # `from wandb import config` stays the configuration of the first run
            run.config = config
        config, summary = run.config, run.summary
    config.begin_run(reporting.config(), stated.get("config"))
    for name in stated.get("config_exclude_keys") or ():
        config.pop(name, None)
    return run


def left(ended: Any) -> None:
    """A run has ended."""
    global run
    if run is ended:
        run = None


def log(data: Any, step: Any = None, commit: Any = None, sync: Any = None) -> None:
    """Takes in metrics of a step of the run."""
    (run or init()).log(data, step, commit)


def define_metric(name: str, step_metric: Any = None, **named: Any) -> Any:
    """Gives a metric another metric as its step."""
    return (run or init()).define_metric(name, step_metric, **named)


def finish(exit_code: Any = None, quiet: Any = None) -> None:
    """Ends the run."""
    if run is not None:
        run.finish()


join = finish


def save(path: Any = None, *arguments: Any, **named: Any) -> Any:
    """There is nowhere to send files to; they stay where they are."""
    return (run or init()).save(path)


def use_artifact(name: Any, *arguments: Any, **named: Any) -> Any:
    """Raises RuntimeError: nothing is fetched in a search."""
    return (run or init()).use_artifact(name)


def login(*arguments: Any, **named: Any) -> bool:
    """Nobody has to log in."""
    return True


def sweep(*arguments: Any, **named: Any) -> str:
    """The name of a sweep that the search has begun already."""
    return "raysearch"


def agent(sweep_id: Any = None, function: Any = None, *arguments: Any, **named: Any) -> None:
    """Calls the function once, with the parameters of this trial in `wandb.config`."""
    if function is None:
        say("wandb.agent without a function does nothing in a search")
        return
    config.begin_run(reporting.config(), None)
    function()
    finish()


class WandbCallback:
    """Keras's callback: logs what Keras says at the end of an epoch."""

    start = ""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Logs the epoch and its metrics."""
        named = dict(logs or {}, epoch=epoch)
        log({self.start + name: value for name, value in named.items()})

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("on_", "set_")):
            return _nothing
        raise AttributeError(name)


class WandbMetricsLogger(WandbCallback):
    """Keras's callback whose metrics are called `epoch/…`."""

    start = "epoch/"


def _nothing(*arguments: Any, **named: Any) -> Any:
    return Harmless()


setup = require = teardown = watch = unwatch = alert = restore = _nothing
log_artifact = log_code = log_model = link_model = use_model = mark_preempting = _nothing
termlog = termwarn = termerror = termsetup = _nothing


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _stand_in(__name__, name)


def generate_id(length: int = 8) -> str:
    """An identifier as W&B draws them for runs; the program's random numbers are not touched."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))


def _stand_in(module: str, name: str) -> Any:
    """A class of this module, or else a class, an error or a module that does nothing."""
    if name == "generate_id":  # its module was another one in each few versions
        return generate_id
    here = globals().get(name)
    if isinstance(here, type):
        return here
    if name[:1].isupper():
        return harmless(name, f"{module}.{name}")
    say(f"{module}.{name} does nothing in a search")
    return importlib.import_module(f"{module}.{name}")


class _Module(types.ModuleType):
    """A module, or a function, of W&B that is not there."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(self.__name__, name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return Harmless()


class _Modules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of W&B that are not there: `from wandb.sdk.lib import …` must not fail."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A module for each name that begins with that of this package."""
        if not fullname.startswith(__name__ + "."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> Any:
        """A module of which every attribute does nothing."""
        return _Module(spec.name)

    def exec_module(self, module: Any) -> None:
        """There is nothing to execute."""


sys.meta_path.append(_Modules())
