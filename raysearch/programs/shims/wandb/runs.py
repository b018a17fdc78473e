"""The run of W&B: steps, metrics with a step of their own, and the summary, as W&B counts them."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from .configuration import Config
from .harmless import Harmless, harmless, say

reporting: Any = importlib.import_module("raysearch")
"""Of the path of the program: one file."""


class Defined(Harmless):
    """What `define_metric` returns: it has a name, and may be the step of another."""

    def __init__(self, name: str) -> None:
        self.name = name


class Summary:
    """The last value of each metric, or what the program says is to stand there."""

    def __init__(self) -> None:
        self._items: dict[str, Any] = {}
        self._said: dict[str, Any] = {}

    def update(self, values: Any = None, **named: Any) -> None:
        """Takes in several values."""
        for name, value in dict(values or {}, **named).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        self._items[name] = self._said[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._items:
            raise AttributeError(f"wandb.summary has no {name!r}")
        return self._items[name]

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __contains__(self, name: Any) -> bool:
        return name in self._items

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, or something else."""
        return self._items.get(name, default)

    def keys(self) -> Any:
        """The names."""
        return self._items.keys()

    def items(self) -> Any:
        """Names and values."""
        return self._items.items()

    def logged(self, values: Mapping[str, float]) -> None:
        """Takes in what was logged, which is not said for the summary alone."""
        self._items.update(values)

    def said(self) -> Any:
        """What the program set itself."""
        return self._said

    def _asdict(self) -> Any:
        return dict(self._items)


class Run:
    """One run: what `log` is given is reported to the search at once.

    The step is W&B's: without one, each call is a step of its own, `commit=False` waits for the
    next call, calls with the same `step` are one, and a step that goes back is left out. What
    `define_metric` gives a step of its own has that one, if it is a whole number.

    A value is reported when it is logged, since the search decides by it. So of a name that is
    logged twice in one step the first value counts the first time; from then on it waits for the
    end of its step, and the last one counts.
    """

    def __init__(self, **stated: Any) -> None:
        self.config = Config()
        self.summary = Summary()
        self.id = str(stated.get("id") or f"trial-{os.getpid()}")
        self.name = str(stated.get("name") or self.id)
        self.project = stated.get("project") or os.environ.get("WANDB_PROJECT") or "raysearch"
        self.entity = stated.get("entity") or "raysearch"
        self.group, self.job_type = stated.get("group") or "", stated.get("job_type") or ""
        self.notes, self.tags = stated.get("notes"), tuple(stated.get("tags") or ())
        self.url = self.sweep_id = self.sweep_url = self.project_url = None
        self.offline, self.disabled, self.resumed = True, False, False
        self.path = f"{self.entity}/{self.project}/{self.id}"
        self.start_time = time.time()
        self.settings = Harmless()
        self.starting_step = self._step = _first_step()
        self._folder: Any = None
        self._waiting: dict[str, float] = {}
        self._in_step: set[str] = set()
        self._repeated: set[str] = set()
        self._steps: dict[str, str] = {}
        self._chosen: dict[str, str] = {}
        self._last: dict[str, float] = {}
        self._at = self._step
        self._ended = False
        self._mine = os.getpid()
        atexit.register(self._end)

    @property
    def step(self) -> int:
        """The step of the next call without one."""
        return self._step

    @property
    def dir(self) -> str:
        """A folder for the files of this run."""
        if self._folder is None:
            trial = os.environ.get("RAYSEARCH_TRIAL")
            self._folder = os.path.join(trial, "wandb") if trial else tempfile.mkdtemp()
            os.makedirs(self._folder, exist_ok=True)
        return self._folder

    def log(self, data: Any, step: Any = None, commit: Any = None, sync: Any = None) -> None:
        """Takes in metrics of a step; what is no number is left out."""
        if not isinstance(data, Mapping):
            raise TypeError("wandb.log must be passed a dictionary")
        if step is not None:
            step = int(step)
            if step < self._step:
                say(f"wandb.log: step {step} is less than step {self._step} and left out")
                return
            if step > self._step:
                self._close(step)
        found: dict[str, float] = {}
        flatten(data, "", found)
        self.summary.logged(found)
        self._last.update(found)
        self._waiting.update(found)
        if step is None and commit is False:
            return
        if commit or (step is None and commit is None):
            self._close(self._step + 1)
            return
        self._repeated |= self._in_step.intersection(found)
        held = self._repeated | self._in_step
        now = {name: value for name, value in self._waiting.items() if name not in held}
        self._report(now)
        self._in_step.update(now)

    def _close(self, step: int) -> None:
        """Ends a step: what waited for its end is reported, if nothing of that name was."""
        self._report({n: value for n, value in self._waiting.items() if n not in self._in_step})
        self._waiting, self._in_step, self._step = {}, set(), step

    def _report(self, metrics: Mapping[str, float]) -> None:
        """Reports metrics, each at its own step if it has one."""
        steps: dict[int, dict[str, float]] = {}
        for name, value in metrics.items():
            steps.setdefault(self._step_of(name), {})[name] = value
        for step in sorted(steps):
            self._at = max(self._at, step)
            reporting.report(step, steps[step], wait=False, source="wandb")

    def _step_of(self, name: str) -> int:
        """The last value of the metric that is the step of this one, or the step of the run."""
        if self._steps:
            if name not in self._chosen:
                fits = [each for each in self._steps if each[-1:] == "*" and _begins(name, each)]
                best = name if name in self._steps else max(fits, key=len, default="")
                self._chosen[name] = self._steps.get(best, "")
            value = self._last.get(self._chosen[name])
            if value is not None and value >= 0 and value == value // 1:
                return int(value)
        return self._step

    def define_metric(self, name: str, step_metric: Any = None, **named: Any) -> Any:
        """Gives a metric, or all that begin so (`train/*`), another metric as its step."""
        if step_metric is not None:
            self._steps[name] = str(getattr(step_metric, "name", step_metric))
            self._chosen = {}
        return Defined(name)

    def finish(self, exit_code: Any = None, quiet: Any = None) -> None:
        """Ends this run."""
        self._end()
        _ended(self)

    def _end(self) -> None:
        if self._ended or os.getpid() != self._mine:  # a copy of it in a forked process
            return
        self._ended = True
        self._close(self._step)
        said: dict[str, float] = {}
        flatten(self.summary.said(), "", said)
        said = {name: value for name, value in said.items() if self._last.get(name) != value}
        if said:
            reporting.report(self._at, said, wait=False, source="wandb")

    def save(self, path: Any = None, *arguments: Any, **named: Any) -> Any:
        """There is nowhere to send files to; they stay where they are."""
        return [path] if path else []

    def use_artifact(self, name: Any, *arguments: Any, **named: Any) -> Any:
        """Raises RuntimeError: nothing is fetched in a search."""
        raise RuntimeError(
            f"wandb: artifact {name!r} is not fetched in a search, which has no network for it; "
            f"give the program the files by an option of its own"
        )

    def _nothing(self, *arguments: Any, **named: Any) -> Any:
        return Harmless()

    watch = unwatch = alert = log_artifact = log_code = log_model = link_model = _nothing
    link_artifact = mark_preempting = display = restore = upsert_artifact = _nothing
    finish_artifact = _label = status = _nothing

    join = finish

    def get_url(self) -> Any:
        """There is no page of this run."""
        return self.url

    get_project_url = get_sweep_url = get_url

    def project_name(self) -> str:
        """The name of the project."""
        return str(self.project)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: Any) -> None:
        self.finish()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_attach_id":
            raise AttributeError(name)
        return harmless(name, f"wandb.run.{name}")


def _ended(run: Run) -> None:
    package: Any = importlib.import_module(__package__ or "wandb")
    package.left(run)


def _first_step() -> int:
    """0, or the step after that of the checkpoint from which this attempt goes on."""
    folder = os.environ.get("RAYSEARCH_TRIAL")
    try:
        with open(os.path.join(folder or "", "resume.json"), encoding="utf-8") as file:
            step = json.load(file).get("step")
        return int(step) + 1 if step is not None else 0
    except (OSError, ValueError):
        return 0


def _begins(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1])


def flatten(data: Mapping[Any, Any], start: str, found: Any) -> None:
    """The numbers of a mapping; a name within another has a dot before it, as W&B shows it."""
    for name, value in data.items():
        if isinstance(value, Mapping):
            flatten(value, f"{start}{name}.", found)
        else:
            number = _number(value)
            if number is not None:
                found[start + str(name)] = number


def _number(value: Any) -> Any:
    """A float of a number, or of an array or tensor of one; None for anything else."""
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, (str, bytes, Harmless)) or value is None:
        return None
    item = getattr(value, "item", None)
    try:
        if item is None:
            return float(value) if hasattr(value, "__float__") else None
        return float(item())
    except Exception:  # an array of several numbers, or foreign code
        return None
