"""TensorBoard as a tracker: event files of a search and its trials, comparable as hyperparameters.

A folder for the search, one in it for each trial. TensorBoard finds hyperparameters and metrics by
itself, so that the folders of several searches may be looked at together.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from raysearch.events.log import Event, Store
from raysearch.events.schema import Asked, Reported, Tested, Told
from raysearch.files import appearing
from raysearch.results.finding import Finding
from raysearch.results.view import SearchView, TrialView
from raysearch.tracking.tracker import Place, Tracker

FOLDER = "tensorboard"
"""The folder of event files in that of a search."""
_STATE = "written.json"
_NAMED = 5
"""So many missing points are named one by one."""
"""Which event was written last, and how long the files were then: what is behind is cut off."""
_FILE = "events.out.tfevents.{second:010d}.raysearch"
"""TensorBoard reads what has `tfevents` in its name."""
_OBJECTIVE = "objective/"
_STEPS = range(-(1 << 63), 1 << 63)
_VERSION = "brain.Event:2"
_NOTHING: Mapping[str, Any] = {"last": 0, "files": {}}


@dataclass
class TensorBoard(Tracker):
    """Writes scalars by step, and the hyperparameters, beginning and end of each trial.

    Each file is appended to and flushed to the disk before the state beside it says so; what a
    killed process had written beyond that is cut off, so that each point is there once.
    """

    place: Place
    _sizes: dict[str, int] = field(default_factory=dict[str, int])
    _last: int = 0
    _pending: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])
    _aside: dict[str, None] = field(default_factory=dict[str, None])

    @property
    def folder(self) -> Path:
        """The log directory of the search."""
        return self.place.folder / FOLDER

    @property
    def aside(self) -> Sequence[str]:
        """Points that TensorBoard cannot hold."""
        return list(self._aside)

    def begin(self, view: SearchView, cursor: int) -> int:
        """Cuts files to the length that they are recorded with; returns the last event in them."""
        state = self._state(view.identity) if cursor else _NOTHING
        self._sizes = {name: size for name, size in state["files"].items() if self._has(name, size)}
        self._last = int(state["last"]) if self._sizes.keys() == state["files"].keys() else 0
        if not self._last:
            self._sizes = {}
        for path in self._files():
            name = str(path.relative_to(self.folder))
            if name in self._sizes:
                os.truncate(path, self._sizes[name])
            else:
                path.unlink()
        return self._last

    def apply(self, events: Sequence[Event], view: SearchView) -> None:
        """Appends the records of events to the files of the search and of its trials."""
        self._pending = {}
        for event in events:
            if event.seq > self._last:  # the others were written, and the cursor was not
                self._take(event, view)
        new = {name: self._append(name, records) for name, records in self._pending.items()}
        sizes, last = {**self._sizes, **new}, max(self._last, events[-1].seq)
        state = {"search": view.identity, "last": last, "files": sizes}
        self.folder.mkdir(parents=True, exist_ok=True)
        with appearing(self.folder / _STATE, under=".partial") as partial:
            partial.write_text(json.dumps(state), encoding="utf-8")
        self._sizes, self._last = sizes, last

    def delete(self, view: SearchView) -> None:
        """Deletes the log directory."""
        if not self.folder.is_symlink():
            shutil.rmtree(self.folder, ignore_errors=True)

    def links(self, view: SearchView, address: str) -> dict[str, str]:
        """The command that shows it."""
        return {"TensorBoard": f"tensorboard --logdir {self.folder}"}

    def check(self, store: Store, view: SearchView, cursor: int) -> list[Finding]:
        """What the event files have otherwise than the events: points missing, other, or twice."""
        if cursor < view.last:
            text = f"{view.last - cursor} events are not written yet (raysearch sync {view.search})"
            return [Finding(None, FOLDER, text)]
        return [
            Finding(trial.number, FOLDER, what)
            for trial in view.trials.values()
            if trial.duplicate_of is None
            for what in self._wrong(view, trial)
        ]

    # What is written

    def _take(self, event: Event, view: SearchView) -> None:
        trial = view.trials.get(-1 if event.trial is None else event.trial)
        if trial is None or trial.duplicate_of is not None:
            return
        run, fact = _run(trial.number), event.body
        if isinstance(fact, Asked):
            self._record(run, event, _parameters(view, trial, event))
        elif isinstance(fact, Reported):
            self._scalars(run, event, {**fact.metrics, **(fact.costs or {})}, fact.step)
        elif isinstance(fact, Tested):
            self._scalars(run, event, fact.metrics or {}, _last_step(trial))
        elif isinstance(fact, Told) and event.seq == trial.told:
            names = [_OBJECTIVE + metric.name for metric in view.spec.metrics]
            values = dict(zip(names, fact.values or [], strict=False))
            self._scalars(run, event, values, _last_step(trial))
            self._record(run, event, _end(trial, event))

    def _scalars(
        self, run: str, event: Event, values: Mapping[str, float | None], step: int
    ) -> None:
        for tag, value in values.items():
            if value is None:
                continue
            if step in _STEPS:
                self._record(run, event, _scalar(tag, value), step)
            else:
                self._aside[f"{run}: metric {tag!r}: step {step} has more than 64 bits"] = None

    def _record(self, run: str, event: Event, summary: Any, step: int = 0) -> None:
        record_of = _messages().Event
        name = f"{run}/{_FILE.format(second=self._second(run, event))}"
        record = record_of(wall_time=event.time / 1000, step=step, summary=summary)
        if name not in self._sizes and name not in self._pending:
            first = record_of(wall_time=event.time / 1000, file_version=_VERSION)
            self._pending[name] = [first.SerializeToString()]
        self._pending.setdefault(name, []).append(record.SerializeToString())

    def _second(self, run: str, event: Event) -> int:
        """The second in the name of a trial's file: that of its first event."""
        for name in (*self._sizes, *self._pending):
            if name.startswith(f"{run}/"):
                return int(name.split(".")[-2])
        return event.time // 1000

    def _append(self, name: str, records: Sequence[bytes]) -> int:
        """Appends records to a file, and has them on the disk; returns its size then."""
        from tensorboard.summary.writer.record_writer import RecordWriter

        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            file.truncate(self._sizes.get(name, 0))  # of a try that failed half way
            writer = RecordWriter(file)
            for record in records:
                writer.write(record)
            writer.flush()
            os.fsync(file.fileno())
            return file.tell()

    def _state(self, identity: str) -> Mapping[str, Any]:
        """What was recorded; nothing of another search that had this name and folder."""
        try:
            state = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return _NOTHING
        return state if state.get("search") == identity else _NOTHING

    def _has(self, name: str, size: int) -> bool:
        path = self.folder / name
        return path.is_file() and path.stat().st_size >= size

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*/*tfevents*")) if self.folder.is_dir() else []

    # What is read back

    def _wrong(self, view: SearchView, trial: TrialView) -> Iterator[str]:
        expected = _points(view, trial)
        found: dict[tuple[str, int], list[float]] = {}
        for tag, step, value in self._read(_run(trial.number)):
            found.setdefault((tag, step), []).append(value)
        missing = [point for point in expected if point not in found]
        if len(missing) > _NAMED:
            of = f"{len(missing)} of {len(expected)}"
            yield f"{of} points are missing; raysearch sync writes them"
        for (tag, step), value in expected.items():
            there = found.pop((tag, step), [])
            if not there and len(missing) > _NAMED:
                continue
            if len(there) != 1:
                yield f"{tag} at step {step} is there {len(there)} times"
            elif not _is_equal(there[0], value):
                yield f"{tag} at step {step} is {there[0]}, events say {value}"
        for tag, step in sorted(found):
            yield f"{tag} at step {step} is in no event"

    def _read(self, run: str) -> Iterator[tuple[str, int, float]]:
        for path in sorted((self.folder / run).glob("*tfevents*")):
            for record in map(_messages().Event.FromString, _records(path)):
                for value in record.summary.value:
                    if value.WhichOneof("value") == "simple_value":
                        yield value.tag, record.step, value.simple_value


def _records(path: Path) -> Iterator[bytes]:
    """The records of a file, up to the first that is damaged.

    Not by the loader of TensorBoard's page, which imports TensorFlow where that is installed.
    """
    from tensorboard.compat.tensorflow_stub import errors
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    reader: Any = PyRecordReader_New(str(path))
    try:
        while True:
            reader.GetNext()
            yield reader.record()
    except (errors.OutOfRangeError, errors.DataLossError):
        return


def _points(view: SearchView, trial: TrialView) -> dict[tuple[str, int], float]:
    """All scalars that a trial should have."""
    found: dict[tuple[str, int], float] = {}
    for step, _, _, metrics in trial.reports:
        found |= {(name, step): value for name, value in metrics.items()}
    for step, costs in trial.costs.items():
        found |= {(name, step): value for name, value in costs.items()}
    last = _last_step(trial)
    found |= {(name, last): value for name, value in (trial.tested.get("metrics") or {}).items()}
    for metric, value in zip(view.spec.metrics, trial.values or [], strict=False):
        found[_OBJECTIVE + metric.name, last] = value
    return {point: value for point, value in found.items() if point[1] in _STEPS}


def _run(number: int) -> str:
    return f"trial-{number:04d}"


def _last_step(trial: TrialView) -> int:
    return trial.reports[-1][0] if trial.reports else 0


def _is_equal(found: float, value: float) -> bool:
    """Whether a scalar is a value in the 24 bits that TensorBoard keeps of it."""
    if math.isnan(value) or math.isinf(value) or math.isinf(found):
        return math.isnan(found) if math.isnan(value) else found * value > 0
    return math.isclose(found, value, rel_tol=2**-23, abs_tol=2**-126)


def _scalar(tag: str, value: float) -> Any:
    summary = _messages().Summary
    return summary(value=[summary.Value(tag=tag, simple_value=value)])


def _parameters(view: SearchView, trial: TrialView, event: Event) -> Any:
    """The hyperparameters of a trial, as TensorBoard's page compares them."""
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    values = {name: _plain(value) for name, value in trial.params.items()}
    values["seed"] = trial.seed
    return hparams_pb(values, f"{view.search} {trial.number}", event.time / 1000)


def _plain(value: Any) -> bool | int | float | str:
    is_plain = isinstance(value, (bool, float, str)) or type(value) is int
    return value if is_plain else json.dumps(value)


def _end(trial: TrialView, event: Event) -> Any:
    """How a trial ended: a success, unless it failed."""
    from tensorboard.plugins.hparams import metadata

    messages, failed = _messages(), trial.state in ("failed", "infeasible")
    status = messages.STATUS_FAILURE if failed else messages.STATUS_SUCCESS
    info = messages.SessionEndInfo(status=status, end_time_secs=event.time / 1000)
    described = metadata.create_summary_metadata(messages.HParamsPluginData(session_end_info=info))
    tag, nothing = metadata.SESSION_END_INFO_TAG, metadata.NULL_TENSOR
    value = messages.Summary.Value(tag=tag, metadata=described, tensor=nothing)
    return messages.Summary(value=[value])


@cache
def _messages() -> SimpleNamespace:
    """The messages of TensorBoard's files, whose modules make them when they are imported."""
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

    modules = (event_pb2, summary_pb2, api_pb2, plugin_data_pb2)
    return SimpleNamespace(**{name: one for each in modules for name, one in vars(each).items()})
