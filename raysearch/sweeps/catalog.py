"""Names → sweeps, experiments and data sets; errors list what is on offer and the nearest name."""

from __future__ import annotations

import importlib
import importlib.machinery
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from raysearch.errors import BadSetting, UnknownName
from raysearch.sweeps.data_sets import DataSet, Maker
from raysearch.sweeps.importing import import_module
from raysearch.sweeps.nearest import listed, on_offer
from raysearch.sweeps.plugins import DATA_SETS, entries, is_reference, plugin
from raysearch.sweeps.sweep import Config, Sweep
from raysearch.texts import article


def sweeps(packages: Sequence[str]) -> dict[str, Sweep]:
    """All sweeps of the packages' modules, by name, in the order of their files and lines.

    A package may lie in several folders of the path, the current one among them: the sweeps of all
    are there. Of files of one name the first on the path counts.

    Raises:
        ValueError: two sweeps have one name.
        LookupError: there is no such package.
    """
    found: dict[str, Sweep] = {}
    for module in _modules(packages, spread=True):
        for sweep in _sweeps_of(module):
            known = found.setdefault(sweep.name, sweep)
            if known is not sweep:
                raise BadSetting(
                    f"the name {sweep.name!r} must be that of one sweep, got {known.reference} and "
                    f"{sweep.reference}"
                )
    return found


def find_sweep(name: str, packages: Sequence[str]) -> Sweep:
    """A sweep by its name, by the unique last part of it, or by `module:attribute`.

    A module is looked for in the current folder too.

    Raises:
        LookupError: there is none, or several; names the nearest, or what is on offer.
    """
    if ":" in name:
        return _referenced_sweep(name)
    known = sweeps(packages)
    if name in known:
        return known[name]
    return known[_only(name, known, "sweep")]


def experiments(packages: Sequence[str]) -> dict[str, type[Config]]:
    """All experiments' configuration classes, by name, from the packages' `*/config.py`.

    Raises:
        ValueError: two classes have one name.
        LookupError: there is no such package.
    """
    found: dict[str, type[Config]] = {}
    for module in _modules(packages, "config"):
        for kind in _own_classes(module):
            if not (_states(kind, "experiment") and _states(kind, "name")):
                continue
            known = found.setdefault(kind.name, kind)
            if known is not kind:
                raise BadSetting(
                    f"the name {kind.name!r} must be that of one experiment, got {_place(known)} "
                    f"and {_place(kind)}"
                )
    return found


def find_experiment(name: str, packages: Sequence[str]) -> type[Config]:
    """A configuration class by its name, its last part, its experiment, or `module:attribute`.

    Raises:
        LookupError: there is none, or several; names the nearest, or what is on offer.
    """
    known = experiments(packages)
    if name in known:
        return known[name]
    for kind in known.values():
        if name in (kind.experiment, _place(kind)):
            return kind
    if ":" not in name:
        return known[_only(name, known, "experiment")]
    kind = _attribute(name, "experiment")
    if not isinstance(kind, type) or not _states(kind, "experiment"):
        raise UnknownName(
            f"{name!r} is no class of configurations but {article(type(kind).__name__)}"
        )
    found: Any = kind
    return found


def data_sets(packages: Sequence[str]) -> dict[str, DataSet]:
    """All data sets of the packages, by name: what their `*/catalog.py` have in `DATA_SETS`, and
    what the entry points of other packages name.

    Raises:
        ValueError: two sets have one name.
        LookupError: there is no such package.
    """
    found = _catalogued(packages, "DATA_SETS", "data set")
    for name in entries(DATA_SETS):
        if name in found:
            raise BadSetting(f"the name {name!r} must be that of one data set, got two")
        found[name] = _checked_set(name)
    return found


def _checked_set(name: str) -> DataSet:
    """A data set of another package. Raises LookupError, BadSetting: it is none, or not there."""
    found = plugin(DATA_SETS, "data set", name)
    if not isinstance(found, DataSet):
        raise BadSetting(
            f"data set {name!r} must have name, what, source, licence, size, looked_for, missing, "
            f"get and check, got {article(type(found).__name__)}"
        )
    return found


def find_data_set(name: str, packages: Sequence[str]) -> DataSet:
    """A data set by its name, or by `module:attribute`.

    Raises:
        LookupError: there is none; names the nearest, or what is on offer.
    """
    if is_reference(name):
        return _checked_set(name)
    known = data_sets(packages)
    if name not in known:
        raise UnknownName(f"no data set is named {name!r}{on_offer(name, known)}")
    return known[name]


def find_maker(name: str, packages: Sequence[str]) -> Maker:
    """What makes sets like the one of a name: `MAKERS` of the packages' `*/catalog.py`.

    Raises:
        ValueError: two makers have one name.
        LookupError: there is no such set, or it cannot be made; says what can.
    """
    known: Mapping[str, Maker] = _catalogued(packages, "MAKERS", "maker of data sets")
    if name not in known:
        found = find_data_set(name, packages)
        raise UnknownName(
            f"data set {found.name} cannot be made; these can: {listed(known, len(known))}"
        )
    return known[name]


def _catalogued(packages: Sequence[str], attribute: str, what: str) -> dict[str, Any]:
    """What the packages' `*/catalog.py` have under an attribute, by name."""
    found: dict[str, Any] = {}
    for module in _modules(packages, "catalog"):
        for name, one in getattr(module, attribute, {}).items():
            if found.setdefault(name, one) is not one:
                raise BadSetting(f"the name {name!r} must be that of one {what}, got two")
    return found


def _only(name: str, names: Iterable[str], what: str) -> str:
    """The one name that ends in `.<name>`."""
    known = list(names)
    same = [full for full in known if full.endswith(f".{name}")]
    if len(same) == 1:
        return same[0]
    if same:
        raise UnknownName(f"several {what}s are named {name!r}: {', '.join(same)}")
    last = {full.rpartition(".")[2]: full for full in known}
    hint = on_offer(name, [*known, *last])
    raise UnknownName(f"no {what} is named {name!r}{hint}")


def _referenced_sweep(reference: str) -> Sweep:
    package = reference.partition(":")[0].partition(".")[0]
    if package != reference.partition(":")[0]:
        with suppress(UnknownName):  # what follows says so, by the whole name
            _spread(import_module(package, f"sweep {reference!r}"))
    found = _attribute(reference, "sweep")
    if not isinstance(found, Sweep):
        raise UnknownName(
            f"{reference!r} is no sweep but {article(type(found).__name__)}; put @sweep(…) above it"
        )
    return found


def _attribute(reference: str, what: str) -> Any:
    name, _, attribute = reference.partition(":")
    module = import_module(name, f"{what} {reference!r}")
    if not hasattr(module, attribute):
        offered = [sweep.reference.partition(":")[2] for sweep in _sweeps_of(module)]
        raise UnknownName(f"module {name!r} has no {attribute!r}{on_offer(attribute, offered)}")
    return getattr(module, attribute)


def _spread(package: ModuleType) -> None:
    """Adds to a package the other folders of its name on the path, which it would hide."""
    if not hasattr(package, "__path__"):
        return
    found: dict[str, None] = dict.fromkeys(package.__path__)
    name = package.__name__
    specs = [importlib.machinery.PathFinder.find_spec(name, [folder]) for folder in sys.path]
    specs += [finder.find_spec(name, None) for finder in sys.meta_path]
    for spec in specs:
        found |= dict.fromkeys((spec and spec.submodule_search_locations) or ())
    package.__path__ = [folder for folder in found if Path(folder).is_dir()]


def _modules(
    packages: Sequence[str], last: str | None = None, spread: bool = False
) -> Iterator[ModuleType]:
    """The modules of packages, sorted; with `last` only those of that name in sub-packages."""
    for package in packages:
        root = import_module(package, "the list of names")
        if spread:
            _spread(root)
        for name in sorted(_names(root, last)):
            yield importlib.import_module(name)


def _names(root: ModuleType, last: str | None) -> Iterator[str]:
    for found in pkgutil.iter_modules(getattr(root, "__path__", []), f"{root.__name__}."):
        if last is None and not found.ispkg:
            yield found.name
        elif last is not None and found.ispkg:
            folder = Path(getattr(found.module_finder, "path", "")) / found.name.rpartition(".")[2]
            if (folder / f"{last}.py").is_file():
                yield f"{found.name}.{last}"


def _sweeps_of(module: ModuleType) -> list[Sweep]:
    own = (value for value in vars(module).values() if isinstance(value, Sweep))
    return [sweep for sweep in own if sweep.function.__module__ == module.__name__]


def _own_classes(module: ModuleType) -> Iterator[Any]:
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield value


def _states(kind: Any, attribute: str) -> bool:
    return isinstance(getattr(kind, attribute, None), str)


def _place(kind: Any) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
