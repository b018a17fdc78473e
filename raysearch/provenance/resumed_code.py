"""The code that a search goes on with: what is here, unless that changed, or what was kept."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raysearch.errors import BadSetting, WrongState
from raysearch.provenance import snapshot
from raysearch.provenance.search_path import paths_of
from raysearch.provenance.sources import Sources, gather
from raysearch.settings import Settings
from raysearch.sweeps import by_value
from raysearch.sweeps.plugins import modules_in
from raysearch.sweeps.search_spec import SearchSpec

Changes = Literal["refuse", "accept", "as it was"]
"""What is done where code changed since a search began, or went on last."""

_FOLDER = ".as-it-was"
_OWN = __name__.partition(".")[0]
_NAMED = 5


@dataclass(frozen=True)
class Code:
    """The code of a drive: `found` is what is here now, None where the kept code runs.

    Modules of trials are looked for in `paths` first; the last one is the working folder, in which
    relative paths mean what they mean to the user.
    """

    paths: list[str]
    found: Sources | None


def chosen(*, accept_changes: bool, as_it_was: bool) -> Changes:
    """What two switches say together. Raises BadSetting if both are set."""
    if accept_changes and as_it_was:
        raise BadSetting(
            "--accept-changes and --as-it-was must not be given together: what is here runs with "
            "the one, what was kept with the other"
        )
    return "accept" if accept_changes else "as it was" if as_it_was else "refuse"


def here_now(spec: SearchSpec, settings: Settings) -> Sources:
    """The source that a search would run from here."""
    kept, folder = spec.code, settings.folder(spec.search)
    programs = snapshot.programs_of(folder, kept.snapshot) if kept is not None else []
    return gather(Path.cwd(), modules_of(spec), [settings.runs], programs)


def code_of(
    spec: SearchSpec, settings: Settings, changes: Changes, stack: ExitStack, asked: str = ""
) -> Code:
    """The code that a search goes on with; the kept one can be imported until the stack is left.

    Only files count that the modules of its sweep and its experiment import, or read by their name;
    this package is none of them. `asked` is the command that goes on, as `extend mine --trials 5`.

    Raises:
        WrongState: it changed, and nothing was said of changes; or what was kept is damaged.
    """
    found, kept = here_now(spec, settings), spec.code
    here = Code(paths_of(kept, settings.folder(spec.search)), found)
    if kept is None or changes == "accept":
        return here
    name, folder = spec.search, settings.folder(spec.search)
    changed = snapshot.changed_since(folder, kept.snapshot, found, modules_of(spec))
    if not changed:
        return here
    if changes == "refuse":
        raise WrongState(_refusal(name, changed, asked or f"resume {name}"))
    paths = stack.enter_context(_unpacked(folder, kept.snapshot))
    return Code([*paths, *here.paths], None)


def changed_meanwhile(spec: SearchSpec, settings: Settings, paths: list[str]) -> str:
    """What is to be said at the end of a drive if the code that it ran from here has changed.

    A trial runs what its host imported when that was started, and another host what is there then.
    """
    kept = spec.code
    if kept is None or _FOLDER in Path(paths[0]).parts:
        return ""
    folder, found = settings.folder(spec.search), here_now(spec, settings)
    changed = snapshot.changed_since(folder, kept.snapshot, found, modules_of(spec))
    if not changed:
        return ""
    return (
        f"the code changed while it ran: {_few(changed)}; a host that was started, or a module "
        f"that was first imported, after that has the new code"
    )


def _few(changed: list[str]) -> str:
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return f"{', '.join(changed[:_NAMED])}{more}"


def _refusal(name: str, changed: list[str], asked: str) -> str:
    return (
        f"the code of search {name!r} changed since it ran last: {_few(changed)}; go on with what "
        f"is here now by `raysearch {asked} --accept-changes`, or with the code that was kept by "
        f"`raysearch {asked} --as-it-was`"
    )


def modules_of(spec: SearchSpec) -> list[str]:
    """The modules of the sweep and of the experiment of a search, or those that they use, and of
    its own other parts.
    """
    track = str((spec.request or {}).get("track") or "")
    own = modules_in(spec.sampler, spec.pruner, track)
    named = [name.partition(":")[0] for name in (spec.sweep, spec.experiment)]
    used = [module for name in dict.fromkeys(named) for module in by_value.modules_of(name)]
    return [*used, *own]


@contextmanager
def _unpacked(folder: Path, name: str) -> Generator[list[str]]:
    """Has modules imported from a snapshot, here too; yields the folders that it unpacks.

    Not this package: it is what drives the search.
    """
    target = folder / snapshot.FOLDER / _FOLDER
    shutil.rmtree(target, ignore_errors=True)  # of a driver that was killed
    paths = [str(path) for path in snapshot.unpack(folder, name, target)]
    for path in paths:
        shutil.rmtree(Path(path) / _OWN, ignore_errors=True)
    try:
        with _imported_from(paths):
            yield paths
    finally:
        shutil.rmtree(target, ignore_errors=True)


@contextmanager
def _imported_from(paths: list[str]) -> Generator[None]:
    """Lets what lies in folders be imported from there, whatever was imported before."""
    entries = [entry for path in paths for entry in Path(path).iterdir() if entry.stem != _OWN]
    tops = {entry.stem for entry in entries if _is_module(entry)}
    folders = {entry.name for entry in entries if entry.is_dir()}

    def taken_out() -> dict[str, Any]:
        loose = {
            name for name in folders if getattr(sys.modules.get(name), "__file__", None) is None
        }
        names = [name for name in sys.modules if name.partition(".")[0] in tops | loose]
        names += filter(by_value.is_by_value, sys.modules)  # they refer to the others
        return {name: sys.modules.pop(name) for name in names}

    before, searched = taken_out(), list(sys.path)
    sys.path[:0] = paths
    importlib.invalidate_caches()
    try:
        yield
    finally:
        taken_out()
        sys.modules.update(before)
        sys.path[:] = searched
        importlib.invalidate_caches()


def _is_module(entry: Path) -> bool:
    """Whether it is imported by its name, whatever else there is: `ray.yaml` is no module ray.

    A folder without `__init__.py` is one only where no package of that name is installed.
    """
    return entry.suffix == ".py" or (entry / "__init__.py").is_file()
