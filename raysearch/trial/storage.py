"""Checkpoints kept by content: what a trial does to its files later does not change them."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting
from raysearch.files import appearing
from raysearch.integrity import Digest, damage, file_digest, folder_digest, members
from raysearch.trial.checkpoints import FOLDER, Kept, Retention, is_inside, remove
from raysearch.trial.job import Job
from raysearch.trial.lending import copy_file, is_lent, lent

_OF_A_STEP = r"(?:^|[^a-z])(?:step|checkpoint|ckpt|iter|iteration|epoch)s?[-_=]?0*{step}(?!\d)"
"""Names that are used for one step, as `step-00000200.pt`, `checkpoint-200` or `200.ckpt`."""

_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES)

Stamp = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of each file."""


class Storage:
    """The checkpoints of one attempt, in a folder of their own below their step.

    What a trial reports is there by the time it is on record. A file whose name says its step is
    linked, which costs nothing; any other is copied, since its name may be used again. What was
    linked and is written to afterwards is refused at the next report.
    """

    def __init__(self, job: Job) -> None:
        self._folder = Path(job.folder)
        self._root = Path(job.root)
        self._retention = Retention.of(job.objectives, (Kept(**kept) for kept in job.kept))
        self._kept = {kept.path: kept for kept in self._retention.kept()}
        self._stamps: dict[str, Stamp | None] = {}
        self._value: tuple[int, float] | None = None
        self._job = job
        self.artifacts: set[Path] = set()

    def restored(self) -> tuple[Path | None, list[tuple[Kept, str]]]:
        """A copy of the newest checkpoint that is intact, and what is wrong with the others.

        Raises:
            ValueError: an evaluation has no other than the one that is damaged.
        """
        wrong: list[tuple[Kept, str]] = []
        if self._job.restored is None:
            return None, wrong
        first = Path(self._job.restored)
        known = [Kept(**kept) for kept in self._job.kept]
        step = next((kept.step for kept in known if kept.path == str(first)), 0)
        older = sorted((kept for kept in known if kept.step < step), key=lambda kept: -kept.step)
        same = [kept for kept in known if kept.path == str(first)] or [Kept(0, str(first))]
        for kept in [*same, *older]:
            what = damage(Path(kept.path), kept.bytes, kept.sha256)
            if not what:
                return lent(Path(kept.path), self._folder), wrong
            if self._job.purpose != "run":
                raise BadSetting(f"checkpoint {kept.path} {what}")
            wrong.append((kept, what))
            self._retention.damaged(kept.path)
        return None, wrong

    def store(self, step: int, path: Any) -> Kept | None:
        """Keeps what a trial reports as its checkpoint; None if that is none, or no training.

        Raises:
            ValueError: it is not there, lies elsewhere, is no file or folder, is being written, or
                an earlier one was changed after it was reported. TypeError: it is no path.
        """
        self._refuse_changes()
        if path is None or self._job.purpose != "run":
            return None
        source = self._source(step, path)
        is_own, place = _says(source.name, step), self._free(step)
        kept = place / _printable(source.name)
        before = _stamp(source)
        found = _stored(source, kept, link=is_own)
        if _stamp(source) != before:
            raise BadSetting(
                f"checkpoint {source} of step {step} is still being written: it must be complete "
                f"when it is reported"
            )
        if is_own:
            self._stamps[str(kept)] = _stamp(kept)
        is_known = is_inside(source, self._folder) and str(source).isprintable()
        stays = is_known and not is_lent(source, self._folder)
        own = str(source) if stays else None
        copied = stays and not is_own
        return Kept(step, str(kept), None, found.bytes, found.sha256, own, copied)

    def settle(self, step: int, metrics: Mapping[str, float], stored: Kept | None) -> None:
        """After the answer to a report: takes its objective in, deletes what is not needed now."""
        value = self._objective(step, metrics)
        if stored is None:
            gone = self._retention.learn(step, value)
        else:
            self._kept[stored.path] = stored
            gone = self._retention.add(replace(stored, value=value))
        needed = {kept.source for kept in self._retention.kept()}
        for old in [self._kept.pop(path) for path in gone if path in self._kept]:
            if old.source not in needed:
                remove(leftovers(old, self.artifacts), self._root)
            remove([own_place(Path(old.path))], self._root)
            self._stamps.pop(old.path, None)

    def _objective(self, step: int, metrics: Mapping[str, float]) -> float | None:
        """The first objective at a step, in this report or in an earlier one of the same step."""
        name = self._job.objectives[0]["name"] if self._job.objectives else ""
        if name in metrics:
            self._value = (step, float(metrics[name]))
        return self._value[1] if self._value and self._value[0] == step else None

    def _source(self, step: int, path: Any) -> Path:
        what = f"checkpoint of step {step}"
        try:
            given = Path(os.fsdecode(path))
        except TypeError:
            raise TypeError(f"{what} must be the path of a file or folder, got {path!r}") from None
        if "\0" in str(given):
            raise BadSetting(f"{what} must be a path, which has no NUL, got {path!r}")
        source = self._inside(given)
        if source is None:
            raise BadSetting(
                f"{what} must be a file or folder below session.folder, {self._folder}, where no "
                f"other trial writes, got {given}"
            )
        if not (source.is_file() or source.is_dir()):
            kind = "neither a file nor a folder" if source.exists() else "not there"
            raise BadSetting(f"{what} must be written before it is reported; {given} is {kind}")
        return source

    def _inside(self, given: Path) -> Path | None:
        """The path below the folder of this attempt, or that of a checkpoint it may go on from."""
        if str(given) in {kept["path"] for kept in self._job.kept}:
            return given
        pairs = (given.absolute(), self._folder), (given.resolve(), self._folder.resolve())
        for source, own in pairs:
            if ".." not in source.parts and source != own and source.is_relative_to(own):
                return self._folder / source.relative_to(own)
        return None

    def _free(self, step: int) -> Path:
        """A folder that is not there yet: a step may bring a second checkpoint."""
        place, count = self._folder / FOLDER / f"{step:08d}", 1
        while place.exists():
            count += 1
            place = place.with_name(f"{step:08d}-{count}")
        return place

    def _refuse_changes(self) -> None:
        for path, stamp in self._stamps.items():
            kept = self._kept.get(path)
            if kept is None or _stamp(Path(path)) == stamp:
                continue
            what = damage(Path(path), kept.bytes, kept.sha256)
            if what:
                raise BadSetting(
                    f"checkpoint {kept.source or path} of step {kept.step} {what}; its name says "
                    f"that step, so what is written later must have another one"
                )
            self._stamps[path] = _stamp(Path(path))


def own_place(path: Path) -> Path:
    """What is deleted of a kept checkpoint: the folder of its step, or, of old ones, itself."""
    return path.parent if path.parent.parent.name == FOLDER else path


def leftovers(kept: Kept, artifacts: set[Path]) -> list[Path]:
    """Where a trial wrote a kept checkpoint, if that is as it was reported and no artifact."""
    if kept.source is None or kept.source == kept.path:
        return []
    source, path = Path(kept.source), Path(kept.path)
    in_use, stamp = any(one == source or source in one.parents for one in artifacts), _stamp(path)
    return [source] if not in_use and stamp is not None and _stamp(source) == stamp else []


def _says(name: str, step: int) -> bool:
    """Whether a name is that of one step."""
    first = name.partition(".")[0]
    is_number = first.isascii() and first.isdigit() and int(first) == step
    return is_number or bool(re.search(_OF_A_STEP.format(step=step), name.lower()))


def _printable(name: str) -> str:
    """A name that can be shown, and written to any database."""
    return "".join(char if char.isprintable() else "_" for char in name)


def _stored(source: Path, target: Path, *, link: bool) -> Digest:
    """Puts a file or folder under another name, whole or not at all."""
    place = target.parent
    with appearing(place, under=f".{place.name}.partial") as partial:
        partial.mkdir()
        found = _taken(source, partial / target.name, link=link)
    _flush(place.parent)
    return found


def _taken(source: Path, target: Path, *, link: bool) -> Digest:
    if not source.is_dir():
        return _taken_file(source, target, link=link)
    target.mkdir()

    def each() -> Iterator[tuple[str, Digest | None]]:
        for name, is_file in members(source):
            if is_file:
                yield name, _taken_file(source / name, target / name, link=link)
            else:
                (target / name).mkdir()
                yield name, None

    return folder_digest(each())


def _taken_file(source: Path, target: Path, *, link: bool) -> Digest:
    """Links or copies a file, reads what is there then, and forces it to disk."""
    if not (link and not source.is_symlink() and _linked(source, target)):
        copy_file(source, target)
    found = file_digest(target)
    _flush(target)
    return found


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def _flush(path: Path) -> None:
    """Forces a file, or the names in a folder, to disk: what is on record outlives a crash."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(path: Path) -> Stamp | None:
    """What changes when a file or folder is written to; None if it is not there, or cannot be a
    checkpoint any more.
    """
    try:
        if not path.is_dir():
            found = path.stat()
            return (("", found.st_size, found.st_mtime_ns),)
        files = [(name, (path / name).stat()) for name, is_file in members(path) if is_file]
    except (OSError, BadSetting):
        return None
    return tuple((name, found.st_size, found.st_mtime_ns) for name, found in files)
