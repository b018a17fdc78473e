"""The reader of TensorBoard's event files, and the names of what is in several folders of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from raysearch.programs.readers.event_files import EventFile, Scalar
from raysearch.programs.readers.reader import FoundReport
from raysearch.programs.readers.watched import Watched

_NAME = re.compile(r".*\.tfevents\..*")
_KERAS = ("train", "validation")
"""Folders of Keras's callback, which writes the same tags into both."""
_TIME = re.compile(r"[0-9]+\.[0-9]+")
"""The folder of one call of `add_hparams`."""


class TensorBoard:
    """Follows all event files of a program, as `SummaryWriter`, Keras or Lightning write them.

    A metric is called as its tag. One that a second folder also has is called `folder/tag` there.
    What `add_scalars("loss", {"train": …})` writes into a folder of its own is `loss/train`, and
    Keras's `epoch_loss` is `train/epoch_loss` and `validation/epoch_loss`. A second value of a tag
    and step counts only if it comes in time, see `Order`.
    """

    source = "tensorboard"

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._files: dict[Path, EventFile] = {}
        self._owners: dict[str, Path] = {}
        self._first: Path | None = None

    @property
    def damaged(self) -> list[Path]:
        """Files of which the rest cannot be read."""
        return [path for path, file in self._files.items() if file.damaged]

    def poll(self, last: bool = False) -> list[FoundReport]:
        """The scalars that are new, by the time at which they were written."""
        for path in self._watched.files(_NAME, last):
            if path not in self._files:
                self._files[path] = EventFile(path)
        found = list[tuple[float, Path, Scalar]]()
        for path, file in self._files.items():
            for scalar in file.read():
                if self._is_own(file, scalar):
                    found.append((scalar.time, path.parent, scalar))
        found.sort(key=lambda each: each[0])
        return list(_joined(self._named(found), self.source))

    def _is_own(self, file: EventFile, scalar: Scalar) -> bool:
        """Whether a value is of this attempt: in a file that it began, or went on with."""
        begun = (file.time or 0.0) >= self._watched.since - 1.0
        return scalar.step >= 0 and (begun or scalar.time >= self._watched.since - 1.0)

    def _named(self, found: Iterable[tuple[float, Path, Scalar]]) -> Iterator[Scalar]:
        for _, folder, scalar in found:
            self._first = self._first or folder
            name = self._name(folder, scalar.tag)
            if name is not None:
                yield Scalar(scalar.time, scalar.step, name, scalar.value)

    def _name(self, folder: Path, tag: str) -> str | None:
        start = tag.replace("/", "_") + "_"
        if folder.name.startswith(start):
            return f"{tag}/{folder.name.removeprefix(start)}"
        if folder.parent.as_posix().endswith(f"/{tag}"):  # as tensorboardX has it
            return f"{tag}/{folder.name}"
        if folder.name in _KERAS and tag.startswith(("epoch_", "batch_", "evaluation_")):
            return f"{folder.name}/{tag}"
        if self._owners.setdefault(tag, folder) == folder:
            return tag
        if _TIME.fullmatch(folder.name):
            return None
        assert self._first is not None
        inside = folder.is_relative_to(self._first)
        return f"{os.path.relpath(folder, self._first) if inside else folder.name}/{tag}"


def _joined(scalars: Iterable[Scalar], source: str) -> Iterator[FoundReport]:
    """Scalars of one step that follow each other are one report."""
    step, metrics = 0, dict[str, float]()
    for scalar in scalars:
        if metrics and (scalar.step != step or scalar.tag in metrics):
            yield FoundReport(step, metrics, source)
            metrics = {}
        step = scalar.step
        metrics[scalar.tag] = scalar.value
    if metrics:
        yield FoundReport(step, metrics, source)
