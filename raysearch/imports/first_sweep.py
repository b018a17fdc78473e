"""The first sweep of a training script, written for its author to edit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from raysearch.driver.plan import check_study
from raysearch.imports.imported_sweep import ImportedSweep, Parameter
from raysearch.imports.layout import written
from raysearch.imports.logged import Logged, choose, patterns_for, read_logged
from raysearch.imports.programs import SEEDS, ProgramCall, literal
from raysearch.imports.ranges import default_of, first_range, is_length, reason_to_leave
from raysearch.imports.scripts import read_script
from raysearch.imports.setting import Script, Setting
from raysearch.imports.wandb_sweep import points
from raysearch.imports.writing import free, function_name, sweep_of, write_sweep, write_whole
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.distributions import Float
from raysearch.sweeps.program import Arguments
from raysearch.sweeps.space import Space
from raysearch.sweeps.sweep import Metric, Sweep

_TRIALS = 20
_MOST_COMMENTS = 40
_STYLES: dict[str, Arguments] = {
    "argparse": "argparse",
    "click": "argparse",
    "typer": "argparse",
    "hydra": "hydra",
    "environment": "environment",
    "constants": "environment",
}
_UNKNOWN_METRIC = Metric("val/loss", "minimize")


@dataclass(frozen=True)
class FirstSweep:
    """What was written, and what was understood.

    `searched` has what varies with its range, `left` what stays as it is, with why; `to_do` is
    what its author must do before it runs, or look at; `style` None says that the script was not
    understood.
    """

    path: Path
    sweep: Sweep
    style: str | None
    searched: Mapping[str, str]
    left: tuple[tuple[str, str], ...] = ()
    metric_from: str = ""
    to_do: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def init_sweep(script: Path, out: Path | None = None) -> FirstSweep:
    """Reads a training script by its syntax, without running it, and writes a first sweep over it.

    Args:
        script: argparse, click, typer, Hydra, environment variables, or plain constants.
        out: the file to write, which must not exist; None: `sweep.py` here.

    Raises:
        LookupError, ValueError: the script is not there or no Python, or the file cannot be
            written; nothing is written then.
    """
    target = free(out or Path("sweep.py"))
    found = read_script(script)
    logged = read_logged(script, _targets(found))
    settings = _searched(found) if found is not None else []
    if found is None or not settings:
        return _template(script, target, found, logged)
    parameters = tuple(each for setting in settings if (each := _parameter(setting)) is not None)
    metric, metric_from = _metric(logged)
    call = ProgramCall(
        _command(script, target, found),
        _STYLES[found.style],
        _booleans(settings),
        seed=_seed(found),
        folder=_folder(target),
        read=patterns_for(metric.name, logged),
        defaults={
            each.name: default for each in settings if (default := default_of(each)) is not None
        },
    )
    left = tuple(_left(found, settings))
    to_do = (
        *_required(found, settings),
        *_to_change(script, found, settings),
        *_about(metric_from, logged),
    )
    imported = ImportedSweep(
        tool="raysearch init",
        headline=f"A first sweep of {script.name}; ranges are guesses by names.",
        source=script.name,
        name=script.stem if script.stem != target.stem else f"{script.stem}_settings",
        sampler="tpe",
        pruner="median",
        trials=_TRIALS,
        parameters=parameters,
        points=points(parameters),
        notes=to_do,
        conditions={each.name: each.condition for each in settings if each.condition is not None},
        program=call,
        left=tuple(f"{written(name)}: {what}" for name, what in left[:_MOST_COMMENTS]),
    )
    sweep = _write(imported, call, metric, target)
    return FirstSweep(
        target, sweep, found.style, shown(parameters), left, metric_from, to_do, found.notes
    )


def shown(parameters: Sequence[Parameter]) -> dict[str, str]:
    """The range of each parameter, or its value, as a plan has it."""
    return {each.path: str(each.value if each.range is None else each.range) for each in parameters}


def _targets(script: Script | None) -> list[str]:
    """The modules of what Hydra makes for a script."""
    settings = script.settings if script is not None else ()
    texts = [each.default for each in settings if each.last == "_target_"]
    return [each.rpartition(".")[0] for each in texts if isinstance(each, str)]


def _searched(script: Script) -> list[Setting]:
    """The settings that are searched over, and how long it trains."""
    booleans = next(
        (each.given for each in script.settings if each.kind is bool and first_range(each)), None
    )
    found: list[Setting] = []
    for each in script.settings:
        is_other = each.kind is bool and each.given != booleans and script.style != "hydra"
        if (first_range(each) is not None and not is_other) or is_length(each):
            found.append(each)
    known = {each.name for each in found}
    kept = [each for each in found if each.condition is None or each.condition[0] in known]
    if all(is_length(each) for each in kept):
        return []
    return sorted(kept, key=lambda each: each.condition is not None)


def _parameter(setting: Setting) -> Parameter | None:
    if is_length(setting):
        return Parameter(setting.name, None, setting.default, remark="How long a trial trains.")
    found = first_range(setting)
    if found is None:
        return None
    count = None if isinstance(found, Float) else found.count
    return Parameter(setting.name, found, None, count)


def _command(script: Path, out: Path, found: Script) -> tuple[str, ...]:
    here = Path(os.path.relpath(script, Path.cwd()))
    return ("python", literal(here.as_posix()), *found.words)


def _folder(out: Path) -> str | None:
    """The folder of the code, if the sweep lies elsewhere."""
    here = Path.cwd()
    return None if out.absolute().parent == here else os.path.relpath(here, out.absolute().parent)


def _booleans(settings: Sequence[Setting]) -> Any:
    given = [each.given for each in settings if each.kind is bool and each.given]
    return given[0] if given else "flag"


def _metric(logged: Sequence[Logged]) -> tuple[Metric, str]:
    if not logged:
        return _UNKNOWN_METRIC, "a guess: nothing that it logs or prints was understood"
    found = choose(logged)
    return found.metric, found.source


def _about(metric_from: str, logged: Sequence[Logged]) -> tuple[str, ...]:
    if not logged:
        return ("metric: put in what it reports; raysearch.report(step, {…}) reports it",)
    if not choose(logged).has_direction:
        return ("metric: its name does not say whether more is better; look at its direction",)
    return ()


def _left(script: Script, settings: Sequence[Setting]) -> list[tuple[str, str]]:
    """What stays as it is: its default, and why if its name says so."""
    searched = {each.name for each in settings}
    found: list[tuple[str, str]] = []
    for each in script.settings:
        if each.name in searched or each.last in SEEDS:
            continue
        why = reason_to_leave(each)
        if (
            script.style == "constants"
            and why is None
            and not isinstance(each.default, (int, float))
        ):
            continue
        more = f"  # {why}" if why else ""
        found.append((each.name, f"{written(each.default)},{more}"))
    return found


def _required(script: Script, settings: Sequence[Setting]) -> tuple[str, ...]:
    searched = {each.name for each in settings}
    lacking = [each for each in script.settings if each.required and each.default is None]
    names = [each.name for each in lacking if each.name not in searched]
    if not names or script.style == "hydra":
        return ()
    return (f"command: add what the script cannot do without: {', '.join(names)}",)


def _to_change(script: Path, found: Script, settings: Sequence[Setting]) -> tuple[str, ...]:
    """Lines to change in a script whose settings are constants."""
    if found.style != "constants":
        return ()
    varied = {each.name for each in settings}
    seed = _seed(found)
    changed = [each for each in found.settings if each.name in varied or each.name == seed]
    return (
        f"{script.name}: its settings are constants; until these lines read the environment, all "
        f"trials are alike (import os)",
        *(
            f"{script.name}, line {each.line}: {each.name} is to be {_from_environment(each)}"
            for each in changed
        ),
    )


def _from_environment(setting: Setting) -> str:
    """The expression that reads a setting from the environment; a variable is a text there."""
    variable = setting.name.upper()
    if isinstance(setting.default, bool):
        return f'os.environ.get("{variable}", "{setting.default}") == "True"'
    kind = float if isinstance(first_range(setting), Float) else type(setting.default)
    return f'{kind.__name__}(os.environ.get("{variable}", {setting.default!r}))'


def _seed(script: Script) -> str | None:
    """What the script calls the seed of a run."""
    free = [each.name for each in script.settings if each.problem is None and each.last in SEEDS]
    return free[0] if free else None


def _template(
    script: Path, out: Path, found: Script | None, logged: Sequence[Logged]
) -> FirstSweep:
    """A sweep of one rate, to be edited, where nothing to search over was found."""
    metric, metric_from = _metric(logged)
    style: Arguments = _STYLES[found.style] if found is not None else "argparse"
    example = Parameter("lr", Float(1e-5, 1e-1, log=True), None, None)
    call = ProgramCall(
        _command(script, out, found or Script("argparse", ())),
        style,
        folder=_folder(out),
        read=patterns_for(metric.name, logged),
    )
    to_do = ("parameters: lr is an example; write what the script takes", *_about("", logged))
    left = tuple(_left(found, [])) if found is not None else ()
    imported = ImportedSweep(
        tool="raysearch init",
        headline=f"A template of a sweep of {script.name}, whose settings were not understood.",
        source=script.name,
        name=script.stem if script.stem != out.stem else f"{script.stem}_settings",
        sampler="tpe",
        pruner="median",
        trials=_TRIALS,
        parameters=(example,),
        points=None,
        notes=to_do,
        program=call,
        left=tuple(f"{written(name)}: {what}" for name, what in left[:_MOST_COMMENTS]),
    )
    sweep = _write(imported, call, metric, out)
    return FirstSweep(out, sweep, None, {}, left, metric_from, to_do, found.notes if found else ())


def _write(imported: ImportedSweep, call: ProgramCall, metric: Metric, out: Path) -> Sweep:
    """Writes the file, once its sweep has passed the checks of a search."""
    metric = replace(metric, reduce="best")
    source = write_sweep(imported, call, metric)
    sweep = sweep_of(source, out, function_name(imported))
    space = Space(sweep)
    check_space(space)
    check_study(sweep.sampler, sweep.pruner, sweep, space)
    write_whole(out, source)
    return sweep
