"""Sweeps that no module has, as those of a notebook: kept as they are, and found by any process."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import pickletools
import random
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from raysearch.errors import BadSetting, WrongState, sentence
from raysearch.sweeps.sweep import Sweep
from raysearch.texts import article

FOLDER = "by-value"
"""Where they are kept, below the folder of the code of a search."""
_STEM, _OWN = "by_value_", __name__.partition(".")[0]
_EXPERIMENT = "EXPERIMENT"
"""The name under which such a module has the name of its experiment, if it has one."""
_DIGITS = 16
_DEEP = 4
"""Functions within functions in which the object is looked for that cannot be kept."""
_MODULE = '''"""The sweep {name}, and what it runs, as they were when a search began."""

from raysearch.sweeps.by_value import opened

USES = {uses!r}
"""The modules that it uses, which are files of their own."""

globals().update(opened(__name__, __file__))
'''


def reference_of(sweep: Sweep) -> str | None:
    """`module:attribute` by which a fresh process finds a sweep; None if it is in no module."""
    module = sys.modules.get(name := sweep.function.__module__)
    found = getattr(module, sweep.function.__qualname__, None)
    is_file = getattr(module, "__file__", None) is not None
    return sweep.reference if name != "__main__" and is_file and found is sweep else None


@contextmanager
def kept_for_now(sweep: Sweep) -> Generator[str]:
    """A module with a sweep, which can be imported until this is left; yields its reference.

    Raises:
        BadSetting: something that it needs cannot be kept: names what, and why.
    """
    before = list(sys.path)
    folder = Path(tempfile.mkdtemp(prefix="raysearch-"))
    try:
        name = _write(sweep, folder)
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        yield f"{name}:{_attribute(sweep)}"
    finally:
        sys.path[:] = [entry for entry in sys.path if entry != str(folder) or entry in before]
        shutil.rmtree(folder, ignore_errors=True)


def keep(sweep: Sweep, folder: Path) -> None:
    """Keeps a sweep that came by value in a folder for good; nothing for any other."""
    if not is_by_value(name := sweep.function.__module__):
        return
    source = Path(str(sys.modules[name].__file__))
    folder.mkdir(parents=True, exist_ok=True)
    for file in (source, source.with_suffix(".pickle")):
        shutil.copyfile(file, folder / file.name)


def is_by_value(module: str) -> bool:
    """Whether a module is one of those that are written here."""
    return module.startswith(_STEM)


def holds(folder: str | Path) -> bool:
    """Whether sweeps were kept in a folder by value."""
    return any(Path(folder).glob(f"{_STEM}*.py"))


def modules_of(name: str) -> list[str]:
    """The modules whose files are what runs: of one that was kept by value those that it uses."""
    if not is_by_value(name):
        return [name]
    for folder in sys.path:
        if (file := Path(folder, f"{name}.py")).is_file():
            return list(_uses(file))
    return []


def experiment_of(config: Any, sweep: Sweep) -> str:
    """The experiment of a configuration, as a trial's process finds it."""
    kept = sys.modules.get(sweep.function.__module__)
    attribute = getattr(kept, _EXPERIMENT, None)
    return f"{sweep.function.__module__}:{attribute}" if attribute else str(config.experiment)


def opened(name: str, file: str) -> Mapping[str, Any]:
    """What was kept for a module, by the names that it has there.

    Raises:
        WrongState: it is not what was kept.
    """
    import cloudpickle

    content = Path(file).with_suffix(".pickle").read_bytes()
    if _name_of(content) != name:
        raise WrongState(f"{Path(file).with_suffix('.pickle')} was changed since it was kept")
    found: dict[str, Any] = cloudpickle.loads(content)
    for attribute, one in found.items():
        if isinstance(one, Sweep):
            one.function.__module__, one.function.__qualname__ = name, attribute
    return found


def _write(sweep: Sweep, folder: Path) -> str:
    """Writes the module of a sweep; returns its name."""
    objects = {_attribute(sweep): replace(sweep, name=sweep.name.removeprefix("__main__."))}
    objects |= _experiment(sweep)
    content = _pickled(sweep, objects)
    name = _name_of(content)
    uses = tuple(sorted(_modules_in(content)))
    (folder / f"{name}.py").write_text(_MODULE.format(name=sweep.name, uses=uses))
    (folder / f"{name}.pickle").write_bytes(content)
    return name


def _attribute(sweep: Sweep) -> str:
    name = sweep.function.__name__
    return name if name.isidentifier() else "sweep"


def _experiment(sweep: Sweep) -> dict[str, Any]:
    """What runs its configurations, if that is in no module either, and under which name.

    An experiment in a module may have `by_value(config)`, which gives what to keep in its place.
    """
    from raysearch.sweeps.space import Space

    config = Space(sweep).sample(random.Random(0)).config
    module, _, attribute = str(getattr(config, "experiment", "")).partition(":")
    if module == "__main__":
        return _of_main(config, attribute)
    with suppress(ImportError):  # which the checks of the search say better
        target = getattr(importlib.import_module(module), attribute, None) if module else None
        found = getattr(target, "by_value", lambda config: None)(config)
        if found is not None:
            return {"experiment": found, _EXPERIMENT: "experiment"}
    return {}


def _of_main(config: Any, attribute: str) -> dict[str, Any]:
    first, main = attribute.partition(".")[0], vars(sys.modules["__main__"])
    if first not in main:
        raise BadSetting(
            f"experiment of {type(config).__name__} must name what is defined here, got "
            f"{config.experiment!r}"
        )
    return {first: main[first], _EXPERIMENT: attribute}


def _pickled(sweep: Sweep, objects: Mapping[str, Any]) -> bytes:
    import cloudpickle

    try:
        return cloudpickle.dumps(dict(objects))
    except Exception as error:  # foreign objects raise whatever they like
        reason = sentence(error)
        found = (_culprit(one, _DEEP) for one in objects.values())
        culprit = next(filter(None, found), "an object of it")
    raise BadSetting(
        f"sweep {_attribute(sweep)} cannot be shipped to its trials, since {culprit} cannot "
        f"be pickled ({reason}); make it where it is used, or in a module"
    )


def _culprit(value: Any, deep: int) -> str:
    """The name of an object, used by a function or class, that cannot be pickled."""
    for name, used in _used(value):
        if _is_kept(used):
            continue
        inner = _culprit(used, deep - 1) if deep else ""
        return inner or f"{name!r} ({article(type(used).__name__)})"
    return ""


def _used(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function refers to, or a class holds, by name; a method's too."""
    value = value.function if isinstance(value, Sweep) else value
    if isinstance(value, type):
        yield from vars(value).items()
    elif isinstance(value, FunctionType):
        found = inspect.getclosurevars(value)
        yield from {**found.nonlocals, **found.globals}.items()


def _is_kept(value: Any) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception:  # as above
        return False
    return True


def _modules_in(content: bytes) -> Iterator[str]:
    """The modules with files of their own that a pickle refers to."""
    words = {one for _, one, _ in pickletools.genops(content) if isinstance(one, str)}
    for word in words - {"__main__"}:
        module, is_own = sys.modules.get(word), word.partition(".")[0] == _OWN
        if isinstance(module, ModuleType) and getattr(module, "__file__", None) and not is_own:
            yield word


def _uses(file: Path) -> tuple[str, ...]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "USES":
            return ast.literal_eval(node.value)
    return ()


def _name_of(content: bytes) -> str:
    return f"{_STEM}{hashlib.sha256(content).hexdigest()[:_DIGITS]}"
