"""The command line and the environment of a program: each value at its place, nothing executed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from raysearch import reporting
from raysearch.errors import BadSetting
from raysearch.programs.shims.files import logger_variables
from raysearch.sweeps.program_config import PLACE, has_place, places

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_/.\-]*")
_HYDRA_WORDS = {"true", "false", "null", "nan", "inf"}
_SAFE_VARIABLE = re.compile(r"[^A-Za-z0-9_]")
_NOT_THEIRS = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT"),
    *(*reporting.RANKS, *reporting.SIZES, "GROUP_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK"),
    *("MASTER_ADDR", "MASTER_PORT"),
)
"""Variables of our own environment that would change theirs: of our Python, and of a launcher that
started what runs the search."""


@dataclass(frozen=True)
class CommandLine:
    """What is started: words, and the variables that are set on top."""

    words: list[str]
    variables: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        """As one would type it."""
        return shlex.join(self.words)


def command_line(
    values: Mapping[str, Any],
    seed: int,
    facts: Mapping[str, Any],
    *,
    checkpoint: Path | None,
    config: Path,
    workers: int = 1,
) -> CommandLine:
    """How a program is started with these values.

    Args:
        values: by name.
        seed: given where its command has a place for it, or `facts["seed"]` names it.
        facts: those of the program.
        checkpoint: what it goes on from; used where it has a `resume`.
        config: the file that has the values as JSON, nested at dots for `json file`.
        workers: how many it is to start, for its place `{workers}`; a value of that name is itself.

    Raises:
        BadSetting: a value that its way of arguments cannot give.
    """
    given: dict[str, Any] = dict(values)
    if facts["seed"]:
        given[facts["seed"]] = seed
    named = {name for word in facts["command"] for name in places(word)}
    rest = {name: value for name, value in given.items() if name not in named}
    more = _resume(facts, checkpoint)
    special = {"seed": str(seed), "config": str(config), "checkpoint": str(checkpoint or "")}
    own = {"workers": str(workers), **{name: _word(value) for name, value in given.items()}}
    known = {**own, **special}
    added, variables = _arguments(rest, facts, config)
    environment = {**facts["environment"], **variables}
    if facts["shell"]:
        words = _in_shell(facts["command"][0], known, more, added)
        return CommandLine(words, environment)
    words = [filled(word, known) for word in facts["command"]]
    return CommandLine([*interpreted(words, facts["python"]), *added, *more], environment)


def _in_shell(
    line: str, known: Mapping[str, str], resume: Sequence[str], added: Sequence[str]
) -> list[str]:
    """A shell with a line and its parameters: what stands there are their numbers, no value."""
    parameters: list[str] = []

    def numbered(*texts: str) -> str:
        parameters.extend(texts)
        first = len(parameters) - len(texts) + 1
        return " ".join(f'"${{{first + each}}}"' for each in range(len(texts)))

    def one(name: str, text: str) -> str:
        return numbered(*resume) if name == "resume" else numbered(text)

    whole = filled(line, {**known, "resume": ""}, one)
    end = numbered(*added)
    return ["/bin/sh", "-c", f"{whole} {end}".strip(), "sh", *parameters]


def filled(
    word: str,
    known: Mapping[str, str],
    quoted: Callable[[str, str], str] = lambda name, text: text,
) -> str:
    """A word with the values at its places; doubled braces are one."""

    def one(found: re.Match[str]) -> str:
        name = found[1]
        return found[0][0] if name is None else quoted(name, known[name])

    return PLACE.sub(one, word)


def interpreted(words: Sequence[str], python: Sequence[str] | None) -> list[str]:
    """The words with the interpreter that is meant, or that of this process."""
    own = list(python) if python else [sys.executable]
    first = words[0]
    if _PYTHON.fullmatch(first):
        return [*own, *words[1:]]
    if first.endswith(".py"):
        return [*own, *words]
    if python and len(own) > 1:  # as `conda run -n env python`: also for torchrun and the like
        return [*own[:-1], *words]
    return list(words)


def environment(
    command: CommandLine, facts: Mapping[str, Any], trial: Path, path: Path
) -> dict[str, str]:
    """All variables of a program: ours without those of our own Python, and what it is told.

    Args:
        command: what is started.
        facts: those of the program.
        trial: the folder by which it reports.
        path: the one folder that is put on its path of modules.
    """
    found = {name: value for name, value in os.environ.items() if name not in _NOT_THEIRS}
    found["PATH"] = os.pathsep.join([*_programs(facts["python"]), found.get("PATH", os.defpath)])
    found["PYTHONUNBUFFERED"] = "1"
    found |= logger_variables(trial)
    found |= command.variables
    found[reporting.TRIAL] = str(trial)
    own = command.variables.get("PYTHONPATH")
    found["PYTHONPATH"] = os.pathsep.join([str(path), *([own] if own else [])])
    return found


def _programs(python: Sequence[str] | None) -> list[str]:
    """Where torchrun and its like lie that belong to an interpreter."""
    if python and len(python) > 1:
        return []
    found = shutil.which(python[0] if python else sys.executable)
    return [str(Path(found).parent)] if found else []


def _resume(facts: Mapping[str, Any], checkpoint: Path | None) -> list[str]:
    if checkpoint is None or not facts["resume"]:
        return []
    return [filled(word, {"checkpoint": str(checkpoint)}) for word in facts["resume"]]


def _arguments(
    rest: Mapping[str, Any], facts: Mapping[str, Any], config: Path
) -> tuple[list[str], dict[str, str]]:
    """What is added to the command, and variables."""
    style = facts["arguments"]
    if style == "argparse":
        words = [word for name, value in rest.items() for word in _option(name, value, facts)]
        return words, {}
    if style == "hydra":
        return [f"{name}={hydra_value(value)}" for name, value in rest.items()], {}
    if style == "json file":
        has_its_place = any(has_place(word, "config") for word in facts["command"])
        return [] if has_its_place else [f"{facts['option']}={config}"], {}
    if style == "environment":
        return [], {_variable(name): _word(value) for name, value in rest.items()}
    return [], {}


def _option(name: str, value: Any, facts: Mapping[str, Any]) -> list[str]:
    """As argparse, click and absl read it. `=` keeps a value that begins with a dash a value."""
    option = name if name.startswith("-") else f"-{name}" if len(name) == 1 else f"--{name}"
    if value is None:
        return []
    if isinstance(value, bool) and facts["booleans"] != "word":
        if value:
            return [option]
        return [f"--no-{option.lstrip('-')}"] if facts["booleans"] == "no-flag" else []
    if isinstance(value, list):
        return [option, *map(_word, cast("list[Any]", value))]
    if option.startswith("--"):
        return [f"{option}={_word(value)}"]
    return [option, _word(value)]


def _word(value: Any) -> str:
    """A value as one word: texts as they are, the rest as Python or JSON write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return repr(value)
    return json.dumps(value)


def hydra_value(value: Any) -> str:
    """A value in the grammar of Hydra's overrides; of a text nothing is interpolated.

    Raises:
        BadSetting: a key that Hydra cannot have.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return f"[{','.join(map(hydra_value, cast('list[Any]', value)))}]"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        for key, _ in pairs:
            if not _BARE.fullmatch(key):
                raise BadSetting(f"a key of a mapping must be a name for Hydra, got {key!r}")
        return "{" + ",".join(f"{key}:{hydra_value(one)}" for key, one in pairs) + "}"
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in _HYDRA_WORDS:
        return text
    # Backslashes before what would be interpolated are escapes for OmegaConf.
    text = re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", text)
    # Only backslashes before a quote are escapes there, also those at the end.
    text = re.sub(r"(\\*)'", lambda found: f"{found[1] * 2}\\'", text)
    end = text[len(text.rstrip("\\")) :]
    return f"'{text}{end}'"


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with dots in their names as mappings in mappings.

    Raises:
        BadSetting: one name is a value and has values below it.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        place = found
        for part in above:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise BadSetting(f"{name} must not lie below a value of its own, {part}")
        place[last] = value
    return found


def _variable(name: str) -> str:
    """A name as an environment variable has it: `optimizer.lr` → `OPTIMIZER_LR`."""
    return _SAFE_VARIABLE.sub("_", name).upper()
