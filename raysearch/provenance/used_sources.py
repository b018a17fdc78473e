"""The kept files that a module uses: found by reading them, nothing is imported."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_][\w.]*)?")
"""A text that may name a module, as experiments are named by sweeps."""
_PYTHON = (".py", ".pyi")
_OWN = __name__.partition(".")[0]
"""This package runs searches and is no part of what they run."""


def imported(
    files: Mapping[str, bytes], paths: Sequence[str], modules: Iterable[str]
) -> dict[str, str]:
    """The files that modules are made of, with all that they import: hashes by name.

    Imports are followed wherever they stand, also in functions, and so are texts that are the name
    of a kept module. A file that is no Python counts if a text ends in its name, or is `.yaml` or
    `*.yaml` and it lies below the folder of that module. A file that cannot be parsed imports
    nothing.

    Args:
        files: contents by name, as `Sources.files`.
        paths: the folders among them that modules are imported from, first ones first.
        modules: where to begin.

    Returns:
        Names relative to the folder that they are imported from.
    """
    found, left = dict[str, str](), list(modules)
    seen = set[str]()
    others = [name for name in files if not name.endswith(_PYTHON)]
    while left:
        module = left.pop()
        if module in seen or module.partition(".")[0] == _OWN:
            continue
        seen.add(module)
        parent = module.rpartition(".")[0]
        left += [parent] if parent else []
        for path, name in _files_of(module, files, paths):
            found[_shown(name, path)] = _hash(files[name])
            texts = set[str]()
            left += _mentioned(files[name], module, name.endswith("/__init__.py"), texts)
            for other in _read(texts, name.rpartition("/")[0], others):
                found[_shown(other, path)] = _hash(files[other])
    return found


def _files_of(
    module: str, files: Mapping[str, bytes], paths: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """The file of a module, with the path it is found below; nothing if it was not kept."""
    for path in paths:
        stem = f"{path}/{module.replace('.', '/')}"
        for name in (f"{stem}/__init__.py", f"{stem}.py"):
            if name in files:
                yield path, name
                return


def _mentioned(content: bytes, module: str, is_package: bool, texts: set[str]) -> Iterator[str]:
    """The modules that one may import; what its texts are is put into `texts`."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return
    parts = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from filter(None, [name])
            yield from (f"{name}.{alias.name}" if name else alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
            if _REFERENCE.fullmatch(node.value):
                yield node.value.partition(":")[0]


def _read(texts: set[str], folder: str, others: Sequence[str]) -> Iterator[str]:
    """The files that texts of a module in a folder may mean."""
    ends = {text.rpartition("/")[2] for text in texts}
    for other in others:
        last = other.rpartition("/")[2]
        suffix = f".{last.rpartition('.')[2]}"
        meant = {last, suffix, f"*{suffix}"} if other.startswith(f"{folder}/") else {last}
        if meant & ends:
            yield other


def _shown(name: str, path: str) -> str:
    return name.removeprefix(f"{path}/") if name.startswith(f"{path}/") else name


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
