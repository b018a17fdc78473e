"""Writes the files of an experiment of one's own: settings, experiment, and a sweep of it."""

from __future__ import annotations

import importlib.util
import keyword
import re
from contextlib import suppress
from pathlib import Path

from raysearch.errors import BadSetting

_FOLDER = Path(__file__).parent / "experiment"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_INIT = '"""An experiment of its own: its settings, what it trains, and its sweeps."""\n'


def write_experiment(name: str, below: Path) -> list[Path]:
    """Writes a package `name` below a folder: an experiment that runs; returns its files.

    Raises:
        BadSetting: the name can be none of a package, is that of another module, or there is a
            file or folder of that name already; nothing is written then.
    """
    folder = below / name
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise BadSetting(
            f"the name of an experiment must be that of a package, small letters, digits and "
            f"underscores such as shape_bias, got {name!r}"
        )
    if folder.exists() or folder.with_suffix(".py").exists():
        raise BadSetting(f"the name of an experiment must be new, but {folder} is there already")
    if _is_taken(name):
        raise BadSetting(
            f"the name of an experiment must be that of no other module, and {name!r} is one: "
            f"choose another, such as my_{name}"
        )
    kind = "".join(part.capitalize() for part in name.split("_"))
    folder.mkdir(parents=True)
    written = [folder / "__init__.py"]
    written[0].write_text(_INIT)
    for template in sorted(_FOLDER.glob("*.py.txt")):
        text = template.read_text(encoding="utf-8").replace("CLASS", kind).replace("NAME", name)
        written.append(folder / template.name.removesuffix(".txt"))
        written[-1].write_text(text, encoding="utf-8")
    return written


def _is_taken(name: str) -> bool:
    with suppress(ImportError, ValueError):
        return importlib.util.find_spec(name) is not None
    return False
