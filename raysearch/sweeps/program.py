"""Programs and functions of any kind as what a sweep runs: declared, and made configurations."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from raysearch.errors import BadSetting
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.program_config import PLACE, ProgramConfig, has_place
from raysearch.sweeps.program_start import shell_words, variable_first

Arguments = Literal["argparse", "hydra", "json file", "environment", "places"]
ARGUMENTS: tuple[Arguments, ...] = ("argparse", "hydra", "json file", "environment", "places")
Booleans = Literal["flag", "no-flag", "word"]
BOOLEANS: tuple[Booleans, ...] = ("flag", "no-flag", "word")
PROGRAM, FUNCTION = "raysearch.programs.running:run", "raysearch.programs.function:run"
_SHELL = {"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1"}
_NOT_IN_DIGEST = ("folder", "links", "read", "resume", "checkpoints", "keep", "again_on", "python")
_GRACE = 30.0
ROOTS = "raysearch-roots.json"
"""Beside unpacked code: a list of where its folders `0`, `1`, … lay."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    r"""A program that is run for each trial; called with values it gives a configuration.

    `Program("python train.py", arguments="hydra")` and then, in a sweep, `program(lr=…)` or
    `program({"optimizer.lr": …})`. No value is ever part of a line that a shell reads.

    Attributes:
        command: a command line, split as a shell would, or a list of words. `{name}` is where a
            value goes, `{seed}` the seed, `{config}` a file with all values as JSON, `{workers}`
            how many workers it is to start (`resources.workers` of its sweep), and `{{` a brace.
            A value without a place is given by `arguments`.
        arguments: `argparse` (`--lr=0.1`), `hydra` (`lr=0.1`), `json file` (`--config=FILE`, with
            names at dots nested), `environment` (`LR=0.1`) or `places` (only `{…}`).
        booleans: of `argparse`: `flag` (`--fast` or nothing), `no-flag` (`--fast` or `--no-fast`)
            or `word` (`--fast=True`).
        option: of `json file`: the option that takes it.
        shell: whether the command is a line for `/bin/sh`; its places stand without quotes.
        seed: the name by which it takes the seed; by default `seed` if it is called with one, or
            the command has a place for it.
        environment: variables that are set for it.
        defaults: its own values by name; a search begins with them where they lie in its space.
        name: what it is called; by default after its script.
        folder: its code, of which each attempt gets a copy; by default where it is declared.
        links: files and folders of it that are linked into the copy, such as data; by default what
            is no code there and no output.
        read: regular expressions looked for in each line that it writes; groups are metrics
            (`val_acc` is the sweep's `val/acc`), and `step` is the step.
        resume: what is added to go on from a checkpoint: `--resume {checkpoint}`.
        checkpoints: the files among which it writes them, `ckpts/*.pt`, below its folder.
        keep: a folder of it that all attempts of a trial share.
        again_on: exit codes by which it asks to be started again, which costs no try.
        python: its interpreter, or a command such as `conda run -n env python`.
        grace: seconds that it has to save and end.
    """

    command: str | Sequence[str] | Callable[[dict[str, Any]], Any] = field(kw_only=False)
    arguments: Arguments = "argparse"
    booleans: Booleans = "flag"
    option: str = "--config"
    shell: bool = False
    seed: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    name: str | None = None
    folder: str | Path | None = None
    links: Sequence[str] | None = None
    read: str | Sequence[str] = ()
    resume: str | Sequence[str] | None = None
    checkpoints: str | None = None
    keep: str | None = None
    again_on: Sequence[int] = ()
    python: str | Sequence[str] | None = None
    grace: float = _GRACE
    configuration: type[ProgramConfig] = field(init=False, repr=False)
    """The class of its configurations."""

    def __new__(cls, command: Any = None, *rest: Any, **stated: Any) -> Any:
        """A program; of a function, what `trainable` makes of it."""
        if callable(command) and not isinstance(command, type):
            return trainable(cast(Any, command), **stated)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Raises BadSetting for what cannot be, naming the field."""
        words = _words("command", self.command, split=not self.shell)
        _check(self, words)
        folder = Path(self.folder or ".")
        where = original((_declared_in() / folder.expanduser()).resolve())
        facts: dict[str, Any] = {
            "command": words,
            "arguments": self.arguments,
            "booleans": self.booleans,
            "option": self.option,
            "shell": self.shell,
            "seed": self.seed,
            "environment": {name: str(value) for name, value in self.environment.items()},
            "folder": str(where),
            "links": None if self.links is None else list(self.links),
            "read": [self.read] if isinstance(self.read, str) else list(self.read),
            "resume": None if self.resume is None else _words("resume", self.resume),
            "checkpoints": self.checkpoints,
            "keep": self.keep,
            "again_on": list(self.again_on),
            "python": None if self.python is None else _words("python", self.python),
            "grace": float(self.grace),
        }
        name = self.name or _called(words)
        kind = ProgramConfig.kind(
            PROGRAM, f"program.{name}", facts, (*_NOT_IN_DIGEST, "grace"), self.defaults
        )
        object.__setattr__(self, "configuration", kind)

    def __call__(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> ProgramConfig:
        """The configuration with these values.

        Raises:
            BadSetting: a name or value that cannot be given to a program.
        """
        return self.configuration.of({**(values or {}), **named})


class Trainable:
    """A function that is run for each trial; called with values it gives a configuration."""

    def __init__(
        self,
        function: Callable[[dict[str, Any]], Any],
        *,
        name: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.reference = f"{function.__module__}:{function.__qualname__}"
        stated = {"function": self.reference, **(facts or {})}
        named = f"function.{name or function.__name__}"
        away = tuple(facts or {})
        self.configuration = ProgramConfig.kind(FUNCTION, named, stated, away, defaults or {})

    def __call__(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> ProgramConfig:
        """The configuration with these values.

        Raises:
            BadSetting: a name or value that cannot be given.
        """
        return self.configuration.of({**(values or {}), **named})


def trainable(
    function: Callable[[dict[str, Any]], Any],
    *,
    name: str | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Trainable:
    """A function of its values, a dict, that reports by `raysearch.report`, as what a sweep runs.

    It runs in the process of its trial and is found there by its module and name. With
    `config["seed"]` as its seed; a number or a dict of numbers that it returns is its last report.

    Raises:
        BadSetting: it has no name in its module.
    """
    if not callable(function) or "<" in getattr(function, "__qualname__", "<"):
        raise BadSetting(
            f"a trainable must be a function with a name at the top of its module, got {function!r}"
        )
    return Trainable(function, name=name, defaults=defaults)


def original(folder: Path) -> Path:
    """Where a folder of unpacked code lay, which has data beside it, if that is there."""
    for place in folder.parents:
        if (place / ROOTS).is_file():
            number, *inner = folder.relative_to(place).parts
            roots: list[str] = json.loads((place / ROOTS).read_text())
            if number.isdecimal() and int(number) < len(roots):
                lay = Path(roots[int(number)], *inner)
                return lay if lay.is_dir() else folder
    return folder


def _words(what: str, given: Any, *, split: bool = True) -> list[str]:
    try:
        words = given if not isinstance(given, str) else shlex.split(given) if split else [given]
    except ValueError as error:
        raise BadSetting(f"{what} must be a command line, got {given!r}: {error}") from None
    if not words or not all(isinstance(word, str) for word in cast("list[Any]", words)):
        raise BadSetting(f"{what} must be a command line or a list of words, got {given!r}")
    return list(words)


def _check(program: Program, words: Sequence[str]) -> None:
    for what, value, known in (
        ("arguments", program.arguments, ARGUMENTS),
        ("booleans", program.booleans, BOOLEANS),
    ):
        if value not in known:
            raise BadSetting(
                f"{what} must be one of {', '.join(known)}, got {value!r}{on_offer(value, known)}"
            )
    if not program.shell:
        _check_shell(program.command, words)
    if program.resume is not None:
        resume = _words("resume", program.resume)
        if not any(has_place(word, "checkpoint") for word in resume):
            raise BadSetting(f"resume must have a place {{checkpoint}}, got {program.resume!r}")
        if program.shell and not has_place(words[0], "resume"):
            raise BadSetting("command must have a place {resume} where resume is given in a shell")
    for expression in [program.read] if isinstance(program.read, str) else program.read:
        _check_pattern(expression)
    for what, path in (("checkpoints", program.checkpoints), ("keep", program.keep)):
        if path is not None and (Path(path).is_absolute() or ".." in Path(path).parts or not path):
            raise BadSetting(f"{what} must be a path below the folder of the program, got {path!r}")
    for code in program.again_on:
        if type(code) is not int or not 1 <= code <= 255:
            raise BadSetting(f"again_on must be exit codes from 1 to 255, got {code!r}")
    if not program.grace >= 0:
        raise BadSetting(f"grace must be at least 0 seconds, got {program.grace!r}")


def _check_shell(command: Any, words: Sequence[str]) -> None:
    """No shell reads the command: what only one understands would be a word like any other."""
    if sentence := variable_first(words):
        raise BadSetting(sentence)
    stated = shell_words(command) if isinstance(command, str) else []
    found = [*stated, *(word for word in words if word in _SHELL and not isinstance(command, str))]
    if found:
        raise BadSetting(
            f"command is read by no shell and cannot use {found[0]!r}, got {command!r}: give the "
            f'line to one, as sh -c \'python train.py "$@"; …\' sh, where "$@" is all that '
            f"follows; or put it into quotes if it is part of a word (in Python also shell=True)"
        )


def _check_pattern(expression: str) -> None:
    try:
        found = re.compile(expression)
    except (re.error, TypeError) as error:
        raise BadSetting(
            f"read must be a regular expression, got '{expression}': {error}"
        ) from None
    if not set(found.groupindex) - {"step"}:
        raise BadSetting(
            f"read must have a named group for each metric, such as (?P<val_acc>[\\d.]+), got "
            f"'{expression}'"
        )


def _called(words: Sequence[str]) -> str:
    """After the script, or what is run."""
    scripts = [word for word in words if word.endswith((".py", ".sh")) and not PLACE.search(word)]
    first = scripts[0] if scripts else words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    stem = Path(first).stem if scripts else first or Path(words[0].split()[0]).name
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_") or "program"


def _declared_in() -> Path:
    """The folder of the file that declares a program; the working folder where there is none."""
    frame: Any = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and frame.f_globals.get("__name__") in (__name__, "dataclasses"):
        frame = frame.f_back
    file = None if frame is None else frame.f_globals.get("__file__")
    return Path(file).resolve().parent if file else Path.cwd()
