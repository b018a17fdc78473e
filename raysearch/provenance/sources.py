"""The source that a search uses: what git tracks, or what lies below its folder; never secrets."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from raysearch.provenance.repository import Refused, Repository, find_repository
from raysearch.provenance.working_tree import (
    ENVIRONMENTS,
    OF_PROGRAMS,
    SOURCES,
    is_secret,
    sources_below,
    why_not,
)

MOST = 20 << 20
"""Bytes of all files."""
_MANY = 2000
"""New files that are looked at where there is a repository."""


@dataclass
class Sources:
    """What was found. `files` are contents by name, `<number of the root>/<path in it>`.

    `paths` are the folders among them that modules were imported from, first ones first; `roots`
    says of each root where it lay, and its commit and branch; `diffs` are the changes against the
    commit, by the name of their file; `left_out` says why something is not there. `suffixes` are
    taken besides those of Python and settings, for the folders of `programs`.
    """

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    paths: list[str] = field(default_factory=list[str])
    roots: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    diffs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    bytes_left: int = MOST
    suffixes: tuple[str, ...] = ()
    programs: list[str] = field(default_factory=list[str])


def gather(
    here: Path, modules: Iterable[str], never: Sequence[Path], programs: Sequence[Path] = ()
) -> Sources:
    """The source below a working folder, and where else the modules come from.

    Args:
        here: the folder in which the search was started. Outside a repository it is looked at only
            if one of the modules lies there.
        modules: the names of the modules of the sweep and of the experiment.
        never: folders that are not looked into: that of the runs.
        programs: folders of programs, of which more is kept than Python and settings.
    """
    sources, numbers = Sources(suffixes=OF_PROGRAMS if programs else ()), dict[Path, int]()
    places = _places(here, modules)
    for folder in programs:
        sources.programs.append(str(folder.resolve()))
        places.setdefault(folder.resolve(), [])
    for folder, origins in places.items():
        repository = find_repository(folder)
        if repository is None and not origins and str(folder) not in sources.programs:
            continue
        root = repository.top if repository else folder
        if root not in numbers:
            numbers[root] = len(numbers)
            _take(sources, numbers[root], root, repository, folder, never)
        inner = folder.relative_to(root).as_posix()
        number = str(numbers[root])
        sources.paths.append(number if inner == "." else f"{number}/{inner}")
        for origin in origins:
            name = f"{number}/{origin.relative_to(root).as_posix()}"
            if name not in sources.files:
                sources.left_out.setdefault(name, "git ignores it")
    return sources


def _places(here: Path, modules: Iterable[str]) -> dict[Path, list[Path]]:
    """The folders that modules are imported from, with the files of those that are asked for."""
    found: dict[Path, list[Path]] = {here.resolve(): []}
    for top in dict.fromkeys(name.partition(".")[0] for name in modules):
        spec = _spec(top, here)
        if spec is None:
            continue
        origin = Path(spec.origin) if spec.has_location and spec.origin else None
        package = next(iter(spec.submodule_search_locations or ()), None)
        where = Path(package).parent if package else (origin.parent if origin else None)
        if where is None or _is_installed(where.resolve()):
            continue
        files = found.setdefault(where.resolve(), [])
        files += [where.resolve() / origin.relative_to(where)] if origin else []
    return found


def _spec(top: str, here: Path) -> ModuleSpec | None:
    """Where a module would be imported from; nothing is imported for that."""
    try:
        return PathFinder.find_spec(top, [str(here)]) or importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


def _is_installed(folder: Path) -> bool:
    if {"site-packages", "dist-packages"} & set(folder.parts):
        return True
    return folder.is_relative_to(Path(os.__file__).resolve().parent)


def _take(
    sources: Sources,
    number: int,
    root: Path,
    repository: Repository | None,
    folder: Path,
    never: Sequence[Path],
) -> None:
    """Takes in one root: its files, and the changes against its commit."""
    about = {"path": str(root)}
    left_out = dict[str, str]()
    if repository is None:
        names = sorted(sources_below(root, never, left_out, sources.suffixes or (".py",)))
    else:
        about |= {"commit": repository.commit, "branch": repository.branch}
        try:
            names = _changes(sources, number, repository, never, left_out)
        except Refused as error:
            names, left_out["everything"] = [], str(error)
    sources.roots.append(about)
    inner = folder.relative_to(root).as_posix() + "/"
    for name in sorted(
        names, key=lambda name: (inner != "./" and not name.startswith(inner), name)
    ):
        path = root / name
        why = why_not(name, path)
        if not why:
            why = _read(sources, f"{number}/{name}", path)
        if why:
            left_out[name] = why
    sources.left_out |= {f"{number}/{name}": why for name, why in left_out.items()}


def _read(sources: Sources, name: str, path: Path) -> str:
    """Takes in a file; why that could not be, or nothing."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return str(error.strerror)
    if len(content) > sources.bytes_left:
        return f"beyond {MOST >> 20} MiB in all"
    sources.files[name] = content
    sources.bytes_left -= len(content)
    return ""


def _changes(
    sources: Sources,
    number: int,
    repository: Repository,
    never: Sequence[Path],
    left_out: dict[str, str],
) -> list[str]:
    """Takes in the diff of a repository; returns the names of its files of source."""
    tracked = repository.tracked()
    others = repository.untracked(never, ENVIRONMENTS)
    if len(others) > _MANY:
        few = [name for name in others if name.endswith(SOURCES + sources.suffixes)]
        left_out["the rest"] = f"{len(others) - len(few)} new files that are no source"
        others = few
    bytes_left, new = MOST, list[str]()
    for name in others:
        path = repository.top / name
        why = why_not(name, path)
        if not why and (bytes_left := bytes_left - path.stat().st_size) < 0:
            why = f"beyond {MOST >> 20} MiB in all"
        if why:
            left_out[name] = why
        else:
            new.append(name)

    def is_refused(name: str) -> bool:
        path = repository.top / name
        why = why_not(name, path) if path.is_file() or is_secret(name) else ""
        if why and not path.is_symlink():
            left_out[name] = why
        return bool(why) and not path.is_symlink()

    diff, file = (
        repository.diff(new, is_refused),
        f"diff-{number}.patch" if number else "diff.patch",
    )
    if len(diff) > MOST:
        diff, left_out[file] = b"", f"larger than {MOST >> 20} MiB"
    if diff or not number:
        sources.diffs[file] = diff
    return [name for name in [*tracked, *new] if name.endswith(SOURCES + sources.suffixes)]
