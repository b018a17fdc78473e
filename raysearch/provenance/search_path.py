"""The path of modules of a search: entries that a caller added, and those that are kept."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from raysearch.provenance.snapshot import FOLDER
from raysearch.sweeps import by_value
from raysearch.sweeps.search_spec import CodeState


def added() -> list[str]:
    """The folders that this process looks for modules in and a fresh one would not, first ones
    first; without the current one if it is the only one.
    """
    here, usual = str(Path.cwd()), {*_usual(), sysconfig.get_path("scripts")}
    found = dict.fromkeys(
        str(Path(entry or here).absolute()) for entry in sys.path if entry not in usual
    )
    own = [entry for entry in found if not (by_value.holds(entry) or _is_installed(entry))]
    return [] if own == [here] else own


def paths_of(code: CodeState | None, folder: Path) -> list[str]:
    """The folders in which trials look for modules of a search that lies in a folder.

    First what was kept by value, then what callers added, and last the working folder.
    """
    kept = folder / FOLDER / by_value.FOLDER
    then = (code.paths if code is not None else None) or ()
    found = [*([str(kept)] if by_value.holds(kept) else []), *added(), *then]
    return [*dict.fromkeys(found), str(Path.cwd())]


@contextmanager
def searched(paths: list[str]) -> Generator[None]:
    """Has modules looked for in folders too, after all others, until this is left."""
    new = [path for path in paths if path not in sys.path]
    sys.path += new
    try:
        yield
    finally:
        for path in new:
            if path in sys.path:
                sys.path.remove(path)


def _is_installed(entry: str) -> bool:
    """Whether a library added it, such as Ray its own copies of others."""
    return bool({"site-packages", "dist-packages"} & set(Path(entry).parts))


@cache
def _usual() -> frozenset[str]:
    """Where a fresh process of this interpreter looks."""
    command = [sys.executable, "-P", "-c", "import json, sys; print(json.dumps(sys.path))"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return frozenset(json.loads(output.splitlines()[-1]))
