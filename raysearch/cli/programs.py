"""Options of `search` and `submit` that give a program instead of a sweep."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from raysearch.errors import BadSetting, UnknownName
from raysearch.terminal import say

_PANEL = "A program instead of a sweep"


def _option(words: str, *names: str) -> Any:
    return typer.Option(*names, help=words, rich_help_panel=_PANEL)


_OPTIONS: tuple[tuple[str, Any, Any], ...] = (
    (
        "command",
        Annotated[
            str | None,
            _option("A command line, such as 'python train.py --lr {lr}'.", "--command"),
        ],
        None,
    ),
    (
        "space_file",
        Annotated[
            Path | None,
            _option(
                "Its values: YAML with ranges by name, or Python with space(trial).", "--space"
            ),
        ],
        None,
    ),
    (
        "metric",
        Annotated[str | None, _option("What it reports and is compared by: val/acc.", "--metric")],
        None,
    ),
    (
        "maximize",
        Annotated[bool | None, _option("Whether more of it is better.", "--maximize/--minimize")],
        None,
    ),
    (
        "arguments",
        Annotated[
            str | None,
            _option(
                "How values without a place {…} are given: argparse, hydra, 'json file', "
                "environment or places.",
                "--arguments",
            ),
        ],
        None,
    ),
    (
        "read",
        Annotated[
            list[str] | None,
            _option(
                "A pattern in its output: 'epoch (?P<step>\\d+) .* acc (?P<val_acc>[\\d.]+)'.",
                "--read",
            ),
        ],
        None,
    ),
    (
        "resume_by",
        Annotated[
            str | None,
            _option("What lets it go on: '--resume {checkpoint}'.", "--resume"),
        ],
        None,
    ),
    (
        "checkpoints",
        Annotated[
            str | None, _option("Where it writes checkpoints: 'ckpts/*.pt'.", "--checkpoints")
        ],
        None,
    ),
    (
        "keep",
        Annotated[str | None, _option("A folder that attempts at a trial share: out.", "--keep")],
        None,
    ),
    (
        "link",
        Annotated[
            list[str] | None,
            _option("What is linked beside its code; default what is no code.", "--link"),
        ],
        None,
    ),
    (
        "again_on",
        Annotated[
            list[int] | None,
            _option("An exit code that asks for another start and costs no try.", "--again-on"),
        ],
        None,
    ),
    (
        "python",
        Annotated[
            str | None,
            _option("Its interpreter, or 'conda run -n env python'.", "--python"),
        ],
        None,
    ),
)
NAMES = tuple(name for name, _, _ in _OPTIONS)
"""The parameters that belong to a program."""


def parameters() -> list[inspect.Parameter]:
    """The options, as a command takes them."""
    return [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, annotation, default in _OPTIONS
    ]


@contextmanager
def sweep_meant(
    space: str | None, overrides: list[str] | None, given: Mapping[str, Any]
) -> Generator[tuple[str, list[str], Callable[[], None]]]:
    """The sweep that is meant, the values that are fixed, and what is called once all is checked.

    A program is written as a sweep into the current folder, as a file to be edited and kept; if
    that is not called, the file is taken away again.

    Raises:
        BadSetting: neither a sweep nor a program, both, or options of a program without one.
    """
    values = list(overrides or [])
    if given.get("command") is None:
        stated = [name for name in NAMES if given.get(name) not in (None, [])]
        if stated:
            raise BadSetting(f"{_named(stated[0])} is for a program, which --command gives")
        if space is None:
            raise BadSetting("a sweep must be named, or a program given by --command")
        yield space, values, lambda: None
        return
    if space is not None and "=" not in space:
        raise BadSetting(f"either a sweep or --command must be given, got {space!r} as well")
    there, is_checked = set(Path().glob("*.py")), False
    reference = _written(given)
    file = Path(f"{reference.partition(':')[0]}.py")

    def checked() -> None:
        nonlocal is_checked
        if not is_checked:
            say(f"sweep {reference}, in {file}: edit and run it as any other")
        is_checked = True

    try:
        yield reference, ([] if space is None else [space]) + values, checked
    finally:
        if not is_checked and file not in there:
            file.unlink(missing_ok=True)


def _named(name: str) -> str:
    known = {"space_file": "--space", "resume_by": "--resume", "maximize": "--maximize"}
    return known.get(name, f"--{name.replace('_', '-')}")


def _written(given: Mapping[str, Any]) -> str:
    from raysearch.imports.program_space import ProgramSweep, read_space, write
    from raysearch.sweeps.program import Program
    from raysearch.sweeps.sweep import Metric

    if given["metric"] is None or given["maximize"] is None:
        raise BadSetting("--metric must be given with --maximize or --minimize, such as val/acc")
    if not given["metric"].strip() or not given["metric"].isprintable():
        raise BadSetting(
            f"--metric must be the name of what the program reports, such as val/acc, got "
            f"{given['metric']!r}"
        )
    for name in ("command", "arguments", "resume_by", "checkpoints", "keep", "python"):
        if given[name] is not None and not given[name].strip():
            raise BadSetting(f"{_named(name)} must not be empty, got {given[name]!r}")
    if given["space_file"] is None:
        raise BadSetting("--space must be given: a YAML file, such as lr: {low: 1e-5, high: 1e-1}")
    path: Path = given["space_file"]
    if path.suffix == ".py" and path.resolve().parent != Path.cwd():
        raise BadSetting(f"--space must lie in the current folder if it is Python, got {path}")
    found, function = read_space(path)
    stated: dict[str, Any] = {
        "arguments": given["arguments"],
        "read": given["read"],
        "resume": given["resume_by"],
        "checkpoints": given["checkpoints"],
        "keep": given["keep"],
        "links": given["link"],
        "again_on": given["again_on"],
        "python": _python(given["python"]),
    }
    stated = {name: value for name, value in stated.items() if value not in (None, [])}
    program = Program(given["command"], folder=Path.cwd(), **stated)
    if sentence := program.configuration().missing():
        raise UnknownName(sentence)
    direction = "maximize" if given["maximize"] else "minimize"
    metric = Metric(given["metric"], direction)
    sweep = ProgramSweep(given["command"], stated, metric, found, path.stem, function)
    stem = program.configuration.name.partition(".")[2]
    return write(sweep, stem)


def _python(given: str | None) -> str | None:
    """A path of an interpreter is meant from here, not from the folder of a trial."""
    if given is None or len(shlex.split(given)) > 1 or "/" not in given:
        return given
    if not Path(given).expanduser().is_file():
        raise BadSetting(f"--python must be an interpreter that is there, got {given!r}")
    return str(Path(given).expanduser().absolute())
