"""Settings of a script under Hydra: its configuration files and structured ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from raysearch.errors import BadSetting
from raysearch.imports.setting import Script, Setting, dataclass_settings
from raysearch.imports.source import last_of, text_of, value_of

_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_GLOBAL = re.compile(r"^\s*#\s*@package\s+(\S+)", re.MULTILINE)


def read_hydra_script(path: Path, tree: ast.Module) -> Script | None:
    """What a script with `@hydra.main` takes; None if it has none.

    Raises:
        ValueError: a configuration file that is no YAML.
    """
    call = _main(tree)
    if call is None:
        return None
    given = {each.arg: value_of(each.value) for each in call.keywords}
    folder, name = given.get("config_path"), given.get("config_name")
    if not isinstance(name, str):
        return Script("hydra", (), notes=("@hydra.main has no config_name that can be read",))
    base = path.parent / folder if isinstance(folder, str) else path.parent
    file = base / f"{name.removesuffix('.yaml')}.yaml"
    if file.is_file():
        return Script("hydra", tuple(_settings(file, base)))
    kind = _stored(tree, name)
    settings = dataclass_settings(tree, kind) if kind else []
    notes = () if settings else (f"{file.name}: there is no such configuration file",)
    return Script("hydra", tuple(settings), notes=notes)


def _main(tree: ast.Module) -> ast.Call | None:
    for node in ast.walk(tree):
        for each in getattr(node, "decorator_list", []):
            if isinstance(each, ast.Call) and text_of(each.func) in ("hydra.main", "main"):
                return each
    return None


def _stored(tree: ast.Module, name: str) -> str | None:
    """The class that is stored as a configuration of that name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and last_of(node) == "store":
            given = {each.arg: each.value for each in node.keywords}
            if "name" in given and value_of(given["name"]) == name and "node" in given:
                return last_of(given["node"])
    return None


def _settings(file: Path, base: Path) -> Iterator[Setting]:
    stated = _load(file)
    for key, default in _defaults(stated):
        yield from _group(base, key, default)
    own = {key: each for key, each in stated.items() if key not in ("defaults", "hydra")}
    yield from (Setting(name, each, type(each), given="word") for name, each in _flat(own))


def _defaults(stated: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The groups of a defaults list, with what is chosen of each."""
    listed = stated.get("defaults")
    for each in cast("list[Any]", listed) if isinstance(listed, list) else []:
        for key, value in cast("dict[Any, Any]", each).items() if isinstance(each, dict) else ():
            words = str(key).split()
            name = words[-1].partition("@")[0]
            if words[0] != "override" and not name.startswith("hydra") and isinstance(value, str):
                yield name, value.removesuffix(".yaml")


def _group(base: Path, name: str, default: str) -> Iterator[Setting]:
    """The choice of a group's file, and the settings of each of its files."""
    folder = base / name
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    options = [file.stem for file in files]
    if not options:
        return
    yield Setting(name, default, str, tuple(options) if len(options) > 1 else ())
    having: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for file in sorted(files, key=lambda file: file.stem != default):
        package = _GLOBAL.search(file.read_text(encoding="utf-8"))
        prefix = name.replace("/", ".")
        if package is not None:
            prefix = "" if package[1] == "_global_" else package[1]
        stated = {key: each for key, each in _load(file).items() if key != "defaults"}
        for path, value in _flat(stated, f"{prefix}." if prefix else ""):
            having.setdefault(path, []).append(file.stem)
            values.setdefault(path, value)
    for path, value in values.items():
        some = tuple(option for option in options if option in having[path])
        condition = (name, some) if len(some) < len(options) else None
        yield Setting(path, value, type(value), given="word", condition=condition)


def _load(file: Path) -> dict[str, Any]:
    try:
        stated = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BadSetting(f"{file.name} must be YAML: {' '.join(str(error).split())}") from None
    return cast("dict[str, Any]", stated) if isinstance(stated, dict) else {}


def _flat(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[Any, Any]", value), f"{prefix}{name}.")
        elif isinstance(value, str) and _FLOAT.fullmatch(value) and not value.isdecimal():
            yield f"{prefix}{name}", float(value)  # 1e-3 is a number for Hydra, a text for YAML
        else:
            yield f"{prefix}{name}", value
