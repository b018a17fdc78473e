"""Modules that users name, imported from the current folder too."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from raysearch.errors import BadSetting, UnknownName, foreign
from raysearch.sweeps.exits import staying


def import_module(name: str, needed_for: str) -> ModuleType:
    """The module of that name, which is looked for in the current folder too.

    Raises:
        LookupError: there is none; `needed_for` says what it was for. BadSetting: it raises.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if not name or name.startswith("."):
        raise UnknownName(f"{needed_for} must have the form module:attribute")
    try:
        with foreign(f"module {name}"), staying():
            return importlib.import_module(name)
    except (BadSetting, ModuleNotFoundError) as error:
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        if not isinstance(missing, ModuleNotFoundError) or missing.name is None:
            raise
        if not (name == missing.name or name.startswith(f"{missing.name}.")):
            raise  # the module is there and misses another one: the sentence says so
        raise UnknownName(f"no module is named {name!r}, needed for {needed_for}") from None
