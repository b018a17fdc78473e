"""A program with its command, as another tool or a script states it, written as `Program(…)`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from raysearch.errors import BadSetting
from raysearch.imports.fields import Fields
from raysearch.imports.layout import INDENT, Argument, broken, comment, quoted, written
from raysearch.sweeps.program import Arguments, Booleans

VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]+)\}")
"""Where a word has an environment variable, as W&B writes it: one that is not set is its name."""
SEEDS = frozenset({"seed", "random_seed", "manual_seed", "rng_seed", "global_seed"})
"""What programs call the seed of a run."""


@dataclass(frozen=True)
class ProgramCall:
    """What is run for each trial: the facts of a `Program`.

    `command` has its words, in which `{name}` is a place and `${envvar:NAME}` a variable. `remarks`
    stand as comments in the call.
    """

    command: tuple[str, ...]
    arguments: Arguments = "argparse"
    booleans: Booleans = "flag"
    option: str = "--config"
    shell: bool = False
    seed: str | None = None
    folder: str | None = None
    read: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    remarks: tuple[str, ...] = ()

    @property
    def script(self) -> str | None:
        """The first word that is a Python file."""
        words = shlex.split(self.command[0]) if self.shell else self.command
        return next((word for word in words if word.endswith(".py")), None)


class OpenFields(Fields):
    """Names that a program takes: all of them, unless they are mapped to others."""

    def __init__(self, mapped: Mapping[str, str] | None = None) -> None:
        self.mapped = dict(mapped or {})
        self._named: set[str] = set()

    def resolve(self, names: Iterable[str]) -> dict[str, str]:
        """The name that the program has for each; names that are left out are not there.

        Raises:
            ValueError: two with one name.
        """
        found: dict[str, str] = {}
        for name in names:
            self._named.add(name)
            path = self.mapped.get(name, name)
            if path in found.values():
                other = next(each for each, known in found.items() if known == path)
                raise BadSetting(f"{name} and {other} must have different names, got {path} twice")
            if path:
                found[name] = path
        return found

    def branch(self, path: str, values: Any) -> None:
        """Nothing: a program has no parts."""

    def example(self, path: str) -> Any:
        """None: what it has there is not known."""
        return None

    def condition(self, path: str) -> None:
        """None: it takes every name."""
        return None


def literal(word: str) -> str:
    """A word of a command as it is: its braces are no places."""
    return word.replace("{", "{{").replace("}", "}}")


def placed(
    call: ProgramCall, near: Sequence[Path], out: Path
) -> tuple[ProgramCall, Path | None, tuple[str, ...]]:
    """The call with the folder of its code, its script if it is there, and what must be said.

    Args:
        call: what is run.
        near: folders in which its script may be, the first of which is meant otherwise.
        out: the folder of the file that declares it.
    """
    base = near[0]
    script = call.script
    if script is not None:
        base = next((folder for folder in near if (folder / script).is_file()), near[0])
    folder = None if base == out else os.path.relpath(base, out)
    found = None if script is None else base / script
    if found is not None and not found.is_file():
        note = f"{script}: there is no such file in {base.name or base}; search where it is"
        return replace(call, folder=folder), None, (note,)
    return replace(call, folder=folder), found, ()


def imports_of(call: ProgramCall) -> list[str]:
    """The lines that its call needs on top, in groups."""
    needs_os = any(VARIABLE.search(word) for word in call.command)
    return ["import os"] if needs_os else []


def written_call(call: ProgramCall) -> str:
    """`program = Program(…)`, laid out as ruff would."""
    arguments: list[Argument] = [_command(call)]
    default = ProgramCall(())
    for name in ("arguments", "booleans", "option", "shell", "seed", "folder"):
        given = getattr(call, name)
        if given != getattr(default, name) or name == "arguments":
            arguments.append(f"{name}={written(given)}")
    for pattern in call.read[:1]:
        arguments.append(f"read={raw(pattern)}")
    if len(call.read) > 1:
        arguments[-1] = ("read=[", list(map(raw, call.read)), "]")
    for name in ("environment", "defaults"):
        pairs = [f"{quoted(key)}: {written(each)}" for key, each in getattr(call, name).items()]
        if pairs:
            arguments.append((f"{name}={{", pairs, "}"))
    if not call.remarks:
        return "\n".join(broken("program = Program(", arguments, ")", 0))
    lines = broken("program = Program(", arguments, ")", 0, whole=False)
    remarks = [line for each in call.remarks for line in comment(each, INDENT)]
    return "\n".join([*lines[:-1], *remarks, lines[-1]])


def raw(pattern: str) -> str:
    """A regular expression as a raw text, where it can be one."""
    if '"' in pattern or pattern.endswith("\\") or "\n" in pattern:
        return quoted(pattern)
    return f'r"{pattern}"' if "\\" in pattern else f'"{pattern}"'


def _command(call: ProgramCall) -> Argument:
    """One text where a shell would split it into these words, or else a list of them."""
    if call.shell:
        return quoted(call.command[0])
    plain = not any(VARIABLE.search(word) for word in call.command)
    line = " ".join(call.command)
    try:
        is_line = plain and tuple(shlex.split(line)) == call.command
    except ValueError:
        is_line = False
    return quoted(line) if is_line else ("[", [_word(word) for word in call.command], "]")


def _word(word: str) -> str:
    """A word as an expression; variables are read where the file is imported."""
    pieces = VARIABLE.split(word)
    if len(pieces) == 1:
        return quoted(word)
    if pieces[0] == pieces[2] == "" and len(pieces) == 3:
        return f'os.environ.get("{pieces[1]}", "{pieces[1]}")'
    shown = [
        f"{{os.environ.get('{piece}', '{piece}')}}" if place % 2 else literal(quoted(piece)[1:-1])
        for place, piece in enumerate(pieces)
    ]
    return f'f"{"".join(shown)}"'
