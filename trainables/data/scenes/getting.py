"""Brings the files of a set of scenes to where they are looked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from trainables.core.files import appearing
from trainables.data.downloading import download
from trainables.data.scenes.facts import SceneFacts, missing_files

Say = Callable[[str], None]


def get(data_set: SceneFacts, root: Path, given: Path | None, say: Say) -> None:
    """Fetches the files of a set, or links or copies them from a file or folder that is `given`.

    No checksums of whole files are published; every record has its own, which is looked at when
    the set is prepared.

    Raises:
        LookupError: it has no address, or the files are not in what is given.
        ValueError: they cannot be written.
        ConnectionError: no address answers.
    """
    target = data_set.folder(root)
    there = data_set.place(root)
    if data_set.found(there):
        say(f"{data_set.name} is there: {there}")
        return
    if given is not None:
        _take(data_set, given, target)
    elif not data_set.url:
        raise LookupError(missing_files(data_set, root))
    else:
        download((data_set.url,), target / data_set.url.rpartition("/")[2], "", say)
    say(f"{data_set.name} is there: {target}")


def _take(data_set: SceneFacts, given: Path, target: Path) -> None:
    folder = given.parent if given.is_file() else given
    found = data_set.found(folder)
    if not found:
        forms = " or ".join(", ".join(form) for form in data_set.forms)
        raise LookupError(f"--from must be a folder that has {forms}, got {str(given)!r}")
    besides = [found[0].parent / name for name in data_set.besides]
    for path in [*found, *filter(Path.exists, besides)]:
        place = target / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, place, copy_function=_linked, dirs_exist_ok=True)
        else:
            _linked(path, place)


def _linked(source: str | Path, target: str | Path) -> None:
    """The same file under another name, or a copy of it where that cannot be."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        with appearing(Path(target)) as partial:
            shutil.copyfile(source, partial)
