"""Submissions: a record for each search, its code, and a name that nobody else has."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from raysearch.driver.plan import Request, check_name
from raysearch.errors import BadSetting
from raysearch.events.log import Store, now
from raysearch.files import appearing, make_folder, write_privately
from raysearch.provenance.archive import digest
from raysearch.provenance.unarchive import unpack
from raysearch.settings import Settings

_FOLDER, _CODE, _DATA = "submissions", ".code", "data"
_FRESH, _LEFT = ".fresh-", 3600.0
"""How folders begin into which a package is being unpacked; none takes so many seconds."""


@dataclass(frozen=True)
class Submission:
    """A search that was sent to the head.

    `code` names the package that it runs from, `command` is what was typed. `jobs` are the Ray jobs
    that drove it, in order; `restarts` counts those begun since it last got on, `seen` is its last
    event at the latest of them, and the next may not begin before `not_before` (ms since 1970).
    `over` says why it is driven no more, `lines` are the last ones that its driver printed then.
    """

    name: str
    code: str
    request: dict[str, Any]
    command: str = "raysearch submit"
    time: int = field(default_factory=now)
    jobs: list[str] = field(default_factory=list[str])
    restarts: int = 0
    seen: int = 0
    not_before: int = 0
    over: str = ""
    lines: list[str] = field(default_factory=list[str])

    def asked(self) -> Request:
        """The request, under the name that it got."""
        return replace(Request(**self.request), name=self.name)


class Submissions:
    """The records in the folder of state, one file a search, for the owner's eyes alone."""

    def __init__(self, state: Path) -> None:
        self._folder = state / _FOLDER

    def read(self, name: str) -> Submission | None:
        """The record of a search, if it was submitted."""
        check_name(name)
        try:
            return Submission(**json.loads((self._folder / f"{name}.json").read_text()))
        except FileNotFoundError:
            return None

    def write(self, submission: Submission) -> Submission:
        """Writes a record, whole."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(asdict(submission), indent=2) + "\n"
        write_privately(self._folder / f"{submission.name}.json", text)
        return submission

    def under_its_name(self, submission: Submission, settings: Settings) -> Submission:
        """The submission of a search, by the name that the search has now.

        One whose folder is there has its own, be it of a search or of one that is yet to begin.
        """
        store = Store(settings.store)
        if settings.folder(submission.name).exists() or store.exists(submission.name):
            return submission
        new = store.name_now(submission.name, submission.time)
        if new is None:
            return submission
        found = self.read(new) or self.write(replace(submission, name=new))
        self.remove(submission.name)
        return found

    def remove(self, name: str) -> None:
        """Forgets a submission."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def __iter__(self) -> Iterator[Submission]:
        """All of them, oldest first."""
        files = self._folder.glob("*.json") if self._folder.is_dir() else ()
        found = [self.read(file.stem) for file in files]
        yield from sorted((one for one in found if one is not None), key=lambda one: one.time)


def is_name(text: str) -> bool:
    """Whether a search can have this name."""
    try:
        check_name(text)
    except BadSetting:
        return False
    return True


def code_folder(runs: Path, code: str) -> Path:
    """Where a package lies unpacked, on all nodes. Raises ValueError for what is no name of one."""
    if not (code.isalnum() and code.isascii()):
        raise BadSetting(f"code must be the hexadecimal name of a package, got {code!r}")
    return runs / _CODE / code


def keep_code(content: bytes, runs: Path) -> str:
    """Unpacks a package below the folder of runs, once; returns its name.

    Raises:
        BadSetting: it cannot be unpacked; nothing is left of it then.
    """
    code = digest(content)
    place = code_folder(runs, code)
    if place.is_dir():
        return code
    make_folder(runs)
    make_folder(place.parent)
    _remove_unfinished(place.parent)
    with appearing(place, prefix=_FRESH, keeps=True) as fresh:  # another one puts the same there
        fresh.mkdir(mode=0o700)
        unpack(content, fresh)
    return code


def _remove_unfinished(folder: Path) -> None:
    """Removes what a service that was killed has left of packages."""
    for path in folder.glob(f"{_FRESH}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT:
                shutil.rmtree(path, ignore_errors=True)


def reserve(name: str | None, stem: str, settings: Settings, known: Submissions) -> str:
    """A name that no search and no folder has; its folder is made, so that nobody else takes it.

    One that was submitted and never became a search is free again.

    Raises:
        ValueError: `name` is in use, or can be none.
    """
    store = Store(settings.store)
    make_folder(settings.runs)
    if name is not None:
        check_name(name)
        before = known.read(name)
        is_over = before is not None and bool(before.over)
        if store.exists(name) or not (make_folder(settings.folder(name)) or is_over):
            raise BadSetting(f"--name {name!r} is in use; choose another name")
        return name
    check_name(stem)
    number, used = 1, set(store.searches())
    while f"{stem}-{number}" in used or not make_folder(settings.folder(f"{stem}-{number}")):
        number += 1
    return f"{stem}-{number}"


def link_data(code: Path, runs: Path) -> None:
    """Lets code see the data sets that lie beside the folder of runs.

    They are looked for in `data` of the current folder, which is that of the code.
    """
    data = runs.parent / _DATA
    if data.is_dir():
        with suppress(FileExistsError):  # its own, or it was linked before
            (code / _DATA).symlink_to(data)
