"""A sweep of another tool, read, checked as ours are, and written as Python."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raysearch.driver.plan import check_study
from raysearch.errors import BadSetting
from raysearch.extras import require
from raysearch.imports.fields import Fields
from raysearch.imports.imported_sweep import ImportedSweep, Parameter
from raysearch.imports.logged import Logged, choose, patterns_for, read_logged
from raysearch.imports.programs import OpenFields, ProgramCall, placed
from raysearch.imports.seeds import as_repeats, seed_path
from raysearch.imports.wandb_sweep import keeps_program, read_wandb
from raysearch.imports.writing import free, function_name, sweep_of, write_sweep, write_whole
from raysearch.settings import Settings
from raysearch.sweeps.catalog import experiments, find_experiment, sweeps
from raysearch.sweeps.checks import check_space
from raysearch.sweeps.nearest import on_offer
from raysearch.sweeps.space import Count, Space
from raysearch.sweeps.sweep import Config, Metric, Sweep


@dataclass(frozen=True)
class Wanted:
    """What is to be imported, and how.

    Either `file` (a W&B sweep) or `line` (of Hydra, whose groups are in `config_dir`).
    `experiment` is the one whose configurations are meant (None: the only one there is), `mapped`
    has paths by the other tool's names, `values` are fixed on top. `metric` replaces the one that
    the file states. `out` is the file to be written (None: named after the sweep, here).
    """

    file: Path | None = None
    line: str | None = None
    experiment: str | None = None
    mapped: Mapping[str, str] | None = None
    values: Mapping[str, object] | None = None
    metric: Metric | None = None
    config_dir: Path | None = None
    out: Path | None = None


@dataclass(frozen=True)
class Imported:
    """A sweep that was written: where, what it is called, and the points of both tools."""

    path: Path
    sweep: Sweep
    imported: ImportedSweep
    count: Count
    metric_from: str


def import_sweep(wanted: Wanted, settings: Settings) -> Imported:
    """Reads a sweep of another tool, checks it as a search would, and writes it.

    Where it names a program and no experiment is given, what is written runs that program.

    Raises:
        LookupError, ValueError: what cannot be read or expressed, in one sentence; nothing is
            written then.
    """
    if (wanted.file is None) == (wanted.line is None):
        raise BadSetting("either a file or --hydra must be given")
    if wanted.line is not None:
        require("hydra", "import --hydra")
    if wanted.experiment is None and _keeps_program(wanted):
        return _import_program(wanted)
    kind = _experiment(wanted.experiment, settings)
    fields = Fields(kind, wanted.mapped)
    for path, value in (wanted.values or {}).items():
        fields.branch(path, [value])
    imported = _read(wanted, fields)
    imported = as_repeats(_with_values(imported, wanted.values or {}), seed_path(kind))
    metric, metric_from = _metric(wanted.metric, imported, kind, settings)
    return _written(wanted, imported, kind, metric, metric_from)


def _import_program(wanted: Wanted) -> Imported:
    imported = _read(wanted, OpenFields(wanted.mapped))
    imported = as_repeats(_with_values(imported, wanted.values or {}), "seed")
    assert imported.program is not None  # its sweep names one
    near = [Path.cwd(), *([wanted.file.absolute().parent] if wanted.file is not None else [])]
    out = wanted.out or Path(f"{function_name(imported)}.py")
    call, script, notes = placed(imported.program, near, out.absolute().parent)
    logged = read_logged(script) if script is not None else []
    metric, metric_from = _metric_of_program(wanted.metric, imported, logged)
    call = replace(call, read=patterns_for(metric.name, logged))
    imported = replace(imported, notes=(*imported.notes, *notes))
    return _written(wanted, imported, call, metric, metric_from)


def _keeps_program(wanted: Wanted) -> bool:
    if wanted.line is not None:
        from raysearch.imports.hydra_line import names_program

        return names_program(wanted.line)
    return wanted.file is not None and keeps_program(wanted.file)


def _read(wanted: Wanted, fields: Fields) -> ImportedSweep:
    if wanted.line is not None:
        from raysearch.imports.hydra_line import read_hydra

        imported = read_hydra(wanted.line, fields, wanted.config_dir)
    else:
        imported = read_wandb(wanted.file or "", fields)
    fields.check()
    return imported


def _written(
    wanted: Wanted,
    imported: ImportedSweep,
    target: type[Config] | ProgramCall,
    metric: Metric,
    metric_from: str,
) -> Imported:
    out = free(wanted.out or Path(f"{function_name(imported)}.py"))
    source = write_sweep(imported, target, metric)
    sweep = sweep_of(source, out, function_name(imported))
    space = Space(sweep)
    check_space(space)
    check_study(sweep.sampler, sweep.pruner, sweep, space)
    count = space.count()
    write_whole(out, source)
    return Imported(out, sweep, imported, count, metric_from)


def parse_map(arguments: Iterable[str]) -> dict[str, str]:
    """`name=path` arguments; an empty path leaves the name out.

    Raises:
        ValueError: one without `=`.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals or not name:
            raise BadSetting(f"--map must have the form name=path, got {argument!r}")
        found[name] = path
    return found


def parse_metric(text: str) -> Metric:
    """`maximize val/accuracy`, as a plan shows it. Raises ValueError for anything else."""
    direction, _, name = text.strip().partition(" ")
    if direction not in ("maximize", "minimize") or not name.strip():
        raise BadSetting(f"--metric must be such as 'maximize val/accuracy', got {text!r}")
    return Metric(name.strip(), "maximize" if direction == "maximize" else "minimize", "best")


def _experiment(name: str | None, settings: Settings) -> type[Config]:
    if name is not None:
        return find_experiment(name, settings.experiments)
    known = experiments(settings.experiments)
    if len(known) == 1:
        return next(iter(known.values()))
    raise BadSetting(f"--experiment must be given{on_offer('', known)}")


def _with_values(imported: ImportedSweep, values: Mapping[str, object]) -> ImportedSweep:
    """Fixed values replace what the sweep has at their paths."""
    if not values:
        return imported
    left = [each for each in imported.parameters if each.path not in values]
    fixed = [Parameter(path, None, value) for path, value in values.items()]
    gone = [each for each in imported.parameters if each.path in values]
    counts = {each.count for each in left}
    points = imported.points
    for each in gone:
        points = None if points is None or not each.count else points // each.count
    conditions = {path: each for path, each in imported.conditions.items() if path not in values}
    conditions = {path: each for path, each in conditions.items() if each[0] not in values}
    return replace(
        imported,
        parameters=(*left, *fixed),
        points=None if None in counts else points,
        conditions=conditions,
        notes=(*imported.notes, f"given at its import: {', '.join(values)}"),
    )


def _metric(
    given: Metric | None, imported: ImportedSweep, kind: type[Config], settings: Settings
) -> tuple[Metric, str]:
    """The metric and where it is from; one that no sweep of the experiment has is said."""
    known = _metrics(kind, settings)
    if given is not None:
        return given, "--metric"
    if imported.metric is not None:
        name = imported.metric.name
        if not known or name in known:
            return imported.metric, imported.source
        return imported.metric, (
            f"{imported.source}; no sweep of {kind.name} has it, they have {', '.join(known)}: "
            f"--map {name}={next(iter(known))}, unless the experiment reports it"
        )
    if known:
        metric, sweep = next(iter(known.values()))
        return metric, f"{sweep}, since {imported.source} states none"
    raise BadSetting(f"--metric must be given: {imported.source} states none, as 'minimize loss'")


def _metric_of_program(
    given: Metric | None, imported: ImportedSweep, logged: Sequence[Logged]
) -> tuple[Metric, str]:
    """The metric and where it is from: given, stated, or the best that its script reports."""
    if given is not None:
        return given, "--metric"
    if imported.metric is not None:
        return imported.metric, imported.source
    if not logged:
        raise BadSetting(
            f"--metric must be given: {imported.source} states none, as 'minimize loss'"
        )
    found = choose(logged)
    return found.metric, f"{found.source} of the script; check its direction"


def _metrics(kind: type[Config], settings: Settings) -> dict[str, tuple[Metric, str]]:
    """The metrics of the declared sweeps of an experiment, with the first that has each."""
    found: dict[str, tuple[Metric, str]] = {}
    for name, sweep in sweeps(settings.sweeps).items():
        config = Space(sweep).sample(random.Random(0)).config
        if type(config) is kind:
            for metric in sweep.metrics:
                found.setdefault(metric.name, (metric, name))
    return found
