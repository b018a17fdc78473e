"""The command of a W&B sweep, with the meaning that W&B gives to its macros."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from raysearch.errors import BadSetting, UnknownName
from raysearch.imports.programs import SEEDS, VARIABLE, ProgramCall, literal
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.program_config import PLACE

_DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
_MACRO = re.compile(r"\$\{(\w+)\}")
_PLACED: Mapping[str, tuple[str, ...]] = {
    "args": ("--{name}={value}",),
    "args_no_equals": ("--{name}", "{value}"),
    "args_no_hyphens": ("{name}={value}",),
    "args_append_hydra": ("+{name}={value}",),
    "args_override_hydra": ("++{name}={value}",),
}
"""Macros that stand for each parameter, and the words of each."""
_MACROS = (
    "env", "interpreter", "program", *_PLACED, "args_no_boolean_flags", "args_json",
    "args_json_file",
)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command and how it takes values, and what differs from there."""

    call: ProgramCall
    notes: tuple[str, ...] = ()


def states_program(stated: Mapping[str, Any]) -> bool:
    """Whether a sweep names what it runs."""
    return bool(stated.get("program") or stated.get("command"))


def read_command(stated: Mapping[str, Any], names: Sequence[str]) -> Command:
    """The command that a sweep states, or W&B's own around its program.

    Args:
        stated: the whole sweep.
        names: what the program calls the parameters.

    Raises:
        LookupError: a macro that W&B does not have. ValueError: a command that is none.
    """
    words = _words(stated)
    seed = next((name for name in names if name in SEEDS), None)
    found = [match[1] for word in words if (match := _MACRO.fullmatch(word))]
    values = [macro for macro in found if macro.startswith("args")]
    if len(values) > 1:
        raise BadSetting(
            f"command must have one of W&B's ${{args…}} at most, got "
            f"{', '.join(f'${{{each}}}' for each in values)}"
        )
    kind = values[0] if values else None
    notes = (*_nested(names, kind), *_without_program(words, stated))
    if kind == "args_json":
        line = shlex.join(_plain(words, stated, ["\0"])).replace("'\0'", "\0").replace("\0", _FILE)
        return Command(ProgramCall((line,), "json file", shell=True, seed=seed), notes)
    if kind == "args_json_file":
        command = _plain(words, stated, ["{config}"])
        return Command(ProgramCall(tuple(command), "json file", seed=seed), notes)
    if kind is None:
        more = "command: it has no ${args}; values are environment variables, and wandb.config"
        command = _plain(words, stated, [])
        return Command(ProgramCall(tuple(command), "environment", seed=seed), (*notes, more))
    last = words[-1] == f"${{{kind}}}"
    if kind == "args_no_boolean_flags" or (kind == "args" and last and _all_long(names)):
        booleans = "word" if kind == "args" else "flag"
        more = () if last else ("command: its parameters stand at its end",)
        command = _plain(words, stated, [])
        call = ProgramCall(tuple(command), "argparse", booleans, seed=seed)
        return Command(call, (*notes, *more))
    return Command(_placed(kind, words, stated, names, seed), notes)


_INTERPRETERS = ("env", "python", "python3", "bash", "sh")
_FILE = '"$(cat {config})"'
"""The values as one word, in a shell."""


def _words(stated: Mapping[str, Any]) -> list[str]:
    given = stated.get("command")
    if given is None:
        given = list(_DEFAULT)
    if isinstance(given, str):
        given = shlex.split(given)
    if not isinstance(given, list) or not given:
        raise BadSetting(f"command must be a list of words, got {given!r}")
    words = [str(each) for each in cast("list[Any]", given)]
    for word in words:
        match = _MACRO.fullmatch(word)
        if match and match[1] not in _MACROS:
            raise UnknownName(
                f"command has {word}, which W&B does not{on_offer(match[1], _MACROS)}"
            )
    if "${program}" in words and not isinstance(stated.get("program"), str):
        raise BadSetting(f"program must be given for ${{program}}, got {stated.get('program')!r}")
    return words


def _plain(words: Sequence[str], stated: Mapping[str, Any], values: Sequence[str]) -> list[str]:
    """The words with all macros replaced; `values` stand for the parameters."""
    found: list[str] = []
    for word in words:
        match = _MACRO.fullmatch(word)
        if match is None:
            found.append(_literal(word))
        elif match[1] == "interpreter":
            found.append("python")
        elif match[1] == "program":
            found.append(literal(stated["program"]))
        elif match[1] != "env":  # what it stands for, /usr/bin/env, only looks its next word up
            found += values
    return found[1:] if found[:1] == ["/usr/bin/env"] else found


def _literal(word: str) -> str:
    """A word as it is, but for its variables."""
    pieces = VARIABLE.split(word)
    return "".join(
        f"${{envvar:{piece}}}" if place % 2 else literal(piece)
        for place, piece in enumerate(pieces)
    )


def _placed(
    kind: str, words: Sequence[str], stated: Mapping[str, Any], names: Sequence[str], seed: Any
) -> ProgramCall:
    """A place for each parameter, where the macro stands."""
    values = [
        form.replace("{name}", name).replace("{value}", f"{{{'seed' if name == seed else name}}}")
        for name in names
        for form in _PLACED[kind]
    ]
    for name in names:
        if not PLACE.fullmatch(f"{{{name}}}"):
            raise BadSetting(
                f"${{{kind}}} needs names of letters, digits, dots and dashes here, got {name!r}; "
                f"give it another one by --map {name}=…"
            )
    return ProgramCall(tuple(_plain(words, stated, values)), "places", seed=seed)


def _all_long(names: Sequence[str]) -> bool:
    """Whether `--` stands before each here too: a name of one letter is an option with one."""
    return all(len(name) > 1 and not name.startswith("-") for name in names)


def _without_program(words: Sequence[str], stated: Mapping[str, Any]) -> tuple[str, ...]:
    """That the program which is stated is not run, as with W&B itself, or that none is."""
    program = stated.get("program")
    if "${program}" in words or (isinstance(program, str) and program in words):
        return ()
    if isinstance(program, str):
        return (f"command: it has no ${{program}}, so {program} is not run; add it to the command",)
    kept = [word for word in words if not _MACRO.fullmatch(word) and not word.startswith("-")]
    named = [word for word in kept if word.rpartition("/")[2] not in _INTERPRETERS]
    if named:
        return ()
    return ("command: it has no ${program} and names no script; add what is to be run",)


def _nested(names: Sequence[str], kind: str | None) -> tuple[str, ...]:
    dotted = [name for name in names if "." in name]
    if not dotted or kind not in ("args", "args_no_equals", "args_no_boolean_flags"):
        return ()
    return (
        f"{', '.join(dotted)}: given by these names; W&B gives nested ones as one mapping each",
    )
