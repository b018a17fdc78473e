"""Checks that the command of a program can be started, before any trial."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raysearch.sweeps.nearest import on_offer

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_SCRIPTS = (".py", ".sh")
_VARIABLE = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_QUOTED = re.compile(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_OF_A_SHELL = re.compile(r"&&|\|\||2>&1|[12&]?>>?|<<?|[|;&`]|\$\(|\$[A-Z_]+\b")
_WITH_VALUE = {"python": ("-W", "-X", "--check-hash-based-pycs"), "sh": ("-o", "-O", "--rcfile")}
"""Options of interpreters whose value is the next word."""
_NO_SCRIPT = {"python": ("-m", "-c", "-"), "sh": ("-c", "-s")}
"""Options after which there is no script."""
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh")
_LAUNCHERS = (
    *("accelerate", "conda", "coverage", "deepspeed", "env", "ipython", "mamba", "mpiexec"),
    *("mpirun", "nice", "nohup", "numactl", "pipenv", "poetry", "srun", "stdbuf", "time"),
    *("timeout", "torchrun", "uv", "xvfb-run"),
)
"""Programs that start the script that they are given."""


def shell_words(command: str) -> list[str]:
    """What only a shell understands in a command line, in its order; quoted it is a word."""
    return _OF_A_SHELL.findall(_QUOTED.sub("_", command))


def variable_first(words: Sequence[str]) -> str | None:
    """The sentence on a command that begins with a variable of its environment, or None."""
    found = _VARIABLE.fullmatch(words[0])
    if found is None:
        return None
    return (
        f"command must begin with what is started, got {words[0]!r}: variables are given by "
        f"`env {words[0]} …`, in Python also by environment={{{found[1]!r}: {found[2]!r}}}"
    )


def missing(facts: Mapping[str, Any], has_place: re.Pattern[str]) -> str | None:
    """The sentence on a file or a program that a program needs and is not there, or None.

    Args:
        facts: those of the program.
        has_place: finds what is filled in by a trial, of which nothing can be said.
    """
    folder = Path(facts["folder"])
    if not folder.is_dir():
        return f"the folder of the program is not there: {folder}"
    words, python = list[str](facts["command"]), facts["python"]
    if not facts["shell"] and not has_place.search(words[0]):
        script, inside = _script(words), folder / _moved(words)
        where = None if script is None else inside / script
        if script and where and not has_place.search(str(where)) and not where.is_file():
            near = on_offer(script, [path.name for path in inside.glob(f"*{Path(script).suffix}")])
            return f"there is no file {script!r} in {inside}{near}"
        if sentence := _unstartable(words[0], folder, python):
            return sentence
    for name in facts["links"] or ():
        if not (folder / name).exists():
            return f"links names {name!r}, which is not in {folder}"
    if python and shutil.which(python[0]) is None:
        return f"python names {python[0]!r}, which cannot be started here"
    return None


def _script(words: Sequence[str]) -> str | None:
    """The script that a command starts, by itself or by an interpreter; None: none is known."""
    first = words[0]
    if first.endswith(_SCRIPTS):
        return first
    name = Path(first).name
    kind = "python" if _PYTHON.fullmatch(name) else "sh" if name in _SHELLS else ""
    if not kind:
        return _launched(words[1:]) if name in _LAUNCHERS else None
    rest = iter(words[1:])
    for word in rest:
        if word in _NO_SCRIPT[kind]:
            return None
        if word in _WITH_VALUE[kind]:
            next(rest, None)
        elif not word.startswith("-"):
            return word if word.endswith(_SCRIPTS) else None
    return None


def _moved(words: Sequence[str]) -> str:
    """The folder to which `env -C` goes before it starts anything, or the one where it is."""
    if Path(words[0]).name == "env":
        for word, following in zip(words, words[1:], strict=False):
            if word in ("-C", "--chdir"):
                return following
            if word.startswith("--chdir="):
                return word.removeprefix("--chdir=")
    return "."


def _launched(words: Sequence[str]) -> str | None:
    """The script among the words of a launcher: the first word that looks like one."""
    for place, word in enumerate(words):
        name = Path(word).name
        if _PYTHON.fullmatch(name) or name in _SHELLS:
            return _script(words[place:])
        if word in ("-m", "-c", "--module"):
            return None
        if word.endswith(_SCRIPTS) and not word.startswith("-"):
            return word
    return None


def _unstartable(first: str, folder: Path, python: Sequence[str] | None) -> str | None:
    """The sentence on a first word that nothing can be started by, or None."""
    if _PYTHON.fullmatch(first) or first.endswith(".py") or (python and len(python) > 1):
        return None  # the interpreter that is meant, or one whose programs are not seen from here
    if "/" in first:
        path = folder / first
        if not path.is_file():
            return f"command must name a program that is there, got {first!r}, which is not"
        if not os.access(path, os.X_OK):
            return f"command must name a program that may be executed, got {first!r}: chmod +x it"
        return None
    own = shutil.which(python[0] if python else sys.executable)
    places = [str(Path(own).parent)] if own else []
    if shutil.which(first, path=os.pathsep.join([*places, os.environ.get("PATH", os.defpath)])):
        return None
    if (folder / first).is_file():
        return (
            f"command must name a file in the folder by its path, got {first!r}: write './{first}'"
        )
    return (
        f"command must name a program that can be started here, got {first!r}, which is not on PATH"
    )
