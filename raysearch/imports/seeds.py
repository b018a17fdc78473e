"""A seed that another tool sweeps over: here a configuration is repeated with several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from raysearch.errors import BadSetting
from raysearch.imports.imported_sweep import ImportedSweep, Parameter
from raysearch.sweeps.sweep import Config

_MOST = 1_000
"""More seeds than that are no repeats."""


def as_repeats(imported: ImportedSweep, path: str) -> ImportedSweep:
    """The sweep with its seeds, at a path, as repeats: those of a grid that follow one another.

    Raises:
        ValueError: seeds that do not, or that are drawn at random.
    """
    swept = next((each for each in imported.parameters if each.path == path and each.range), None)
    if swept is None:
        return imported
    seeds = _values(swept)
    is_row = bool(seeds) and seeds == list(range(seeds[0], seeds[0] + len(seeds)))
    if imported.sampler != "grid" or not is_row:
        raise BadSetting(
            f"{path} must be a constant, or integers of a grid that follow one another, such as 0, "
            f"1, 2 (they become repeats), got {swept.range}; fix it by {path}=0 and run with "
            f"--repeats"
        )
    first = Parameter(path, None, seeds[0])
    parameters = tuple(first if each is swept else each for each in imported.parameters)
    note = f"{path}: {len(seeds)} repeats, from seed {seeds[0]}"
    return replace(
        imported, parameters=parameters, repeats=len(seeds), notes=(*imported.notes, note)
    )


def seed_path(kind: type[Config]) -> str:
    """The path of the seed of a run."""
    config = kind()
    other = config.with_seed(config.seed + 1)
    return next(path for path in sorted(kind.paths()) if _differ(config, other, path))


def _differ(config: Config, other: Config, path: str) -> bool:
    try:
        return bool(config.value_at(path) != other.value_at(path))
    except LookupError:
        return False


def _values(swept: Parameter) -> list[Any]:
    count = swept.range.count if swept.range is not None else None
    if swept.range is None or count is None or count > _MOST:
        return []
    values = [swept.range.value(index) for index in range(count)]
    return sorted(values) if all(type(value) is int for value in values) else []
